"""Sessions begin, are refreshed and end: on both databases, also when everything happens at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from auth.accounts import ensure_user
from auth.errors import Reason, Unauthenticated
from auth.identity import Provider
from auth.issuing import GRACE, REFRESH_LIFETIME, Issued, Sessions
from auth.keys import KeyRing, signing_key
from auth.people import Person
from auth.refresh_tokens import RefreshTokens, read_refresh_token
from auth.session_rows import KEPT, list_sessions, revoke_sessions, sweep_sessions
from auth.sessions import SessionTokens
from models.bus import Change
from models.database import Database
from models.ids import new_id
from models.tables import Session, User
from tests.support.changes import hearing

KEY, NEXT = signing_key("one"), signing_key("two")
SESSIONS = Sessions(tokens=SessionTokens(keys=KeyRing(KEY)))
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

pytestmark = pytest.mark.usefixtures("database")


async def ada() -> str:
    return await ensure_user(Person(Provider.GITHUB, "1001"))


async def begun(sessions: Sessions = SESSIONS, *, now: datetime = NOW) -> Issued:
    return await sessions.begin(await ada(), now=now, ip_address="192.0.2.7", user_agent="Browser/1")


def secret(issued: Issued) -> str:
    assert issued.refresh_token is not None
    return issued.refresh_token


async def refused(refresh_token: str, *, now: datetime = NOW, sessions: Sessions = SESSIONS) -> Reason:
    with pytest.raises(Unauthenticated) as error:
        await sessions.refresh(refresh_token, now=now)
    return error.value.reason


async def test_a_session_begins_with_both_tokens_and_only_a_digest_is_written() -> None:
    issued = await begun()
    claims = SESSIONS.tokens.verify(issued.access_token, even_expired=True)
    assert (claims.user_id, claims.session_id) == (issued.user_id, issued.session_id)
    assert claims.expires_at == NOW + QUARTER
    assert (issued.access_seconds, issued.refresh_seconds) == (900, 7 * 24 * 3600)
    row = await Session.get(id=issued.session_id)
    assert secret(issued) not in repr(vars(row))
    assert secret(issued) not in repr(issued)
    assert issued.access_token not in repr(issued)
    (info,) = await list_sessions(issued.user_id, now=NOW)
    assert (info.ip_address, info.user_agent) == ("192.0.2.7", "Browser/1")
    assert (info.created_at, info.last_used_at, info.expires_at) == (NOW, NOW, NOW + REFRESH_LIFETIME)


async def test_a_refresh_token_gives_way_to_its_successor() -> None:
    issued, now = await begun(), NOW
    seen = {secret(issued)}
    for _ in range(3):
        now += timedelta(days=6)
        issued = await SESSIONS.refresh(secret(issued), now=now)
        claims = SESSIONS.tokens.verify(issued.access_token, even_expired=True)
        assert claims.expires_at == now + QUARTER
        seen.add(secret(issued))
    assert len(seen) == 4
    (info,) = await list_sessions(issued.user_id, now=now)
    assert (info.created_at, info.last_used_at, info.expires_at) == (NOW, now, now + REFRESH_LIFETIME)


async def test_within_the_grace_a_used_one_is_answered_with_the_same_successor() -> None:
    first = await begun()
    second = await SESSIONS.refresh(secret(first), now=NOW)
    again = await SESSIONS.refresh(secret(first), now=NOW + GRACE)
    assert secret(again) == secret(second)
    assert again.access_token != second.access_token
    third = await SESSIONS.refresh(secret(again), now=NOW + QUARTER)
    assert secret(third) != secret(second)


async def test_after_the_grace_it_ends_the_session() -> None:
    first = await begun()
    second = await SESSIONS.refresh(secret(first), now=NOW)
    late = NOW + GRACE + timedelta(milliseconds=1)
    assert await refused(secret(first), now=late) is Reason.SESSION_REVOKED
    assert await refused(secret(second), now=late) is Reason.SESSION_REVOKED
    assert await list_sessions(first.user_id, now=late) == []


async def test_one_that_was_used_long_ago_ends_the_session_however_often_it_was_refreshed() -> None:
    issued = first = await begun()
    for _ in range(3):
        issued = await SESSIONS.refresh(secret(issued), now=NOW)
    assert await refused(secret(first)) is Reason.SESSION_REVOKED
    assert await refused(secret(issued)) is Reason.SESSION_REVOKED


async def test_an_invented_token_ends_nothing() -> None:
    issued = await begun()
    invented = RefreshTokens(KeyRing(NEXT)).first(issued.session_id).secret
    assert await refused(invented) is Reason.INVALID_CREDENTIAL
    assert await SESSIONS.end(invented, now=NOW) is None
    assert await refused(RefreshTokens(KeyRing(KEY)).first(new_id("ses")).secret) is Reason.INVALID_CREDENTIAL
    assert await refused("nonsense") is Reason.INVALID_CREDENTIAL
    assert (await SESSIONS.refresh(secret(issued), now=NOW)).session_id == issued.session_id


async def test_a_token_waits_seven_days_to_be_used() -> None:
    issued = await begun()
    assert await refused(secret(issued), now=NOW + REFRESH_LIFETIME) is Reason.TOKEN_EXPIRED
    last_moment = NOW + REFRESH_LIFETIME - timedelta(seconds=1)
    assert (await SESSIONS.refresh(secret(issued), now=last_moment)).session_id == issued.session_id


async def test_a_session_ends_at_its_age_however_often_it_is_refreshed() -> None:
    sessions = Sessions(tokens=SESSIONS.tokens, max_age=timedelta(days=10))
    issued = await begun(sessions)
    issued = await sessions.refresh(secret(issued), now=NOW + timedelta(days=5))
    assert issued.refresh_seconds == 5 * 24 * 3600
    end = NOW + timedelta(days=10)
    issued = await sessions.refresh(secret(issued), now=end - timedelta(minutes=5))
    assert issued.access_seconds == issued.refresh_seconds == 300
    assert sessions.tokens.verify(issued.access_token, even_expired=True).expires_at == end
    assert await refused(secret(issued), now=end, sessions=sessions) is Reason.TOKEN_EXPIRED


async def test_a_session_shorter_than_a_refresh_token() -> None:
    issued = await begun(Sessions(tokens=SESSIONS.tokens, max_age=timedelta(minutes=1)))
    assert issued.access_seconds == issued.refresh_seconds == 60


async def test_many_refresh_at_once_and_all_go_on() -> None:
    issued = await begun()
    for _ in range(5):
        answers = await asyncio.gather(*(SESSIONS.refresh(secret(issued), now=NOW) for _ in range(20)))
        assert len({answer.refresh_token for answer in answers}) == 1
        assert secret(answers[0]) != secret(issued)
        issued = answers[0]
    assert len(await list_sessions(issued.user_id, now=NOW)) == 1


async def test_of_refreshing_and_revoking_at_once_revoking_wins() -> None:
    for _ in range(10):
        issued = await begun()
        await asyncio.gather(
            *(SESSIONS.refresh(secret(issued), now=NOW) for _ in range(5)),
            revoke_sessions(issued.user_id, now=NOW),
            *(SESSIONS.refresh(secret(issued), now=NOW) for _ in range(5)),
            return_exceptions=True,
        )
        assert await refused(secret(issued)) is Reason.SESSION_REVOKED
        assert (await Session.get(id=issued.session_id)).revoked_at == NOW


async def test_rotated_keys_go_on_with_every_session() -> None:
    issued = await begun()
    second = await SESSIONS.refresh(secret(issued), now=NOW)
    rotated = Sessions(tokens=SessionTokens(keys=KeyRing(NEXT, previous=KEY)))
    within_grace = await rotated.refresh(secret(issued), now=NOW)
    assert within_grace.refresh_token == second.refresh_token
    third = await rotated.refresh(secret(second), now=NOW + QUARTER)
    assert rotated.tokens.verify(third.access_token, even_expired=True).session_id == issued.session_id
    only_new = Sessions(tokens=SessionTokens(keys=KeyRing(NEXT)))
    assert (await only_new.refresh(secret(third), now=NOW + 2 * QUARTER)).session_id == issued.session_id


async def test_keys_that_were_replaced_outright_go_on_where_the_token_is_the_sessions() -> None:
    """Its digest is enough. Of what was used before, nothing is known any more but that it isn't good."""
    first = await begun()
    second = await SESSIONS.refresh(secret(first), now=NOW)
    replaced = Sessions(tokens=SessionTokens(keys=KeyRing(NEXT)))
    tab = await replaced.refresh(secret(first), now=NOW)
    assert tab.refresh_token is None
    assert (await replaced.refresh(secret(second), now=NOW)).session_id == first.session_id
    assert await refused(secret(first), sessions=replaced) is Reason.INVALID_CREDENTIAL


