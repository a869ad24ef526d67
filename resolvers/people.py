"""People: listing and finding them, letting them in or keeping them out."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from auth import accounts, listing
from auth.effective import GrantRules
from auth.identity import Profile
from auth.listing import PeopleFilter
from auth.policy import Permit
from resolvers.errors import NotFound
from resolvers.paging import Page, check_first, decode_cursor

MOST = 100
"""The largest page."""


async def list_people(
    *, rules: GrantRules, permit: Permit, wanted: PeopleFilter, first: int | None, after: str | None
) -> Page[Profile]:
    """One page of people, by name; nobody unless the permit reaches the hub itself."""
    size = check_first(first, MOST)
    cursor = None if after is None else _name_and_id(after)
    if not permit.scopes:
        return Page(items=[], key=place_of, has_next=False, has_previous=False, total=lambda: 0)
    found = await listing.list_people(
        wanted, first=size + 1, after=cursor, rules=rules, now=datetime.now(UTC)
    )
    return Page(
        items=found.page[:size],
        key=place_of,
        has_next=len(found.page) > size,
        has_previous=after is not None,
        total=lambda: found.total,
    )


def place_of(person: Profile) -> tuple[str, str]:
    """In the order of people."""
    return (person.display_name, person.user_id)


def _name_and_id(cursor: str) -> tuple[str, str]:
    name, user_id = decode_cursor(cursor)
    return str(name), user_id


async def find_people(
    *, rules: GrantRules, permit: Permit, user_ids: Collection[str]
) -> Mapping[str, Profile]:
    """People by id, for those whose permit (MANAGE_USERS) reaches the hub itself; else nobody."""
    if not permit.scopes:
        return {}
    return await listing.find_people(user_ids, rules=rules, now=datetime.now(UTC))


async def find_person(*, rules: GrantRules, permit: Permit, user_id: str) -> Profile | None:
    return (await find_people(rules=rules, permit=permit, user_ids=[user_id])).get(user_id)


async def known_person(*, rules: GrantRules, permit: Permit, user_id: str) -> Profile:
    """As `find_person`. Raises `NotFound`."""
    found = await find_person(rules=rules, permit=permit, user_id=user_id)
    if found is None:
        raise NotFound
    return found


async def update_person(*, rules: GrantRules, permit: Permit, user_id: str, active: bool | None) -> Profile:
    """Change what is given. Raises `auth.errors.LastAdmin`, and NotFound."""
    if not permit.scopes:
        raise NotFound
    if active is not None:
        await accounts.set_active(user_id, active=active, rules=rules, now=datetime.now(UTC))
    return await known_person(rules=rules, permit=permit, user_id=user_id)
