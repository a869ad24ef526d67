"""Sessions over GraphQL: where somebody is signed in, and ending it."""

from auth.permissions import Role
from tests.support.asking import bad_fields, code_of, refused
from tests.support.hub import HubUnderTest
from tests.support.people import id_of, sign_in
from tests.support.surface import World
from tests.support.waiting import until

SESSIONS = "{ viewer { sessions { id createdAt lastUsedAt expiresAt ipAddress userAgent current } } }"
REVOKE = """mutation ($input: RevokeSessionsInput!) { revokeSessions(input: $input) {
  user { displayName } revokedSessionIds } }"""


async def ids(hub: HubUnderTest, session: str) -> list[str]:
    found = await hub.data(session, "{ viewer { sessions { id } } }")
    return [each["id"] for each in found["viewer"]["sessions"]]


async def is_ended(hub: HubUnderTest, session: str) -> bool:
    answer = await hub.ask(session, "{ viewer { id } }")
    return "errors" in answer and answer["errors"][0]["extensions"]["reason"] == "SESSION_REVOKED"


async def test_somebody_sees_where_they_are_signed_in(shared_world: World) -> None:
    hub = shared_world.hub
    first, second = await sign_in(hub, "sees"), await sign_in(hub, "sees")
    newest, oldest = (await hub.data(first, SESSIONS))["viewer"]["sessions"]
    assert (newest["current"], oldest["current"]) == (False, True)
    assert (oldest["ipAddress"], oldest["userAgent"]) == ("192.0.2.7", "A browser")
    assert oldest["createdAt"] == oldest["lastUsedAt"] < oldest["expiresAt"]
    assert [each["current"] for each in (await hub.data(second, SESSIONS))["viewer"]["sessions"]] == [
        True,
        False,
    ]


async def test_somebody_ends_one_session_or_all(shared_world: World) -> None:
    hub = shared_world.hub
    here, there, away = [await sign_in(hub, "ends") for _ in range(3)]
    third, second, first = await ids(hub, here)
    ended = await hub.data(here, REVOKE, {"input": {"sessionIds": [second, "ses_nothing"]}})
    assert ended["revokeSessions"] == {"user": {"displayName": "ends"}, "revokedSessionIds": [second]}
    await until(lambda: is_ended(hub, there))
    assert await ids(hub, here) == [third, first]
    assert await bad_fields(hub, here, REVOKE, {"input": {"sessionIds": []}}) == ["sessionIds"]
    ended = await hub.data(here, REVOKE, {"input": {}})
    assert ended["revokeSessions"]["revokedSessionIds"] == [first, third]
    await until(lambda: is_ended(hub, here))
    await until(lambda: is_ended(hub, away))


async def test_others_sessions_are_for_those_who_manage_users(shared_world: World) -> None:
    hub = shared_world.hub
    theirs = await sign_in(hub, "theirs", Role.DEPLOYER)
    own = await sign_in(hub, "own", Role.DEPLOYER)
    (their_session,), their_id = await ids(hub, theirs), await id_of(hub, theirs)
    asked = {"input": {"userId": their_id}}
    assert await code_of(hub, own, REVOKE, asked) == "NOT_FOUND"
    slipped_in = await hub.data(own, REVOKE, {"input": {"sessionIds": [their_session]}})
    assert slipped_in["revokeSessions"]["revokedSessionIds"] == []
    error = await refused(hub, shared_world.admin, REVOKE, asked)  # an admin's, but a token
    assert (error["code"], error["reason"]) == ("FORBIDDEN", "SESSION_REQUIRED")
    assert await ids(hub, theirs) == [their_session]
    admin = await sign_in(hub, "admin")
    assert await code_of(hub, admin, REVOKE, {"input": {"userId": "usr_nobody"}}) == "NOT_FOUND"
    ended = await hub.data(admin, REVOKE, asked)
    assert ended["revokeSessions"]["revokedSessionIds"] == [their_session]
    await until(lambda: is_ended(hub, theirs))
