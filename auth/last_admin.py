"""The hub is never left without an admin who can sign in: nobody else could give the role to anybody.

People of HUB_ADMINS count before they ever came. Admins by a group count while their groups are fresh: what
the provider says of them tomorrow nobody can keep.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from tortoise.expressions import Q, Subquery
from tortoise.queryset import QuerySet

from auth.effective import GrantRules, person_of
from auth.errors import LastAdmin
from auth.permissions import Role
from models.locks import one_at_a_time
from models.tables import GroupMapping, Membership, RoleAssignment, User


@asynccontextmanager
async def keeping_an_admin(rules: GrantRules, *, now: datetime) -> AsyncIterator[None]:
    """Inside a transaction, around what may take the role from somebody. Raises `LastAdmin` at the end.

    Where there was none before, nothing is lost.
    """
    await one_at_a_time("admins")  # two of them, each taking the role from the other, would both succeed
    before = await _is_there_one(rules, now)
    yield
    if before and not await _is_there_one(rules, now):
        raise LastAdmin


async def _is_there_one(rules: GrantRules, now: datetime) -> bool:
    return (
        await _by_settings(rules)
        or await _able(rules, id__in=Subquery(_with_role().values("user_id"))).exists()
        or await _by_groups(rules, now)
    )


async def _by_settings(rules: GrantRules) -> bool:
    able = {each for each in rules.administrators if not rules.sign_in or each.provider in rules.sign_in}
    if not able:
        return False
    named = Q(*(Q(provider=each.provider.lower(), subject=each.subject) for each in able), join_type="OR")
    deactivated = {person_of(user) for user in await User.filter(named, active=False)}
    return bool(able - deactivated)


def _with_role() -> QuerySet[RoleAssignment]:
    return RoleAssignment.filter(role=int(Role.ADMIN))


def _able(rules: GrantRules, **conditions: object) -> QuerySet[User]:
    """People who can sign in."""
    able = User.filter(active=True, **conditions)
    return able.filter(provider__in=_names(rules)) if rules.sign_in else able


def _names(rules: GrantRules) -> Collection[str]:
    return [provider.lower() for provider in rules.sign_in]


async def _by_groups(rules: GrantRules, now: datetime) -> bool:
    mappings = GroupMapping.filter(role=int(Role.ADMIN))
    for provider in set(await mappings.values_list("provider", flat=True)):
        groups = Subquery(mappings.filter(provider=provider).values("group_id"))
        oldest = rules.oldest(now=now)
        members = Subquery(Membership.filter(group_id__in=groups, read_at__gte=oldest).values("user_id"))
        able = _able(rules, id__in=members, provider=provider, groups_synced_at__gte=oldest)
        if await able.exists():
            return True
    return False
