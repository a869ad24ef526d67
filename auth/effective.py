"""Effective grants: those given by hand, those of the person's groups, and HUB_ADMINS'.

Grants of groups are written down nowhere. They follow from the groups as last read and the mappings as they
stand, so a changed mapping or a left group acts at once and leaves nothing behind. Groups that were read too
long ago grant nothing: nobody knows whether the person is still in them.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from tortoise.expressions import Subquery

from auth.identity import Provider
from auth.people import Person
from auth.permissions import Grant, GrantSource, Group, Role, Scope
from models.tables import GroupMapping, Membership, RoleAssignment, User


class GrantRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of grants."""

    administrators: frozenset[Person] = frozenset()
    """HUB_ADMINS."""
    group_max_age: timedelta = timedelta(hours=24)
    """GROUP_MAX_AGE."""
    sign_in: frozenset[Provider] = frozenset()
    """Where people can sign in; empty where nothing is known of that."""

    def fresh(self, synced_at: datetime | None, *, now: datetime) -> bool:
        """Whether groups that were read then grant anything now."""
        return synced_at is not None and synced_at >= self.oldest(now=now)

    def oldest(self, *, now: datetime) -> datetime:
        """Groups that were read before then grant nothing."""
        return now - self.group_max_age


NO_SETTINGS = GrantRules()


class GroupGrant(msgspec.Struct, frozen=True):
    """What a mapping gives to everybody in its group."""

    mapping_id: str
    provider: Provider
    group_id: str
    role: Role
    scope: Scope

    def to(self, person: Person, *, group_name: str | None) -> Grant:
        stable = _stable_id(f"group {person} {self.mapping_id}")
        group = Group(self.provider, self.group_id, group_name)
        return Grant(
            stable, self.role, self.scope, GrantSource.GROUP, group=group, mapping_id=self.mapping_id
        )


async def grants_of(
    users: Collection[User], *, rules: GrantRules, now: datetime
) -> dict[str, tuple[Grant, ...]]:
    """Everybody's effective grants, by the person's id: at most three queries, however many people."""
    found: dict[str, list[Grant]] = {user.id: list(_of_settings(user, rules)) for user in users}
    if not found:
        return {}
    for row in await RoleAssignment.filter(user_id__in=list(found)).order_by("id"):
        found[row.user_id].append(manual_grant(row))
    for user_id, grant in await _of_groups(users, rules, now):
        found[user_id].append(grant)
    return {user_id: tuple(grants) for user_id, grants in found.items()}


def _of_settings(user: User, rules: GrantRules) -> Iterator[Grant]:
    person = person_of(user)
    if person in rules.administrators:
        yield Grant(_stable_id(f"bootstrap {person}"), Role.ADMIN, Scope(), GrantSource.BOOTSTRAP)


async def _of_groups(
    users: Collection[User], rules: GrantRules, now: datetime
) -> Iterable[tuple[str, Grant]]:
    people = {user.id: person_of(user) for user in users if rules.fresh(user.groups_synced_at, now=now)}
    if not people:
        return []
    # A person may be in hundreds of groups, few of which are mapped; and rows as tuples take a tenth.
    mapped = Subquery(GroupMapping.all().values("group_id"))
    memberships = (
        await Membership.filter(
            # Groups that a provider hid at the last reading were read before it.
            user_id__in=list(people),
            group_id__in=mapped,
            read_at__gte=rules.oldest(now=now),
        )
        .order_by("user_id", "group_id")
        .values_list("user_id", "group_id", "name")
    )
    given = await _given_to({group_id for _, group_id, _ in memberships})
    return [
        (user_id, each.to(people[user_id], group_name=name))
        for user_id, group_id, name in memberships
        for each in given.get((people[user_id].provider, group_id), ())
    ]


async def _given_to(group_ids: Collection[str]) -> Mapping[tuple[Provider, str], list[GroupGrant]]:
    given: dict[tuple[Provider, str], list[GroupGrant]] = defaultdict(list)
    rows = await GroupMapping.filter(group_id__in=list(group_ids)).order_by("id") if group_ids else ()
    for row in rows:
        each = group_grant(row)
        given[each.provider, each.group_id].append(each)
    return given


def group_grant(row: GroupMapping) -> GroupGrant:
    provider = Provider(row.provider.upper())
    return GroupGrant(row.id, provider, row.group_id, Role(row.role), scope_of(row))


def manual_grant(row: RoleAssignment) -> Grant:
    return Grant(row.id, Role(row.role), scope_of(row), GrantSource.MANUAL, row.created_at, row.created_by_id)


def scope_of(row: RoleAssignment | GroupMapping) -> Scope:
    return Scope(row.instance_id, None if row.namespaces is None else tuple(row.namespaces))


def person_of(user: User) -> Person:
    return Person(Provider(user.provider.upper()), user.subject)


def _stable_id(of: str) -> str:
    return f"grt_{hashlib.sha256(of.encode()).hexdigest()[:26]}"


def is_computed(grant_id: str) -> bool:
    """Whether the grant is written down nowhere. Ids of rows end with a ULID, in upper case."""
    return re.fullmatch("grt_[0-9a-f]{26}", grant_id) is not None
