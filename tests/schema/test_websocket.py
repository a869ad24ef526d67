"""The graphql-transport-ws protocol by hand: every close code of API.md, and what closes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from auth.accounts import ensure_user, grant_role, revoke_token
from auth.identity import Provider
from auth.issuing import Issued, Sessions
from auth.people import Person
from auth.permissions import Role, Scope
from auth.session_rows import revoke_sessions
from auth.sessions import LIFETIME, SessionTokens
from hub.demo_users import ensure_demo_users
from models.tables import AccessToken, Session, User
from tests.support.hub import PROTOCOL, GraphqlSocket, HubUnderTest, hub_settings, running
from tests.support.surface import World

MODE = "{ hub { mode } }"
INSTANCES = "subscription { instanceEvents { type instanceId } }"
PYTHON = ("Traceback", "object has no attribute", "NoneType", "unhashable", "dict", "object at 0x")


@asynccontextmanager
async def a_connection(hub: HubUnderTest, **options: Any) -> AsyncIterator[ClientConnection]:
    address = f"ws://127.0.0.1:{hub.port}/graphql"
    settings = {"subprotocols": [Subprotocol(PROTOCOL)], "proxy": None, **options}
    async with connect(address, **settings) as connection:
        yield connection


async def closing(connection: ClientConnection, *, within: float = 10.0) -> tuple[int, str]:
    """The code and the reason that the hub closes with; what it sends before is skipped."""
    async with asyncio.timeout(within):
        with suppress(ConnectionClosed):
            while True:
                await connection.recv()
    assert connection.close_code is not None
    return connection.close_code, connection.close_reason or ""


def subscribe(query: Any, operation: Any = "1", **payload: Any) -> str:
    return json.dumps({"type": "subscribe", "id": operation, "payload": {"query": query, **payload}})


def init(token: str | None = None, **payload: Any) -> str:
    given = {"authorization": f"Bearer {token}", **payload} if token else payload
    return json.dumps({"type": "connection_init", "payload": given})


MALFORMED = {
    "no JSON": "{query",
    "nothing": "",
    "binary": b'{"type": "ping"}',
    "NaN": "NaN",
    "NaN within": '{"type": "ping", "payload": {"x": NaN}}',
    "a number beyond all bounds": '{"type": "ping", "payload": {"x": 1e999}}',
    "five thousand digits": '{"type": "ping", "payload": {"x": ' + "9" * 5_000 + "}}",
    "a key twice": '{"type": "ping", "type": "pong"}',
    "a byte order mark": '\ufeff{"type": "ping"}',
    "deep variables": subscribe(MODE, variables={})[:-4] + '{"x": ' * 9_000 + "1" + "}" * 9_000 + "}}",
    "half a surrogate pair": '{"type": "ping", "payload": {"x": "\\ud800"}}',
    "very deep": "[" * 60_000,
    "a list": "[]",
    "a string": '"ping"',
    "null": "null",
    "a number": "1",
    "no type": "{}",
    "an unknown type": '{"type": "start"}',
    "a type that is no string": '{"type": ["ping"]}',
    "a payload that is no object": '{"type": "ping", "payload": []}',
    "subscribe without an id": '{"type": "subscribe", "payload": {"query": "{ hub { mode } }"}}',
    "an id that is no string": subscribe(MODE, 1),
    "no payload": '{"type": "subscribe", "id": "1"}',
    "a null payload": '{"type": "subscribe", "id": "1", "payload": null}',
    "no query": '{"type": "subscribe", "id": "1", "payload": {}}',
    "an empty query": subscribe(""),
    "a query that is no string": subscribe(1),
    "a null query": subscribe(None),
    "variables that are no object": subscribe(MODE, variables=[]),
    "an operationName that is no string": subscribe(MODE, operationName=1),
    "complete without an id": '{"type": "complete"}',
    "an init that is no object": '{"type": "connection_init", "payload": "x"}',
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_message_closes_with_4400(shared_world: World, frame: str | bytes) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.raw.send(frame)
        code, reason = await closing(socket.raw)
    assert code == 4400
    assert reason
    assert not any(word in reason for word in PYTHON), reason


async def test_text_that_is_no_utf_8_closes_with_1007(shared_world: World) -> None:
    """As WebSocket itself has it (RFC 6455, section 8.1)."""
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.raw.send(b'{"type": "ping", "payload": {"x": "\xff"}}', text=True)
        assert (await closing(socket.raw))[0] == 1007


NO_CREDENTIAL = {
    "none": init(),
    "no payload": '{"type": "connection_init"}',
    "a null payload": '{"type": "connection_init", "payload": null}',
    "null": init(authorization=None),
    "empty": init(authorization=""),
    "no string": init(authorization=1),
    "another scheme": init(authorization="Basic YWRtaW46YWRtaW4="),
    "no token": init(authorization="Bearer "),
    "a mistyped token": init("kah_" + "x" * 38),
    "no token of ours": init("eyJhbGciOiJub25lIn0.e30."),
    "unicode": init("模型\u0000"),
}


@pytest.mark.parametrize("frame", NO_CREDENTIAL.values(), ids=NO_CREDENTIAL)
async def test_no_good_credential_closes_with_4401(shared_world: World, frame: str) -> None:
    async with a_connection(shared_world.hub) as connection:
        await connection.send(frame)
        assert (await closing(connection))[0] == 4401


async def test_an_operation_before_init_closes_with_4401(shared_world: World) -> None:
    async with a_connection(shared_world.hub) as connection:
        await connection.send(subscribe(MODE))
        assert (await closing(connection))[0] == 4401


async def test_a_ping_is_answered_even_before_init(shared_world: World) -> None:
    async with shared_world.hub.socket(None) as socket:
        await socket.is_quiet()


@pytest.mark.parametrize("offered", [None, [Subprotocol("graphql-ws")]])
async def test_another_subprotocol_closes_with_4406(
    shared_world: World, offered: list[Subprotocol] | None
) -> None:
    async with a_connection(shared_world.hub, subprotocols=offered) as connection:
        assert (await closing(connection))[0] == 4406


async def test_no_init_closes_with_4408_after_five_seconds(shared_world: World) -> None:
    """Slow because the five seconds are the promise."""
    async with a_connection(shared_world.hub) as connection:
        began = asyncio.get_running_loop().time()
        assert (await closing(connection, within=15))[0] == 4408
        assert asyncio.get_running_loop().time() - began > 4.5


async def test_a_second_init_closes_with_4429(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.raw.send(init(shared_world.admin))
        assert (await closing(socket.raw))[0] == 4429


async def test_an_id_in_use_closes_with_4409(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.raw.send(subscribe(INSTANCES))
        await socket.raw.send(subscribe(MODE))
        assert (await closing(socket.raw))[0] == 4409


async def test_a_large_frame_closes_with_1009(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.raw.send(subscribe(MODE) + " " * (65_536 - len(subscribe(MODE))))
        assert (await socket.next()) == {"mode": "HUB"}
        await socket.receive()
        await socket.raw.send(subscribe(MODE) + " " * (65_537 - len(subscribe(MODE))))
        assert (await closing(socket.raw))[0] == 1009


async def test_too_many_operations_close_with_1013(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        for number in range(100):
            await socket.raw.send(subscribe(INSTANCES, str(number)))
        synced = 0
        while synced < 100:
            synced += (await socket.next())["type"] == "SYNCED"
        await socket.raw.send(subscribe(MODE, "one more"))
        assert (await closing(socket.raw))[0] == 1013


async def test_shutting_down_closes_with_1012(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        token = await hub.token("admin", Role.ADMIN)
        connection = await connect(
            f"ws://127.0.0.1:{hub.port}/graphql", subprotocols=[Subprotocol(PROTOCOL)], proxy=None
        )
        await connection.send(init(token))
        await connection.recv()
        await connection.send(subscribe(INSTANCES))
        await connection.recv()
    assert (await closing(connection))[0] == 1012
    await connection.wait_closed()


async def test_a_foreign_origin_is_refused_at_the_handshake(shared_world: World) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(
            f"ws://127.0.0.1:{shared_world.hub.port}/graphql",
            subprotocols=[Subprotocol(PROTOCOL)],
            origin=Origin("https://evil.example"),
            proxy=None,
        )
    assert refused.value.response.status_code == 403


async def test_a_foreign_host_is_refused_at_the_handshake(shared_world: World) -> None:
    address = f"ws://evil.example:{shared_world.hub.port}/graphql"
    with pytest.raises(InvalidStatus) as refused:
        await connect(address, host="127.0.0.1", subprotocols=[Subprotocol(PROTOCOL)], proxy=None)
    assert refused.value.response.status_code == 421


# ------------------------------------------------------------------ operations that fail alone

FAILING: Mapping[str, Mapping[str, Any]] = {
    "a syntax error": {"query": "{ hub"},
    "an empty document": {"query": " "},
    "only a fragment": {"query": "fragment F on Hub { mode }"},
    "an unknown field": {"query": "{ nothing }"},
    "an unknown argument": {"query": "{ hub(x: 1) { mode } }"},
    "a missing variable": {"query": "query ($id: ID!) { instance(id: $id) { id } }"},
    "a variable of another type": {
        "query": "query ($first: Int) { instances(first: $first) { totalCount } }",
        "variables": {"first": "many"},
    },
    "several operations, none named": {"query": "query A { hub { mode } } query B { hub { mode } }"},
    "several operations, another one named": {
        "query": "query A { hub { mode } } query B { hub { mode } }",
        "operationName": "C",
    },
    "two root fields of a subscription": {
        "query": "subscription { instanceEvents { type } deploymentEvents { type } }"
    },
    "an enum value that isn't one": {"query": "{ deployments(filter: {phases: [GONE]}) { totalCount } }"},
}


@pytest.mark.parametrize("payload", FAILING.values(), ids=FAILING)
async def test_a_bad_operation_fails_alone(shared_world: World, payload: Mapping[str, Any]) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.send(type="subscribe", id="bad", payload=payload)
        failed = await socket.receive()
        assert (failed["type"], failed["id"]) == ("error", "bad")
        for error in failed["payload"]:
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
            assert error["extensions"]["requestId"]
        # Its id is free again, and the connection goes on.
        await socket.subscribe(MODE, operation="bad")
        assert await socket.next() == {"mode": "HUB"}


async def test_queries_and_mutations_are_answered_and_completed(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.send(
            type="subscribe",
            id="q",
            payload={
                "query": "query A { hub { version } } query B($id: ID!) { instance(id: $id) { id } }",
                "operationName": "B",
                "variables": {"id": "east"},
                "extensions": {"anything": 1},
            },
        )
        answer = {"data": {"instance": {"id": "east"}}}
        assert await socket.receive() == {"id": "q", "type": "next", "payload": answer}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        await socket.subscribe(
            """mutation { createDeployment(input: {
              instanceId: "east", namespace: "ml-team", name: "new", model: {id: "m"}, dryRun: true
            }) { deployment { id } } }"""
        )
        assert await socket.next() == {"deployment": {"id": "east/ml-team/new"}}
        assert (await socket.receive())["type"] == "complete"


async def test_an_error_of_a_field_is_part_of_the_answer(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.subscribe('{ instance(id: "A") { id } hub { mode } }')
        message = await socket.receive()
        assert message["type"] == "next"
        assert message["payload"]["data"] == {"instance": None, "hub": {"mode": "HUB"}}
        assert message["payload"]["errors"][0]["path"] == ["instance"]


async def test_complete_stops_a_stream_and_frees_its_id_at_once(shared_world: World) -> None:
    async with shared_world.hub.socket(shared_world.admin) as socket:
        for _ in range(20):  # sent together, so that they are read together
            await socket.raw.send(subscribe(INSTANCES))
            await socket.send(type="complete", id="1")
        await socket.raw.send(subscribe(MODE))
        while (message := await socket.receive())["type"] == "next":
            answered = message["payload"]["data"]
        assert answered == {"hub": {"mode": "HUB"}}
        assert message == {"id": "1", "type": "complete"}
        await socket.send(type="complete", id="unknown")
        await socket.is_quiet()


async def test_one_connections_trouble_is_not_anothers(shared_world: World) -> None:
    async with (
        shared_world.hub.socket(shared_world.admin) as bad,
        shared_world.hub.socket(shared_world.admin) as good,
    ):
        await good.subscribe(INSTANCES)
        while (await good.next())["type"] != "SYNCED":
            pass
        await bad.raw.send("{")
        await closing(bad.raw)
        await good.is_quiet()


# ------------------------------------------------------------------ credentials that end


async def ended(socket: GraphqlSocket) -> tuple[list[Any], int]:
    """The streams' errors, then the close code. API.md has one second for it; a shared machine needs more."""
    errors: list[Any] = []
    async with asyncio.timeout(3):
        with suppress(ConnectionClosed):
            while True:
                message = json.loads(await socket.raw.recv())
                if message["type"] == "error":
                    errors.append((message["id"], message["payload"][0]["extensions"]))
    assert socket.raw.close_code is not None
    return errors, socket.raw.close_code


