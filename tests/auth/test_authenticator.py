"""Credentials become identities: what each is worth, how often the database is asked, what an outage does."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from auth.accounts import create_token, ensure_user, grant_role, revoke_token
from auth.authenticator import Authenticator
from auth.effective import GrantRules
from auth.errors import IdentityUnavailable, Reason, Unauthenticated
from auth.grants import TokenLimits
from auth.identity import Method, Provider
from auth.issuing import Sessions
from auth.keys import KeyRing, signing_key
from auth.people import Person
from auth.permissions import GrantSource, Role, Scope
from auth.session_rows import revoke_sessions
from auth.sessions import SessionTokens
from auth.tokens import mint
from models.database import open_database
from models.tables import AccessToken, Session, User
from models.url import parse_database_url
from tests.support.databases import PostgresServer

ADA = Person(Provider.GITHUB, "1001")
SESSIONS = SessionTokens(keys=KeyRing(signing_key("secret")))
NO_LIMITS = TokenLimits()
QUERIES = "tortoise.db_client"


def now() -> datetime:
    return datetime.now(UTC)


def an_authenticator(*administrators: Person, fresh_for: float = 1.0, capacity: int = 100) -> Authenticator:
    return Authenticator(
        sessions=SESSIONS,
        rules=GrantRules(administrators=frozenset(administrators)),
        fresh_for=fresh_for,
        capacity=capacity,
    )


async def a_session(user_id: str, at: datetime | None = None, *, tokens: SessionTokens = SESSIONS) -> str:
    """The access token of a session that was begun then."""
    return (await Sessions(tokens=tokens).begin(user_id, now=at or now())).access_token


async def a_token(user_id: str, limits: TokenLimits = NO_LIMITS, expires_at: datetime | None = None) -> str:
    _, minted = await create_token(user_id, name="test", limits=limits, expires_at=expires_at, now=now())
    return minted.secret


async def reason_for(authenticator: Authenticator, credential: str) -> Reason:
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.authenticate(credential)
    return refused.value.reason


@contextmanager
def queries(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collects the SQL that Tortoise sends."""
    caplog.clear()
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG, logger=QUERIES):
        yield seen
    seen += [record.getMessage() for record in caplog.records if record.name == QUERIES]


@pytest.mark.usefixtures("database")
async def test_a_session_has_its_persons_grants() -> None:
    ada = await ensure_user(ADA, display_name="Ada")
    grant = await grant_role(ada, Role.DEPLOYER, Scope("east", ("a",)), granted_by=None)
    session = await a_session(ada)
    identity = await an_authenticator().authenticate(session)
    assert (identity.user_id, identity.display_name, identity.provider) == (ada, "Ada", Provider.GITHUB)
    assert identity.grants == identity.effective == (grant,)
    (row,) = await Session.all()
    assert (identity.method, identity.credential_id) == (Method.SESSION, row.id)
    assert identity.expires_at == row.expires_at


@pytest.mark.usefixtures("database")
async def test_a_token_has_its_persons_grants_cut_to_its_limits() -> None:
    ada = await ensure_user(ADA)
    await grant_role(ada, Role.DEPLOYER, Scope("east", ("a", "b")), granted_by=None)
    token = await a_token(ada, TokenLimits(Role.VIEWER, ("east", "west"), ("b", "c")))
    identity = await an_authenticator().authenticate(token)
    (effective,) = identity.effective
    assert (effective.role, effective.scope) == (Role.VIEWER, Scope("east", ("b",)))
    assert identity.grants[0].role is Role.DEPLOYER
    assert (identity.method, identity.expires_at) == (Method.ACCESS_TOKEN, None)


@pytest.mark.usefixtures("database")
async def test_hub_admins_are_admins_without_a_row() -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(ADA)
    (grant,) = (await authenticator.authenticate(await a_session(ada))).grants
    assert (grant.role, grant.scope, grant.source) == (Role.ADMIN, Scope(), GrantSource.BOOTSTRAP)
    (again,) = (await an_authenticator(ADA).authenticate(await a_session(ada))).grants
    assert again.id == grant.id
    assert grant.id.startswith("grt_")


