"""Mappings and people as the databases list them: filters, pages, and what special characters do."""

from datetime import UTC, datetime

import pytest

from auth.accounts import ensure_user
from auth.effective import NO_SETTINGS
from auth.errors import InvalidRequest
from auth.identity import Provider
from auth.listing import PeopleFilter, find_groups, list_people
from auth.mappings import MappingFilter, create_mapping, find_mappings, list_mappings
from auth.people import Person
from auth.permissions import Group, Role, Scope
from models.tables import User
from tests.support.hub import EVERYWHERE
from tests.support.people import a_member, register

pytestmark = pytest.mark.usefixtures("database")


async def a_mapping(provider: Provider, group_id: str, name: str, scope: Scope = EVERYWHERE) -> str:
    maker = await ensure_user(Person(Provider.GITHUB, "1"))
    mapped = await create_mapping(
        Group(provider, group_id, name),
        Role.VIEWER,
        scope,
        created_by=maker,
        dry_run=False,
        rules=NO_SETTINGS,
        now=datetime.now(UTC),
    )
    return mapped.mapping.id


async def test_mappings_come_by_name_and_id_in_pages() -> None:
    await register("east")
    made = [await a_mapping(Provider.ENTRA, f"g{n}", f"Name {n % 2}") for n in range(5)]
    made.append(await a_mapping(Provider.OIDC, "g1", "Name 1", Scope("east", ("b", "a", "b"))))
    order = [made[0], made[2], made[4], made[1], made[3], made[5]]
    met: list[str] = []
    after: tuple[str, str] | None = None
    while True:
        page, total = await list_mappings(MappingFilter(), first=2, after=after)
        assert total == 6
        if not page:
            break
        met += [mapping.id for mapping in page]
        after = (page[-1].group.name or "", page[-1].id)
    assert met == order
    for wanted, expected in (
        (MappingFilter(provider=Provider.OIDC), [made[5]]),
        (MappingFilter(group_id="g1"), [made[1], made[5]]),
        (MappingFilter(instance_id="east"), [made[5]]),
        (MappingFilter(instance_id="east", provider=Provider.ENTRA), []),
    ):
        page, total = await list_mappings(wanted, first=10, after=None)
        assert [mapping.id for mapping in page] == expected
        assert total == len(expected)
    found = (await find_mappings([made[5], "map_nothing"]))[made[5]]
    assert found.scope == Scope("east", ("a", "b"))
    assert found.group == Group(Provider.OIDC, "g1", "Name 1")


@pytest.mark.parametrize("group_id", ["1001", "1001/7"])
async def test_groups_of_github_are_numeric(group_id: str) -> None:
    (mapping,) = (await find_mappings([await a_mapping(Provider.GITHUB, f" {group_id}\n", "Team")])).values()
    assert mapping.group.group_id == group_id
    for wrong in ("my-org", "my-org/team", "0", "1001/", "/7", "1001/7/9", "1001 /7"):
        with pytest.raises(InvalidRequest, match="names change hands"):
            await a_mapping(Provider.GITHUB, wrong, "Team")


async def test_people_are_searched_in_any_case_and_by_what_looks_like_a_pattern() -> None:
    for name in ("Ada", "adam", "a%a", "a_a", "Back\\slash"):
        await a_member(name)
    await User.filter(display_name="adam").update(email="Somebody@Example.com")

    async def found(search: str, first: int = 10, after: tuple[str, str] | None = None) -> set[str]:
        wanted = PeopleFilter(search=search)
        people = await list_people(wanted, first=first, after=after, rules=NO_SETTINGS, now=datetime.now(UTC))
        return {person.display_name for person in people.page}

    assert await found("ADA") == {"Ada", "adam"}
    assert await found("%") == {"a%a"}
    assert await found("_") == {"a_a"}
    assert await found("\\") == {"Back\\slash"}
    assert await found("some") == {"adam"}
    assert await found("'; DROP TABLE users; --") == set()


async def test_groups_are_told_by_name() -> None:
    ada, bob = await a_member("ada", "z", "a"), await a_member("bob")
    assert await find_groups([ada, bob]) == {
        ada: [Group(Provider.ENTRA, "a", "A"), Group(Provider.ENTRA, "z", "Z")]
    }