async def revoke(user: User) -> None:
    token = await AccessToken.get(user_id=user.id)
    await revoke_token(token.id, now=datetime.now(UTC))


async def expire(user: User) -> None:
    await AccessToken.filter(user_id=user.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


async def deactivate(user: User) -> None:
    await User.filter(id=user.id).update(active=False)


async def remove(user: User) -> None:
    await AccessToken.filter(user_id=user.id).delete()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (revoke, "TOKEN_REVOKED"),
        (expire, "TOKEN_EXPIRED"),
        (deactivate, "ACCOUNT_DEACTIVATED"),
        (remove, "INVALID_CREDENTIAL"),
    ],
)
async def test_a_credential_that_ends_ends_its_streams_then_the_connection(
    shared_world: World, happens: Any, reason: str
) -> None:
    hub, name = shared_world.hub, f"ends-{reason}"
    token = await hub.token(name, Role.ADMIN)
    async with hub.socket(token) as socket, hub.socket(shared_world.admin) as other:
        await socket.subscribe(INSTANCES, operation="a")
        await socket.subscribe("subscription { deploymentEvents { type } }", operation="b")
        await other.subscribe(INSTANCES)
        while (await other.next())["type"] != "SYNCED":
            pass
        with hub.running.database.entered():
            await happens(await User.get(provider="demo", subject=name))
        errors, code = await ended(socket)
        assert code == 4401
        assert {operation for operation, _ in errors} == {"a", "b"}
        for _, extensions in errors:
            assert (extensions["code"], extensions["reason"]) == ("UNAUTHENTICATED", reason)
        await other.is_quiet()


