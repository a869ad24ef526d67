"""GraphQL over SSE by hand: what stands on the wire, how streams end, and what is left of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from auth.accounts import ensure_user, revoke_token
from auth.identity import Provider
from auth.issuing import Sessions
from auth.people import Person
from auth.permissions import Role
from auth.sessions import SessionTokens
from hub.demo.resources import model_deployments
from models.tables import AccessToken, RoleAssignment, User
from schema.event_stream import KEEP_ALIVE
from tests.support.event_streams import COMPLETE, EventStream, a_stream, an_http_connection, request
from tests.support.hub import hub_settings, running
from tests.support.live import until_cohorts, until_nothing_is_held
from tests.support.simulation import model_deployment
from tests.support.surface import World

MODE = "{ hub { mode } }"
INSTANCES = "subscription { instanceEvents { type instanceId } }"
EVENTS = """
subscription ($filter: DeploymentFilter) {
  deploymentEvents(filter: $filter) { type deploymentId deployment { phase } }
}"""
MODELS = model_deployments()
SYNCED = {"type": "SYNCED", "instanceId": None}


async def until_synced(stream: EventStream) -> None:
    while await stream.next() != SYNCED:
        pass


# ------------------------------------------------------------------ what stands on the wire


async def test_a_deployments_life(world: World) -> None:
    filter_ = {"instanceIds": ["east"]}
    async with a_stream(world.hub, world.admin, EVENTS, {"filter": filter_}) as stream:
        assert (await stream.next())["type"] == "SYNCED"
        world.east.apply(model_deployment("llama"))
        added = await stream.next()
        assert (added["type"], added["deploymentId"]) == ("ADDED", "east/ml-team/llama")
        world.east.patch(MODELS, "ml-team", "llama", {"status": {"phase": "Running"}})
        modified = await stream.next()
        assert (modified["type"], modified["deployment"]) == ("MODIFIED", {"phase": "RUNNING"})
        world.east.delete(MODELS, "ml-team", "llama")
        assert (await stream.next())["type"] == "DELETED"
    await until_nothing_is_held(world.hub)


async def test_a_stream_is_an_event_stream_that_nobody_keeps_or_holds_back(shared_world: World) -> None:
    async with a_stream(shared_world.hub, shared_world.admin, INSTANCES) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["transfer-encoding"] == "chunked"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "no-store" in stream.headers["cache-control"]
        assert stream.headers["x-request-id"]
        assert await stream.block() == b":", "some browsers wait for the first byte of a body"
        await until_synced(stream)


async def test_http_1_0_gets_the_bare_events(shared_world: World) -> None:
    async with an_http_connection(shared_world.hub) as connection:
        asked = {"query": INSTANCES}
        connection.send(request(asked, token=shared_world.admin, version="1.0"))
        stream = await connection.response()
        assert "transfer-encoding" not in stream.headers
        assert stream.headers["connection"] == "close"
        await until_synced(stream)


async def test_an_event_source_asks_by_get(shared_world: World) -> None:
    """It can send no body, and the npm package's own fetch no more than headers."""
    async with an_http_connection(shared_world.hub) as connection:
        path = f"/graphql?query={quote(INSTANCES)}"
        connection.send(request(None, token=shared_world.admin, method="GET", path=path))
        await until_synced(await connection.response())


async def test_a_head_request_starts_no_stream(shared_world: World) -> None:
    async with an_http_connection(shared_world.hub) as connection:
        path = f"/graphql?query={quote(INSTANCES)}"
        connection.send(request(None, token=shared_world.admin, method="HEAD", path=path))
        status, headers = await connection.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        # What comes next on the connection is the answer to the next request.
        connection.send(request({"query": MODE}, token=shared_world.admin))
        assert await (await connection.response()).next() == {"mode": "HUB"}


async def test_a_silent_stream_shows_that_it_is_alive(shared_world: World) -> None:
    """Slow because the silence is the promise."""
    async with a_stream(shared_world.hub, shared_world.admin, INSTANCES) as stream:
        await until_synced(stream)
        began = time.monotonic()
        async with asyncio.timeout(KEEP_ALIVE + 3):
            assert await stream.block() == b":"
        assert time.monotonic() - began > 1


