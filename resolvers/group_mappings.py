"""Group mappings: listing, creating, changing and deleting them, or only trying to."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec

from auth import listing, mappings
from auth.effective import GrantRules
from auth.identity import Identity, Profile
from auth.mappings import Affected, GroupMapping, Mapped, MappingChange, MappingFilter
from auth.permissions import Group, Role, Scope
from auth.policy import Permit
from resolvers.errors import NotFound
from resolvers.paging import Page, check_first, decode_cursor
from resolvers.people import MOST as MOST_PEOPLE
from resolvers.people import place_of

MOST = 100
"""The largest page."""


class NewMapping(msgspec.Struct, frozen=True):
    group: Group
    role: Role
    scope: Scope


async def list_mappings(
    *, permit: Permit, wanted: MappingFilter, first: int | None, after: str | None
) -> Page[GroupMapping]:
    """One page of the mappings, by the groups' names; none unless the permit reaches the hub itself."""
    size = check_first(first, MOST)
    cursor = None if after is None else decode_cursor(after)
    if not permit.scopes:
        return Page(items=[], key=_place, has_next=False, has_previous=False, total=lambda: 0)
    behind = None if cursor is None else (str(cursor[0]), cursor[1])
    found, total = await mappings.list_mappings(wanted, first=size + 1, after=behind)
    return Page(
        items=found[:size],
        key=_place,
        has_next=len(found) > size,
        has_previous=after is not None,
        total=lambda: total,
    )


def _place(mapping: GroupMapping) -> tuple[str, str]:
    return (mapping.group.name or "", mapping.id)


async def find_mappings(*, permit: Permit, ids: Collection[str]) -> Mapping[str, GroupMapping]:
    """Mappings by id, for those whose permit (MANAGE_GROUP_MAPPINGS) reaches the hub itself; else none."""
    return await mappings.find_mappings(ids) if permit.scopes and ids else {}


async def create_mapping(*, rules: GrantRules, permit: Permit, new: NewMapping, dry_run: bool) -> Mapped:
    """Raises `auth.errors.InvalidRequest` and `Conflict`."""
    maker = _maker(permit)
    return await mappings.create_mapping(
        new.group,
        new.role,
        new.scope,
        created_by=maker.user_id,
        dry_run=dry_run,
        rules=rules,
        now=datetime.now(UTC),
    )


async def update_mapping(
    *, rules: GrantRules, permit: Permit, mapping_id: str, change: MappingChange, dry_run: bool
) -> Mapped:
    """Raises `auth.errors.NotFound`, `InvalidRequest`, `Conflict` and `LastAdmin`."""
    _maker(permit)
    return await mappings.update_mapping(
        mapping_id, change, dry_run=dry_run, rules=rules, now=datetime.now(UTC)
    )


async def delete_mapping(*, rules: GrantRules, permit: Permit, mapping_id: str, dry_run: bool) -> Mapped:
    """Raises `auth.errors.NotFound` and `LastAdmin`."""
    _maker(permit)
    return await mappings.delete_mapping(mapping_id, dry_run=dry_run, rules=rules, now=datetime.now(UTC))


async def affected_people(
    *, rules: GrantRules, permit: Permit, affected: list[Affected], first: int | None, after: str | None
) -> Page[Profile]:
    """One page of those whom a change affects, by name, with their grants as they are now."""
    _maker(permit)
    size = check_first(first, MOST_PEOPLE)
    cursor = ("", "") if after is None else decode_cursor(after)
    behind = [each for each in affected if each.key > cursor]
    ids = [each.user_id for each in behind[:size]]
    found = await listing.find_people(ids, rules=rules, now=datetime.now(UTC))
    return Page(
        items=[found[user_id] for user_id in ids],
        key=place_of,
        has_next=len(behind) > size,
        has_previous=after is not None,
        total=lambda: len(affected),
    )


def _maker(permit: Permit) -> Identity:
    if permit.identity is None or not permit.scopes:
        raise NotFound
    return permit.identity
