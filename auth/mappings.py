"""Group mappings: a role at some places for everybody in a group.

A change is told with whom it affects: those for whom something is allowed afterwards that wasn't, or the
other way round, of the people that the hub knows, by their groups as last read.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from tortoise.expressions import Q, Subquery
from tortoise.transactions import in_transaction

from auth.effective import GrantRules, GroupGrant, grants_of, group_grant, person_of, scope_of
from auth.errors import Conflict, InvalidRequest, NotFound
from auth.grants import worth
from auth.identity import Provider
from auth.last_admin import keeping_an_admin
from auth.permissions import Group, Role, Scope
from auth.places import check_registered, check_scope
from models.bus import publish
from models.ids import new_id
from models.tables import GroupMapping as MappingRow
from models.tables import Membership, User

SLICE = 200
"""People whose grants are compared at a time."""
_OF_GITHUB = re.compile("[1-9][0-9]*(?:/[1-9][0-9]*)?")
_GUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class GroupMapping(msgspec.Struct, frozen=True):
    id: str
    group: Group
    """Its name is the administrators' own word."""
    role: Role
    scope: Scope
    created_at: datetime
    updated_at: datetime
    created_by: str | None
    """The id of the person who made it."""


class MappingChange(msgspec.Struct, frozen=True):
    """None leaves a field as it is. What once limited a mapping can be replaced and never be taken away."""

    group_name: str | None = None
    role: Role | None = None
    instance_id: str | None = None
    namespaces: tuple[str, ...] | None = None


class Affected(msgspec.Struct, frozen=True):
    """Somebody who gains or loses something."""

    user_id: str
    display_name: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.display_name, self.user_id)


class Mapped(msgspec.Struct, frozen=True):
    """A changed mapping (a deleted one as it was), and whom that affects, by name and id."""

    mapping: GroupMapping
    affected: list[Affected]


class MappingFilter(msgspec.Struct, frozen=True):
    """All that is given has to hold."""

    provider: Provider | None = None
    group_id: str | None = None
    instance_id: str | None = None


async def create_mapping(
    group: Group,
    role: Role,
    scope: Scope,
    *,
    created_by: str,
    dry_run: bool,
    rules: GrantRules,
    now: datetime,
) -> Mapped:
    """Raises `InvalidRequest`, and `Conflict` where the same is mapped already."""
    check_scope(role, scope)
    row = MappingRow(
        id=new_id("map"),
        provider=group.provider.lower(),
        group_id=_group_id(group.provider, group.group_id),
        group_name=_group_name(group.name or ""),
        role=int(role),
        instance_id=scope.instance_id,
        namespaces=_sorted(scope.namespaces),
        created_at=now,
        created_by_id=created_by,
    )
    async with _changing(dry_run=dry_run, rules=rules, now=now):
        await check_registered([scope.instance_id] if scope.instance_id else [])
        await _check_new(row)
        affected = await _affected(row, None, group_grant(row), rules, now)
        await row.save(force_create=True)
    return Mapped(mapping_of(row), affected)


async def update_mapping(
    mapping_id: str, change: MappingChange, *, dry_run: bool, rules: GrantRules, now: datetime
) -> Mapped:
    """Raises `NotFound`, `InvalidRequest`, `Conflict` and `LastAdmin`."""
    async with _changing(dry_run=dry_run, rules=rules, now=now):
        # Instances before mappings, as their removal locks them.
        await check_registered([change.instance_id] if change.instance_id else [])
        row = await _find(mapping_id)
        before = group_grant(row)
        _apply(change, row)
        check_scope(Role(row.role), scope_of(row))
        await _check_new(row)
        affected = await _affected(row, before, group_grant(row), rules, now)
        await row.save()
    return Mapped(mapping_of(row), affected)


async def delete_mapping(mapping_id: str, *, dry_run: bool, rules: GrantRules, now: datetime) -> Mapped:
    """Raises `NotFound` and `LastAdmin`."""
    async with _changing(dry_run=dry_run, rules=rules, now=now):
        row = await _find(mapping_id)
        affected = await _affected(row, group_grant(row), None, rules, now)
        await row.delete()
    return Mapped(mapping_of(row), affected)