# ------------------------------------------------------------------ what is no stream


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"query": MODE}, {"data": {"hub": {"mode": "HUB"}}}),
        ({"query": "{ viewer { displayName } }"}, {"data": {"viewer": {"displayName": "admin"}}}),
    ],
)
async def test_a_query_is_told_at_once(shared_world: World, asked: Any, told: Any) -> None:
    async with a_stream(shared_world.hub, shared_world.admin, asked["query"]) as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert [await stream.message() for _ in range(3)] == [told, COMPLETE, None]
        assert stream.ended


FAILING = {
    "a syntax error": {"query": "subscription {"},
    "an unknown field": {"query": "subscription { nothing }"},
    "several operations, none named": {"query": f"{INSTANCES.replace('{', 'A {', 1)} query B {MODE}"},
    "two root fields": {"query": "subscription { instanceEvents { type } deploymentEvents { type } }"},
    "a variable of another type": {
        "query": EVENTS,
        "variables": {"filter": {"instanceIds": [["east"]]}},
    },
    "nobody's question": {"query": INSTANCES},
}


@pytest.mark.parametrize("name", FAILING)
async def test_what_is_wrong_with_an_operation_is_told_in_the_stream(shared_world: World, name: str) -> None:
    """As graphql-sse's protocol has it: a browser's EventSource could read nothing of a 400."""
    anonymous = name == "nobody's question"
    async with an_http_connection(shared_world.hub) as connection:
        connection.send(request(FAILING[name], token=None if anonymous else shared_world.admin))
        stream = await connection.response()
        assert stream.status == 200
        extensions = await stream.failed()
        assert extensions["code"] == "UNAUTHENTICATED" if anonymous else "BAD_USER_INPUT"
        assert extensions["requestId"] == stream.headers["x-request-id"].upper()
        assert stream.ended


async def test_a_bad_credential_is_401_before_any_stream(shared_world: World) -> None:
    async with a_stream(shared_world.hub, "kah_" + "x" * 38, INSTANCES) as stream:
        assert stream.status == 401


# ------------------------------------------------------------------ connections


async def test_who_asks_the_same_by_another_transport_is_answered_together(world: World) -> None:
    async with (
        a_stream(world.hub, world.admin, INSTANCES) as one,
        a_stream(world.hub, world.admin, INSTANCES) as other,
        world.hub.socket(world.admin) as socket,
    ):
        await socket.subscribe(INSTANCES)
        for stream in (one, other):
            await until_synced(stream)
        while await socket.next() != SYNCED:
            pass
        await until_cohorts(world.hub, 3)
        (world.hub.credentials / "west.kubeconfig").unlink()
        gone = {"type": "DELETED", "instanceId": "west"}
        for following in (one, other, socket):
            while await following.next() != gone:
                pass
    await until_nothing_is_held(world.hub)


@pytest.mark.parametrize("way", ["closes", "vanishes", "says no more", "pipelines, then vanishes"])
async def test_a_client_that_leaves_takes_everything_along(world: World, way: str) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(a_stream(world.hub, world.admin, INSTANCES)) for _ in range(20)
        ]
        for stream in streams:
            await until_synced(stream)
        await until_cohorts(world.hub, 20)
        for stream in streams:
            match way:
                case "closes":
                    stream.connection.writer.close()
                case "vanishes":
                    stream.connection.abort()
                case "says no more":
                    stream.connection.writer.write_eof()
                case _:
                    stream.connection.send(request({"query": MODE}, token=world.admin))
                    assert (await world.hub.data(world.admin, MODE))["hub"]["mode"] == "HUB"
                    stream.connection.abort()
        if "pipelines" in way:  # nothing is read behind a stream, so that its next bytes find out
            world.east.apply(model_deployment("llama"))
            (world.hub.credentials / "west.kubeconfig").unlink()
        await until_nothing_is_held(world.hub)


async def test_a_connection_goes_on_after_its_stream(shared_world: World) -> None:
    hub = shared_world.hub
    token = await hub.token("goes on", Role.VIEWER)
    async with an_http_connection(hub) as connection:
        connection.send(request({"query": INSTANCES}, token=token))
        stream = await connection.response()
        await until_synced(stream)
        connection.send(request({"query": MODE}, token=shared_world.admin))  # waits behind the stream
        await revoke(hub, "goes on")
        assert (await stream.failed())["code"] == "UNAUTHENTICATED"
        assert stream.ended
        assert await (await connection.response()).next() == {"mode": "HUB"}
        connection.send(request({"query": MODE}, token=shared_world.admin))
        assert await (await connection.response()).next() == {"mode": "HUB"}


