"""People, found and listed.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

import msgspec
from tortoise.expressions import Q, Subquery

from auth.effective import GrantRules
from auth.identity import Profile, Provider
from auth.lookup import load_profiles
from auth.permissions import Group, Role
from models.tables import GroupMapping, Membership, RoleAssignment, User


class PeopleFilter(msgspec.Struct, frozen=True):
    """All that is given has to hold. None asks for nothing; an empty tuple matches nobody."""

    search: str | None = None
    """A part of the name, the e-mail address or the subject, in any case."""
    roles: tuple[Role, ...] | None = None
    """With an effective grant of one of these roles …"""
    instance_id: str | None = None
    """… there, or everywhere; or with any grant that reaches this instance."""
    active: bool | None = None


class People(msgspec.Struct, frozen=True):
    """A page of people, and how many there are in all."""

    page: list[Profile]
    total: int


async def list_people(
    wanted: PeopleFilter,
    *,
    first: int,
    after: tuple[str, str] | None,
    rules: GrantRules,
    now: datetime,
) -> People:
    """Up to `first` people behind the (name, id), by name and id."""
    if wanted.roles == ():
        return People([], 0)
    chosen = User.filter(*await _conditions(wanted, rules, now))
    page = chosen.order_by("display_name", "id").limit(first)
    if after is not None:
        name, user_id = after
        page = page.filter(Q(display_name__gt=name) | Q(display_name=name, id__gt=user_id))
    return People(await load_profiles(await page, rules=rules, now=now), await chosen.count())


async def find_people(user_ids: Collection[str], *, rules: GrantRules, now: datetime) -> dict[str, Profile]:
    """Those who are known, by id."""
    users = await User.filter(id__in=list(user_ids)) if user_ids else []
    return {each.user_id: each for each in await load_profiles(users, rules=rules, now=now)}


async def find_groups(user_ids: Collection[str]) -> dict[str, list[Group]]:
    """The groups that these people are in, as last read, by name and id."""
    found: dict[str, list[Group]] = defaultdict(list)
    rows = await Membership.filter(user_id__in=list(user_ids)).values_list(
        "user_id", "user__provider", "group_id", "name"
    )
    for user_id, provider, group_id, name in rows:
        found[user_id].append(Group(Provider(provider.upper()), group_id, name))
    for groups in found.values():
        groups.sort(key=lambda group: (group.name or "", group.group_id))
    return found


async def _conditions(wanted: PeopleFilter, rules: GrantRules, now: datetime) -> list[Q]:
    conditions: list[Q] = []
    if wanted.active is not None:
        conditions.append(Q(active=wanted.active))
    if wanted.search:
        text = wanted.search
        fields = ("display_name", "email", "subject")
        conditions.append(Q(*(Q(**{f"{field}__icontains": text}) for field in fields), join_type="OR"))
    if wanted.roles is not None or wanted.instance_id is not None:
        conditions.append(await _granted(wanted, rules, now))
    return conditions


async def _granted(wanted: PeopleFilter, rules: GrantRules, now: datetime) -> Q:
    """Whose effective grants hold one that is asked for, wherever it comes from."""
    one = Q(role__in=[int(role) for role in wanted.roles or Role])
    if wanted.instance_id is not None:
        one &= Q(instance_id=None) | Q(instance_id=wanted.instance_id)
    ways = [Q(id__in=Subquery(RoleAssignment.filter(one).values("user_id")))]
    oldest = rules.oldest(now=now)
    for provider in set(await GroupMapping.filter(one).values_list("provider", flat=True)):
        groups = Subquery(GroupMapping.filter(one, provider=provider).values("group_id"))
        members = Subquery(Membership.filter(group_id__in=groups, read_at__gte=oldest).values("user_id"))
        ways.append(Q(provider=provider, groups_synced_at__gte=oldest, id__in=members))
    if wanted.roles is None or Role.ADMIN in wanted.roles:
        ways += [Q(provider=each.provider.lower(), subject=each.subject) for each in rules.administrators]
    return Q(*ways, join_type="OR")