async def list_mappings(
    wanted: MappingFilter, *, first: int, after: tuple[str, str] | None
) -> tuple[list[GroupMapping], int]:
    """Up to `first` mappings behind the (group name, id), by name and id; and how many there are in all."""
    chosen = MappingRow.all()
    if wanted.provider is not None:
        chosen = chosen.filter(provider=wanted.provider.lower())
    if wanted.group_id is not None:
        spellings = {wanted.group_id, _as_written(wanted.group_id)}
        chosen = chosen.filter(group_id__in=list(spellings))
    if wanted.instance_id is not None:
        chosen = chosen.filter(instance_id=wanted.instance_id)
    page = chosen.order_by("group_name", "id").limit(first)
    if after is not None:
        name, mapping_id = after
        page = page.filter(Q(group_name__gt=name) | Q(group_name=name, id__gt=mapping_id))
    return [mapping_of(row) for row in await page], await chosen.count()


async def find_mappings(ids: Iterable[str]) -> dict[str, GroupMapping]:
    return {row.id: mapping_of(row) for row in await MappingRow.filter(id__in=list(ids))}


def mapping_of(row: MappingRow) -> GroupMapping:
    group = Group(Provider(row.provider.upper()), row.group_id, row.group_name)
    return GroupMapping(
        row.id, group, Role(row.role), scope_of(row), row.created_at, row.updated_at, row.created_by_id
    )


# ---------------------------------------------------------------- changing


class _Undone(Exception):
    """Ends the transaction of what was only tried."""


@asynccontextmanager
async def _changing(*, dry_run: bool, rules: GrantRules, now: datetime) -> AsyncIterator[None]:
    """A transaction, told on the bus. A dry run does all of it, is refused as it would be, and undone."""
    try:
        async with in_transaction():
            async with keeping_an_admin(rules, now=now):
                yield
                await publish("mappings")
            if dry_run:
                raise _Undone
    except _Undone:
        pass


async def _find(mapping_id: str) -> MappingRow:
    # Two changes of one mapping are made one after the other, each over what the other left.
    row = await MappingRow.filter(id=mapping_id).select_for_update().first()
    if row is None:
        raise NotFound(f"There is no group mapping {mapping_id}")
    return row


async def _check_new(row: MappingRow) -> None:
    same = MappingRow.filter(
        provider=row.provider, group_id=row.group_id, role=row.role, instance_id=row.instance_id
    )
    for other in await same.exclude(id=row.id):
        if other.namespaces == row.namespaces:
            raise Conflict(f"{other.id} gives the group this role at these places already")


def _apply(change: MappingChange, row: MappingRow) -> None:
    if change.group_name is not None:
        row.group_name = _group_name(change.group_name)
    if change.role is not None:
        row.role = int(change.role)
    if change.instance_id is not None:
        row.instance_id = change.instance_id
    if change.namespaces is not None:
        row.namespaces = _sorted(change.namespaces)


def _group_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 256:
        raise InvalidRequest("A group's name has 1 to 256 characters", path="groupName")
    return name


def _group_id(provider: Provider, group_id: str) -> str:
    """As the provider writes it, for it is compared exactly."""
    group_id = group_id.strip()
    if not group_id or len(group_id) > 256:
        raise InvalidRequest("A group's id has 1 to 256 characters", path="groupId")
    if provider is Provider.GITHUB and not _OF_GITHUB.fullmatch(group_id):
        raise InvalidRequest(
            "GitHub's groups are numeric ids, ORGANISATION or ORGANISATION/TEAM: names change hands",
            path="groupId",
        )
    return _as_written(group_id) if provider is Provider.ENTRA else group_id


def _as_written(group_id: str) -> str:
    """Entra writes its ids in lower case, and its portal lets people copy them in any."""
    return group_id.lower() if _GUID.fullmatch(group_id) else group_id


def _sorted(namespaces: tuple[str, ...] | None) -> list[str] | None:
    return None if namespaces is None else sorted(set(namespaces))


# ---------------------------------------------------------------- whom it affects


async def _affected(
    row: MappingRow, before: GroupGrant | None, after: GroupGrant | None, rules: GrantRules, now: datetime
) -> list[Affected]:
    """Those in the group for whom it isn't the same what they are given, with all their other grants."""
    oldest = rules.oldest(now=now)
    members = Subquery(Membership.filter(group_id=row.group_id, read_at__gte=oldest).values("user_id"))
    users = await User.filter(
        id__in=members, provider=row.provider, active=True, groups_synced_at__gte=oldest
    )
    found: list[Affected] = []
    for start in range(0, len(users), SLICE):
        some = users[start : start + SLICE]
        grants = await grants_of(some, rules=rules, now=now)
        for user in some:
            others = [grant for grant in grants[user.id] if grant.mapping_id != row.id]
            was, will_be = (
                others if each is None else [*others, each.to(person_of(user), group_name=None)]
                for each in (before, after)
            )
            if worth(was) != worth(will_be):
                found.append(Affected(user.id, user.display_name))
    return sorted(found, key=lambda each: each.key)