async def a_session(hub: HubUnderTest, folder: Path, *, since: timedelta) -> Issued:
    """Of an admin, begun that long ago."""
    sessions = Sessions(tokens=SessionTokens(keys=hub_settings(folder).auth.key_ring()))
    with hub.running.database.entered():
        user_id = await ensure_user(Person(Provider.DEMO, "admin"))
        await grant_role(user_id, Role.ADMIN, Scope(), granted_by=None)
        return await sessions.begin(user_id, now=datetime.now(UTC) - since)


async def test_an_expired_session_token_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, a_connection(hub) as connection:
        session = await a_session(hub, tmp_path, since=LIFETIME + timedelta(seconds=1))
        await connection.send(init(session.access_token))
        assert (await closing(connection))[0] == 4403


async def test_a_connection_outlives_its_token_and_ends_with_its_session(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        sessions = [await a_session(hub, tmp_path, since=LIFETIME - timedelta(seconds=2)) for _ in range(2)]
        revoked, expired = (session.session_id for session in sessions)
        first, second = (hub.socket(session.access_token) for session in sessions)
        async with first as socket, second as other:
            await socket.subscribe(INSTANCES)
            await asyncio.sleep(3)  # the tokens end, and are looked at again
            await socket.subscribe("{ viewer { isAdmin } }", operation="2")
            while (message := await socket.receive())["id"] != "2":
                pass
            assert message["payload"]["data"]["viewer"] == {"isAdmin": True}
            with hub.running.database.entered():
                user_id = (await Session.get(id=revoked)).user_id
                await revoke_sessions(user_id, only=[revoked], now=datetime.now(UTC))
                await Session.filter(id=expired).update(expires_at=datetime.now(UTC))
            errors, code = await ended(socket)
            assert code == 4401
            assert [extensions["reason"] for _, extensions in errors] == ["SESSION_REVOKED"]
            assert (await closing(other.raw))[0] == 4403


async def test_a_browsers_cookie_signs_a_websocket_in(tmp_path: Path) -> None:
    async with running(tmp_path, demo=True) as hub:
        with hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        signed_in = await hub.http.post("/api/auth/demo", json={"user": "viewer"})
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        origin = Origin(f"http://127.0.0.1:{hub.port}")
        async with a_connection(hub, additional_headers=cookie, origin=origin) as connection:
            socket = GraphqlSocket(connection)
            await socket.send(type="connection_init")
            assert (await socket.receive())["type"] == "connection_ack"
            await socket.subscribe("{ viewer { displayName } }")
            assert await socket.next() == {"displayName": "viewer"}

        # A bearer beats the cookie, and a bad cookie is as good as none.
        async with a_connection(hub, additional_headers=cookie) as connection:
            await connection.send(init("kah_bad"))
            assert (await closing(connection))[0] == 4401
        name, _, value = cookie["Cookie"].partition("=")
        bad = {"Cookie": f"{name}={value[:-2]}"}
        async with a_connection(hub, additional_headers=bad) as connection:
            await connection.send(init())
            assert (await closing(connection))[0] == 4401