async def test_a_deactivated_person_is_refused_and_the_session_waits() -> None:
    issued = await begun()
    await User.filter(id=issued.user_id).update(active=False)
    assert await refused(secret(issued)) is Reason.ACCOUNT_DEACTIVATED
    await User.filter(id=issued.user_id).update(active=True)
    assert (await SESSIONS.refresh(secret(issued), now=NOW)).session_id == issued.session_id


async def test_signing_out_by_the_refresh_token_ends_the_session() -> None:
    issued, other = await begun(), await begun()
    assert await SESSIONS.end(secret(issued), now=NOW) == issued.session_id
    assert await SESSIONS.end(secret(issued), now=NOW) is None
    assert await SESSIONS.end("nonsense", now=NOW) is None
    assert await refused(secret(issued)) is Reason.SESSION_REVOKED
    assert [info.id for info in await list_sessions(issued.user_id, now=NOW)] == [other.session_id]


async def test_one_some_all_but_one_and_all_are_revoked() -> None:
    one, two, three, four = [(await begun()).session_id for _ in range(4)]
    me = await ada()
    bob = await SESSIONS.begin(await ensure_user(Person(Provider.GITHUB, "1002")), now=NOW)
    assert await revoke_sessions(me, only=[one, bob.session_id, "ses_none"], now=NOW) == [one]
    assert await revoke_sessions(me, only=[], now=NOW) == []
    assert await revoke_sessions(me, but=three, now=NOW) == [two, four]
    assert await revoke_sessions(me, now=NOW) == [three]
    assert await revoke_sessions(me, now=NOW) == []
    assert [info.id for info in await list_sessions(bob.user_id, now=NOW)] == [bob.session_id]


