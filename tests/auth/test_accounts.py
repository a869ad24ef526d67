"""What is written down about people, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from auth.accounts import (
    create_token,
    ensure_user,
    find_user,
    grant_role,
    list_accounts,
    revoke_role,
    revoke_token,
    revoke_tokens_named,
)
from auth.errors import InvalidRequest, NotFound
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.people import Person
from auth.permissions import GrantSource, Role, Scope
from models.database import Database

ADA = Person(Provider.GITHUB, "1001")
BOB = Person(Provider.DEMO, "bob")

pytestmark = pytest.mark.usefixtures("database")


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_person_is_created_once_and_renamed(database: Database) -> None:
    assert database.migrated
    user_id = await ensure_user(ADA)
    assert user_id.startswith("usr_")
    assert await ensure_user(ADA, display_name="Ada Lovelace") == user_id
    assert await ensure_user(ADA) == user_id == await find_user(ADA)
    assert await ensure_user(BOB) != user_id
    assert [(account.person, account.display_name) for account in await list_accounts()] == [
        (BOB, "bob"),
        (ADA, "Ada Lovelace"),
    ]
    with pytest.raises(NotFound, match="github:7"):
        await find_user(Person(Provider.GITHUB, "7"))


async def test_grants_are_given_once_and_taken_back() -> None:
    ada, bob = await ensure_user(ADA), await ensure_user(BOB)
    grant = await grant_role(ada, Role.DEPLOYER, Scope("east", ("b", "a", "b")), granted_by=bob)
    assert grant.id.startswith("grt_")
    assert grant.scope == Scope("east", ("a", "b"))
    assert (grant.source, grant.created_by) == (GrantSource.MANUAL, bob)
    assert grant.created_at is not None
    assert abs(now() - grant.created_at) < timedelta(minutes=1)
    again = await grant_role(ada, Role.DEPLOYER, Scope("east", ("a", "b")), granted_by=None)
    wider = await grant_role(ada, Role.DEPLOYER, Scope("east"), granted_by=None)
    assert again == grant
    assert wider.id != grant.id
    await revoke_role(grant.id)
    accounts = {account.id: account for account in await list_accounts()}
    assert accounts[ada].grants == (wider,)
    assert accounts[bob].grants == ()
    with pytest.raises(NotFound):
        await revoke_role(grant.id)


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (Role.ADMIN, Scope("east")),
        (Role.ADMIN, Scope(None, ("a",))),
        (Role.VIEWER, Scope("east", ())),
    ],
)
async def test_grants_that_make_no_sense_are_refused(role: Role, scope: Scope) -> None:
    ada = await ensure_user(ADA)
    with pytest.raises(InvalidRequest):
        await grant_role(ada, role, scope, granted_by=None)
    assert (await list_accounts())[0].grants == ()


async def test_tokens_are_listed_without_their_secret_and_end_for_good() -> None:
    ada = await ensure_user(ADA)
    limits = TokenLimits(Role.VIEWER, ("east",), ("a", "b"))
    ends = now() + timedelta(days=30)
    info, minted = await create_token(ada, name="ci", limits=limits, expires_at=ends, now=now())
    other, _ = await create_token(ada, name="other", limits=TokenLimits(), expires_at=None, now=now())
    assert info.id.startswith("tok_")
    assert minted.secret.startswith(info.prefix)
    assert (info.limits, info.expires_at, info.revoked_at) == (limits, ends, None)
    (account,) = await list_accounts()
    assert account.tokens == (info, other)
    assert minted.secret not in repr(account)
    revoked = now()
    await revoke_token(info.id, now=revoked)
    await revoke_token(info.id, now=revoked + timedelta(hours=1))
    await revoke_tokens_named("other", user_id=ada, now=revoked + timedelta(hours=2))
    await revoke_tokens_named("ci", user_id=ada, now=revoked + timedelta(hours=3))
    (account,) = await list_accounts()
    assert [token.revoked_at for token in account.tokens] == [revoked, revoked + timedelta(hours=2)]
    with pytest.raises(NotFound):
        await revoke_token("tok_unknown", now=revoked)


@pytest.mark.parametrize(
    ("name", "limits", "days"),
    [
        (" ", TokenLimits(), 1),
        ("n" * 101, TokenLimits(), 1),
        ("ci", TokenLimits(), 0),
        ("ci", TokenLimits(instance_ids=()), 1),
        ("ci", TokenLimits(namespaces=()), 1),
    ],
)
async def test_tokens_that_make_no_sense_are_refused(name: str, limits: TokenLimits, days: int) -> None:
    ada = await ensure_user(ADA)
    at = now()
    with pytest.raises(InvalidRequest):
        await create_token(ada, name=name, limits=limits, expires_at=at + timedelta(days=days), now=at)
