"""Nobody can take away the last admin who can sign in: not by a role, an account or a mapping. On both
databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from auth.accounts import ensure_user, grant_role, revoke_role, set_active
from auth.effective import GrantRules
from auth.errors import LastAdmin
from auth.identity import Provider
from auth.mappings import MappingChange, create_mapping, delete_mapping, update_mapping
from auth.people import Person
from auth.permissions import Group, Role, Scope
from models.tables import RoleAssignment, User
from tests.support.people import a_member, put_into_groups

pytestmark = pytest.mark.usefixtures("database")

ADA, BOB = Person(Provider.ENTRA, "ada"), Person(Provider.GITHUB, "1001")
RULES = GrantRules(sign_in=frozenset({Provider.ENTRA, Provider.GITHUB}))


def now() -> datetime:
    return datetime.now(UTC)


async def an_admin(person: Person) -> tuple[str, str]:
    """Their id, and their grant's."""
    user_id = await ensure_user(person)
    return user_id, (await grant_role(user_id, Role.ADMIN, Scope(), granted_by=None)).id


async def map_admins(group_id: str) -> str:
    mapped = await create_mapping(
        Group(Provider.ENTRA, group_id, "Admins"),
        Role.ADMIN,
        Scope(),
        created_by=await ensure_user(ADA),
        dry_run=False,
        rules=RULES,
        now=now(),
    )
    return mapped.mapping.id


async def stays(user_id: str, grant_id: str, rules: GrantRules = RULES) -> bool:
    """Whether neither the grant nor the account can be taken from somebody."""
    refused = []
    for act in (
        lambda: revoke_role(grant_id, rules=rules, now=now()),
        lambda: set_active(user_id, active=False, rules=rules, now=now()),
    ):
        try:
            await act()
        except LastAdmin:
            refused.append(act)
    active, grants = await User.filter(id=user_id, active=True).count(), await RoleAssignment.all().count()
    assert bool(active) == bool(grants) == bool(refused)  # refused, and undone; or done
    return len(refused) == 2


async def test_an_admin_may_go_while_there_is_another_one() -> None:
    ada, bob = await an_admin(ADA), await an_admin(BOB)
    await revoke_role(ada[1], rules=RULES, now=now())
    assert await stays(*bob)


async def test_a_deactivated_admin_is_none() -> None:
    ada, bob = await an_admin(ADA), await an_admin(BOB)
    await set_active(ada[0], active=False, rules=RULES, now=now())
    await RoleAssignment.filter(id=ada[1]).delete()
    assert await stays(*bob)


async def test_an_admin_of_a_provider_that_is_off_is_none() -> None:
    """Nobody can sign in there, so nobody could undo anything."""
    await an_admin(ADA)
    bob = await an_admin(BOB)
    await RoleAssignment.filter(user_id__not=bob[0]).update(user_id=await ensure_user(ADA))
    only_github = GrantRules(sign_in=frozenset({Provider.GITHUB}))
    with pytest.raises(LastAdmin):
        await revoke_role(bob[1], rules=only_github, now=now())
    await revoke_role(bob[1], rules=RULES, now=now())


async def test_those_of_the_settings_count_even_before_they_came() -> None:
    grant = await an_admin(ADA)
    rules = GrantRules(administrators=frozenset({BOB}), sign_in=RULES.sign_in)
    assert not await stays(*grant, rules)


async def test_those_of_the_settings_count_unless_they_are_kept_out() -> None:
    grant = await an_admin(ADA)
    await User.filter(id=await ensure_user(BOB)).update(active=False)
    assert await stays(*grant, GrantRules(administrators=frozenset({BOB}), sign_in=RULES.sign_in))


async def test_one_of_the_settings_may_be_kept_out_while_there_is_another_one() -> None:
    bob = await ensure_user(BOB)
    rules = GrantRules(administrators=frozenset({BOB}), sign_in=RULES.sign_in)
    with pytest.raises(LastAdmin):
        await set_active(bob, active=False, rules=rules, now=now())
    await an_admin(ADA)
    await set_active(bob, active=False, rules=rules, now=now())


@pytest.mark.parametrize(("hours", "counts"), [(1, True), (25, False)])
async def test_those_of_a_group_count_while_their_groups_are_fresh(hours: int, *, counts: bool) -> None:
    grant = await an_admin(ADA)
    await map_admins("admins")
    await a_member("member", "admins", ago=timedelta(hours=hours))
    other = await ensure_user(BOB)  # in a group of that name, at another provider
    await put_into_groups(other, ["admins"])
    assert await stays(*grant) is not counts


async def test_a_mapping_that_makes_the_only_admins_stays() -> None:
    mapping_id = await map_admins("admins")
    await a_member("member", "admins")

    async def narrow() -> None:
        change = MappingChange(role=Role.DEPLOYER)
        await update_mapping(mapping_id, change, dry_run=False, rules=RULES, now=now())

    async def delete() -> None:
        await delete_mapping(mapping_id, dry_run=False, rules=RULES, now=now())

    for change in (narrow, delete):
        with pytest.raises(LastAdmin):
            await change()
    await an_admin(ADA)
    await narrow()
    await delete()


async def test_where_there_is_none_nothing_is_lost() -> None:
    """A database that the command line is just filling."""
    ada, grant_id = await an_admin(ADA)
    await User.filter(id=ada).update(active=False)
    await revoke_role(grant_id, rules=RULES, now=now())


async def test_of_two_who_take_the_role_from_each_other_one_succeeds() -> None:
    ada, bob = await an_admin(ADA), await an_admin(BOB)
    for _ in range(5):
        outcomes = await asyncio.gather(
            revoke_role(ada[1], rules=RULES, now=now()),
            set_active(bob[0], active=False, rules=RULES, now=now()),
            return_exceptions=True,
        )
        assert [isinstance(outcome, LastAdmin) for outcome in outcomes].count(True) == 1, outcomes
        await User.all().update(active=True)
        ada, bob = await an_admin(ADA), await an_admin(BOB)