@pytest.mark.usefixtures("database")
async def test_why_a_credential_is_refused() -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=0)
    assert await reason_for(authenticator, "nonsense") is Reason.INVALID_CREDENTIAL
    assert await reason_for(authenticator, "kah_nonsense") is Reason.INVALID_CREDENTIAL
    assert await reason_for(authenticator, mint().secret) is Reason.INVALID_CREDENTIAL
    nobodys = SESSIONS.sign(user_id="usr_nobody", session_id="ses_1", now=now())
    assert await reason_for(authenticator, nobodys) is Reason.INVALID_CREDENTIAL
    expired = await a_session(ada, now() - timedelta(minutes=16))
    assert await reason_for(authenticator, expired) is Reason.TOKEN_EXPIRED
    info, revoked = await create_token(ada, name="x", limits=NO_LIMITS, expires_at=None, now=now())
    await revoke_token(info.id, now=now())
    assert await reason_for(authenticator, revoked.secret) is Reason.TOKEN_REVOKED
    brief = await a_token(ada, expires_at=now() + timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    assert await reason_for(authenticator, brief) is Reason.TOKEN_EXPIRED
    good = await a_token(ada)
    await User.filter(id=ada).update(active=False)
    for credential in (good, await a_session(ada)):
        assert await reason_for(authenticator, credential) is Reason.ACCOUNT_DEACTIVATED


@pytest.mark.usefixtures("database")
async def test_a_session_is_good_for_as_long_as_its_row() -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=0)
    bob = await ensure_user(Person(Provider.GITHUB, "1002"))
    session = await a_session(ada)
    (row,) = await Session.all()
    stolen = SESSIONS.sign(user_id=bob, session_id=row.id, now=now())
    assert await reason_for(authenticator, stolen) is Reason.INVALID_CREDENTIAL
    ended = await a_session(ada)
    await Session.filter(id__not=row.id).update(expires_at=now())
    assert await reason_for(authenticator, ended) is Reason.TOKEN_EXPIRED
    assert (await authenticator.authenticate(session)).user_id == ada
    await revoke_sessions(ada, now=now())
    assert await reason_for(authenticator, session) is Reason.SESSION_REVOKED
    await Session.all().delete()
    assert await reason_for(authenticator, session) is Reason.SESSION_REVOKED


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("known_before", [True, False])
async def test_what_was_opened_lasts_as_long_as_its_session(known_before: bool) -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=0)
    session = await a_session(ada, tokens=SessionTokens(keys=SESSIONS.keys, lifetime=timedelta(seconds=1)))
    if known_before:
        await authenticator.authenticate(session)
    await asyncio.sleep(1.1)
    assert await reason_for(authenticator, session) is Reason.TOKEN_EXPIRED
    assert (await authenticator.reauthenticate(session)).user_id == ada
    (verdict,) = (await authenticator.refresh([session])).values()
    assert not isinstance(verdict, Exception)
    assert verdict.user_id == ada
    await revoke_sessions(ada, now=now())
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.reauthenticate(session)
    assert refused.value.reason is Reason.SESSION_REVOKED
    (verdict,) = (await authenticator.refresh([session])).values()
    assert isinstance(verdict, Unauthenticated)
    assert verdict.reason is Reason.SESSION_REVOKED


@pytest.mark.usefixtures("sqlite_database")
async def test_a_fresh_identity_costs_no_query(caplog: pytest.LogCaptureFixture) -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=60)
    session, token = await a_session(ada), await a_token(ada)
    with queries(caplog) as cold:
        await authenticator.authenticate(session)
        await authenticator.authenticate(token)
    assert len(cold) == 6
    with queries(caplog) as warm:
        for _ in range(100):
            await authenticator.authenticate(session)
            await authenticator.authenticate(token)
    assert warm == []


@pytest.mark.usefixtures("sqlite_database")
async def test_a_crowd_with_one_credential_asks_once(caplog: pytest.LogCaptureFixture) -> None:
    token, unknown = await a_token(await ensure_user(ADA)), mint().secret
    authenticator = an_authenticator()
    with queries(caplog) as seen:
        crowd = [authenticator.authenticate(credential) for credential in [token, unknown] * 50]
        answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert len([query for query in seen if "access_tokens" in query]) == 2
    assert sum(isinstance(answer, Unauthenticated) for answer in answers) == 50