async def test_a_connection_that_is_not_to_be_kept_ends_with_its_stream(shared_world: World) -> None:
    hub = shared_world.hub
    token = await hub.token("keeps nothing", Role.VIEWER)
    async with an_http_connection(hub) as connection:
        connection.send(request({"query": INSTANCES}, token=token, connection="close"))
        stream = await connection.response()
        await until_synced(stream)
        await revoke(hub, "keeps nothing")
        assert (await stream.failed())["code"] == "UNAUTHENTICATED"
        assert stream.ended
        assert await connection.is_closed()


async def test_a_subscription_is_asked_for_by_its_hash_alone(shared_world: World) -> None:
    """By Apollo's protocol, as over every transport."""
    digest = sha256(INSTANCES.encode()).hexdigest()
    asked = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
    for body in ({"query": INSTANCES, **asked}, asked):
        async with an_http_connection(shared_world.hub) as connection:
            connection.send(request(body, token=shared_world.admin))
            await until_synced(await connection.response())


# ------------------------------------------------------------------ how streams end


async def revoke(hub: Any, name: str) -> None:
    with hub.running.database.entered():
        token = await AccessToken.get(user__subject=name)
        await revoke_token(token.id, now=datetime.now(UTC))


async def _revoked(user: User) -> None:
    token = await AccessToken.get(user_id=user.id)
    await revoke_token(token.id, now=datetime.now(UTC))


async def _expired(user: User) -> None:
    await AccessToken.filter(user_id=user.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


async def _deactivated(user: User) -> None:
    await User.filter(id=user.id).update(active=False)


async def _stripped(user: User) -> None:
    await RoleAssignment.filter(user_id=user.id).delete()


@pytest.mark.parametrize(
    ("happens", "code", "reason"),
    [
        (_revoked, "UNAUTHENTICATED", "TOKEN_REVOKED"),
        (_expired, "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        (_deactivated, "UNAUTHENTICATED", "ACCOUNT_DEACTIVATED"),
        (_stripped, "FORBIDDEN", "ROLE_REVOKED"),
    ],
)
async def test_who_may_no_longer_look_is_told_why(
    shared_world: World, happens: Callable[[User], Awaitable[None]], code: str, reason: str
) -> None:
    hub, name = shared_world.hub, f"sse-{reason}"
    token = await hub.token(name, Role.VIEWER)
    async with (
        a_stream(hub, token, INSTANCES) as stream,
        a_stream(hub, shared_world.admin, INSTANCES) as other,
    ):
        for each in (stream, other):
            await until_synced(each)
        with hub.running.database.entered():
            await happens(await User.get(provider="demo", subject=name))
        extensions = await stream.failed(within=3)  # API.md has one second; a shared machine needs more
        assert (extensions["code"], extensions["reason"]) == (code, reason)
        assert stream.ended
        await until_cohorts(hub, 1)
        assert not other.ended


async def test_a_session_that_ends_ends_its_streams(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        with hub.running.database.entered():
            user_id = await ensure_user(Person(Provider.DEMO, "admin"))
            tokens = SessionTokens(keys=hub_settings(tmp_path).auth.key_ring())
            sessions = Sessions(tokens=tokens, max_age=timedelta(seconds=2))
            session = (await sessions.begin(user_id, now=datetime.now(UTC))).access_token
        async with a_stream(hub, session, INSTANCES) as stream:
            extensions = await stream.failed()
            assert (extensions["code"], extensions["reason"]) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")


async def test_a_hub_that_shuts_down_cuts_its_streams(tmp_path: Path) -> None:
    """Without `complete`, which graphql-sse would take for a stream that has no more to say."""
    async with AsyncExitStack() as stack:
        async with running(tmp_path) as hub:
            admin = await hub.token("admin", Role.ADMIN)
            streams = [await stack.enter_async_context(a_stream(hub, admin, INSTANCES)) for _ in range(10)]
            for stream in streams:
                await until_synced(stream)
            began = time.monotonic()
        assert time.monotonic() - began < 2
        for stream in streams:
            assert await stream.message() is None
            assert not stream.ended
            assert await stream.connection.is_closed()