async def test_a_revoked_session_keeps_no_providers_token() -> None:
    session_id = new_id("ses")
    await SESSIONS.begin(await ada(), now=NOW, session_id=session_id, provider_token="sealed")
    assert (await Session.get(id=session_id)).provider_token == "sealed"
    await revoke_sessions(await ada(), now=NOW)
    assert (await Session.get(id=session_id)).provider_token is None


async def test_beginnings_and_ends_are_told_and_refreshing_changes_nothing(database: Database) -> None:
    async with hearing(database) as heard:
        first = await begun()
        second = await SESSIONS.refresh(secret(first), now=NOW)
        assert await refused(secret(first), now=NOW + 2 * GRACE) is Reason.SESSION_REVOKED
        assert await refused(secret(second), now=NOW + 2 * GRACE) is Reason.SESSION_REVOKED
        await revoke_sessions(first.user_id, now=NOW)
        last = await begun()
        told = [first.session_id, first.session_id, last.session_id]
        await heard.becomes(*(Change("session", session_id) for session_id in told))


async def test_rows_are_swept_a_day_after_their_end() -> None:
    lasting, revoked = await begun(), await begun()
    await revoke_sessions(revoked.user_id, only=[revoked.session_id], now=NOW)
    assert await sweep_sessions(now=NOW + KEPT) == 0
    assert await sweep_sessions(now=NOW + KEPT + timedelta(seconds=1)) == 1
    assert await refused(secret(revoked)) is Reason.INVALID_CREDENTIAL
    assert await sweep_sessions(now=NOW + REFRESH_LIFETIME + KEPT) == 0
    assert read_refresh_token(secret(lasting)).session_id == lasting.session_id
    assert await sweep_sessions(now=NOW + REFRESH_LIFETIME + KEPT + timedelta(seconds=1)) == 1