@pytest.mark.usefixtures("sqlite_database")
async def test_whoever_waits_is_served_when_the_first_in_line_gives_up() -> None:
    token, authenticator = await a_token(await ensure_user(ADA)), an_authenticator()
    first = asyncio.create_task(authenticator.authenticate(token))
    second = asyncio.create_task(authenticator.authenticate(token))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).method is Method.ACCESS_TOKEN
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.usefixtures("sqlite_database")
async def test_what_is_remembered_is_bounded_and_grows_old(caplog: pytest.LogCaptureFixture) -> None:
    ada = await ensure_user(ADA)
    tokens = [await a_token(ada) for _ in range(4)]
    small = an_authenticator(fresh_for=60, capacity=3)
    for token in tokens:
        await small.authenticate(token)
    with queries(caplog) as seen:
        for token in reversed(tokens):
            await small.authenticate(token)
    assert len([query for query in seen if "access_tokens" in query]) == 1
    stale = an_authenticator(fresh_for=0)
    assert (await stale.authenticate(tokens[0])).grants == ()
    await grant_role(ada, Role.VIEWER, Scope(), granted_by=None)
    assert len((await stale.authenticate(tokens[0])).grants) == 1


@pytest.mark.usefixtures("database")
async def test_many_are_refreshed_in_few_queries(caplog: pytest.LogCaptureFixture) -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=60)
    token = await a_token(ada)
    people = [await ensure_user(Person(Provider.GITHUB, str(n))) for n in range(2000, 2100)]
    sessions = [await a_session(person) for person in people]
    before = await authenticator.authenticate(token)
    assert before.effective == ()
    await grant_role(ada, Role.VIEWER, Scope(), granted_by=None)
    with queries(caplog) as seen:
        answers = await authenticator.refresh([token, "nonsense", *sessions])
    assert len(seen) == 10  # four for the slice with the token, three for each of the others
    assert len(answers) == 102
    refreshed = answers[token]
    assert not isinstance(refreshed, Exception)
    assert len(refreshed.effective) == 1
    assert (await authenticator.authenticate(token)).effective == refreshed.effective
    assert isinstance(answers["nonsense"], Unauthenticated)
    assert await authenticator.refresh([]) == {}


@pytest.mark.usefixtures("database")
async def test_use_is_written_down_behind_the_request() -> None:
    ada, authenticator = await ensure_user(ADA), an_authenticator()
    token = await a_token(ada)
    await a_token(ada)
    await authenticator.authenticate(token)
    assert await AccessToken.filter(last_used_at__not_isnull=True).count() == 0
    await authenticator.record_usage()
    (used,) = await AccessToken.filter(last_used_at__not_isnull=True)
    assert token.startswith(used.prefix)
    await AccessToken.all().update(last_used_at=None)
    await authenticator.record_usage()
    assert await AccessToken.filter(last_used_at__not_isnull=True).count() == 0


async def test_an_outage_spares_known_sessions_alone(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_database(parse_database_url(postgres_url)) as database:
        with database.entered():
            ada, authenticator = await ensure_user(ADA), an_authenticator(fresh_for=0)
            known, unknown, token = (
                await a_session(ada),
                await a_session(ada),
                await a_token(ada),
            )
            short = SessionTokens(keys=SESSIONS.keys, lifetime=timedelta(seconds=2))
            ending = await a_session(ada, tokens=short)
            for credential in (known, token, ending):
                await authenticator.authenticate(credential)
            name = postgres_url.rpartition("/")[2]
            postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres_server.sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )

            assert (await authenticator.authenticate(known)).user_id == ada
            assert (await authenticator.refresh([known]))[known] == await authenticator.authenticate(known)
            for credential in (unknown, token):
                with pytest.raises(IdentityUnavailable):
                    await authenticator.authenticate(credential)
            await asyncio.sleep(2)
            assert await reason_for(authenticator, ending) is Reason.TOKEN_EXPIRED
            opened = (await authenticator.refresh([ending]))[ending]
            assert isinstance(opened, Unauthenticated)
            assert opened.reason is Reason.TOKEN_EXPIRED
            await authenticator.record_usage()

            postgres_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            assert (await authenticator.authenticate(token)).user_id == ada
            assert (await authenticator.reauthenticate(ending)).user_id == ada
            await authenticator.record_usage()
            assert await AccessToken.filter(last_used_at__not_isnull=True).count() == 1
