"""What a change on the bus does to identities in memory: those that it concerns are asked for anew."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from auth.accounts import create_token, ensure_user, grant_role, revoke_role, revoke_token
from auth.authenticator import CHANGES, Authenticator
from auth.effective import GrantRules
from auth.errors import Reason, Unauthenticated
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.issuing import Sessions
from auth.keys import KeyRing, signing_key
from auth.people import Person
from auth.permissions import Role, Scope
from auth.session_rows import revoke_sessions
from auth.sessions import SessionTokens
from models.bus import Change, Kind, publish
from models.database import Database
from models.tables import AccessToken, User

ADA, BOB = Person(Provider.GITHUB, "1001"), Person(Provider.GITHUB, "1002")
SESSIONS = SessionTokens(keys=KeyRing(signing_key("secret")))
MEMORY_LASTS = 3600.0
"""Seconds: nothing here is read anew because of its age."""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def authenticator(database: Database) -> AsyncIterator[Authenticator]:
    authenticator = Authenticator(sessions=SESSIONS, rules=GrantRules(), fresh_for=MEMORY_LASTS)
    unsubscribe = database.bus.subscribe(authenticator.heed)
    yield authenticator
    unsubscribe()


async def a_session(user_id: str) -> str:
    return (await Sessions(tokens=SESSIONS).begin(user_id, now=now())).access_token


async def a_token(user_id: str) -> tuple[str, str]:
    """Its id and its secret."""
    info, minted = await create_token(user_id, name="test", limits=TokenLimits(), expires_at=None, now=now())
    return info.id, minted.secret


async def outcome(authenticator: Authenticator, credential: str) -> Reason | int:
    """Why it is refused, or how many grants it has."""
    try:
        return len((await authenticator.authenticate(credential)).grants)
    except Unauthenticated as error:
        return error.reason


async def test_a_persons_change_reaches_all_their_credentials(authenticator: Authenticator) -> None:
    ada = await ensure_user(ADA)
    grant = await grant_role(ada, Role.VIEWER, Scope(), granted_by=None)
    credentials = [await a_session(ada), await a_session(ada), (await a_token(ada))[1]]
    assert [await outcome(authenticator, each) for each in credentials] == [1] * 3
    await revoke_role(grant.id)
    assert [await outcome(authenticator, each) for each in credentials] == [0] * 3
    await grant_role(ada, Role.VIEWER, Scope(), granted_by=None)
    assert [await outcome(authenticator, each) for each in credentials] == [1] * 3


async def test_an_ended_token_or_session_ends_nothing_else(authenticator: Authenticator) -> None:
    ada = await ensure_user(ADA)
    (first_id, first), (_, second) = await a_token(ada), await a_token(ada)
    session, other = await a_session(ada), await a_session(ada)
    credentials = [first, second, session, other]
    assert [await outcome(authenticator, each) for each in credentials] == [0] * 4
    ended = (await authenticator.authenticate(session)).credential_id
    await revoke_token(first_id, now=now())
    await revoke_sessions(ada, only=[ended], now=now())
    assert [authenticator.is_outdated(each) for each in credentials] == [True, False, True, False]
    assert [await outcome(authenticator, each) for each in credentials] == [
        Reason.TOKEN_REVOKED,
        0,
        Reason.SESSION_REVOKED,
        0,
    ]


@pytest.mark.parametrize(
    ("kind", "concerned"),
    [
        ("user", ["ada"]),
        ("mappings", ["ada", "bob"]),
        ("instances", ["ada", "bob"]),
        ("everything", ["ada", "bob"]),
        ("audit", []),
        ("session", []),
        ("token", []),
    ],
)
async def test_whom_a_change_concerns(authenticator: Authenticator, kind: Kind, concerned: list[str]) -> None:
    people = {"ada": await ensure_user(ADA), "bob": await ensure_user(BOB)}
    credentials = {name: await a_session(user_id) for name, user_id in people.items()}
    for credential in credentials.values():
        await authenticator.authenticate(credential)
    await publish(kind, people["ada"])
    assert [name for name in people if authenticator.is_outdated(credentials[name])] == concerned


async def test_what_nobody_told_stays_until_it_is_old(authenticator: Authenticator) -> None:
    """The other tests' changes are seen because they were told."""
    ada = await ensure_user(ADA)
    _, secret = await a_token(ada)
    assert await outcome(authenticator, secret) == 0
    await AccessToken.all().update(revoked_at=now())
    assert await outcome(authenticator, secret) == 0


async def test_a_refusal_is_remembered_no_longer_than_until_the_next_change(
    authenticator: Authenticator,
) -> None:
    ada = await ensure_user(ADA)
    _, secret = await a_token(ada)
    await User.filter(id=ada).update(active=False)
    assert await outcome(authenticator, secret) is Reason.ACCOUNT_DEACTIVATED
    await User.filter(id=ada).update(active=True)
    assert await outcome(authenticator, secret) is Reason.ACCOUNT_DEACTIVATED
    await publish("user", ada)
    assert await outcome(authenticator, secret) == 0


async def test_an_answer_from_before_the_change_is_not_kept(
    authenticator: Authenticator,
) -> None:
    """Somebody asks while the role is being revoked: who asks afterwards gets no share of that answer."""
    ada = await ensure_user(ADA)
    credential = await a_session(ada)
    for _ in range(30):
        grant = await grant_role(ada, Role.VIEWER, Scope(), granted_by=None)
        during = [asyncio.create_task(outcome(authenticator, credential)) for _ in range(3)]
        await asyncio.sleep(0)
        await revoke_role(grant.id)
        assert await outcome(authenticator, credential) == 0
        assert set(await asyncio.gather(*during)) <= {0, 1}
        assert await outcome(authenticator, credential) == 0


async def test_more_changes_than_are_remembered_concern_everybody(authenticator: Authenticator) -> None:
    credential = await a_session(await ensure_user(ADA))
    await authenticator.authenticate(credential)
    for number in range(CHANGES):
        if number == CHANGES // 2:
            assert not authenticator.is_outdated(credential)
        authenticator.heed(Change("user", f"usr_{number}"))
    authenticator.heed(Change("user", "usr_another"))
    assert authenticator.is_outdated(credential)
    await authenticator.authenticate(credential)
    assert not authenticator.is_outdated(credential)
