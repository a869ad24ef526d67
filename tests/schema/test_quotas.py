"""Operations under way, by connection and by person: counted over both transports, and given back whatever
ends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from auth.permissions import Role
from schema.limits import Limits
from tests.support.event_streams import EventStream, a_stream, an_http_connection, request
from tests.support.hub import GraphqlSocket, HubUnderTest, running
from tests.support.live import until_nothing_is_held, view_of
from tests.support.waiting import until

INSTANCES = "subscription { instanceEvents { type } }"
MODE = "{ hub { mode } }"
LIMIT = 6
SYNCED = {"type": "SYNCED"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubUnderTest]:
    """One where a connection may have 4 operations and a person 6."""
    limits = Limits(connection_operations=4, person_operations=LIMIT)
    async with running(tmp_path, limits=limits) as hub:
        yield hub
        await until_nothing_is_held(hub)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def by_socket(stack: AsyncExitStack, hub: HubUnderTest, token: str, count: int) -> GraphqlSocket:
    """A connection with so many streams."""
    socket = await stack.enter_async_context(hub.socket(token))
    for number in range(count):
        await socket.subscribe(INSTANCES, operation=str(number))
        assert await socket.next() == SYNCED
    return socket


async def by_stream(stack: AsyncExitStack, hub: HubUnderTest, token: str) -> EventStream:
    stream = await stack.enter_async_context(a_stream(hub, token, INSTANCES))
    assert stream.status == 200
    assert await stream.next() == SYNCED
    return stream


async def refused(hub: HubUnderTest, token: str) -> dict[str, Any]:
    """The answer to one event stream too many."""
    async with a_stream(hub, token, INSTANCES) as stream:
        assert stream.status == 429
        assert stream.headers["content-type"] == "application/json"
        body = await stream.connection.reader.readexactly(int(stream.headers["content-length"]))
        (error,) = json.loads(body)["errors"]
        extensions: dict[str, Any] = error["extensions"]
        return extensions


async def until_under_way(hub: HubUnderTest, count: int) -> None:
    async def stand() -> bool:
        return len(view_of(hub).quota) == count

    await until(stand)


async def test_a_person_has_so_many_over_all_connections(hub: HubUnderTest, stack: AsyncExitStack) -> None:
    ada, bob = await hub.token("ada", Role.VIEWER), await hub.token("bob", Role.VIEWER)
    another = await hub.token("ada")  # another token is the same person
    socket = await by_socket(stack, hub, ada, 3)
    streams = [await by_stream(stack, hub, token) for token in (ada, another, another)]

    extensions = await refused(hub, ada)
    assert extensions["code"] == "LIMIT_EXCEEDED"
    assert extensions["reason"] == "PERSON_OPERATIONS"
    assert (extensions["limit"], extensions["actual"]) == (LIMIT, LIMIT + 1)
    await socket.subscribe(INSTANCES, operation="one more")
    message = await socket.receive()
    assert (message["type"], message["id"]) == ("error", "one more")
    assert message["payload"][0]["extensions"]["reason"] == "PERSON_OPERATIONS"
    await socket.is_quiet()  # the connection and its other streams go on
    await by_stream(stack, hub, bob)  # and so do other people
    assert (await hub.data(ada, MODE))["hub"]["mode"] == "HUB"  # a query needs no place

    streams[0].connection.abort()
    await until_under_way(hub, LIMIT)  # five of Ada's, and Bob's
    await socket.subscribe(INSTANCES, operation="one more")
    assert await socket.next() == SYNCED
    await socket.send(type="complete", id="one more")
    await until_under_way(hub, LIMIT)
    await by_stream(stack, hub, another)
    await stack.aclose()


async def test_a_connection_has_so_many(hub: HubUnderTest, stack: AsyncExitStack) -> None:
    ada = await hub.token("ada", Role.VIEWER)
    socket = await by_socket(stack, hub, ada, 4)
    await socket.send(type="subscribe", id="5", payload={"query": MODE})
    with pytest.raises(ConnectionClosed):
        await socket.raw.recv()
    assert socket.raw.close_code == 1013
    assert "4" in (socket.raw.close_reason or "")
    await stack.aclose()


async def test_what_fails_or_ends_takes_no_place(hub: HubUnderTest, stack: AsyncExitStack) -> None:
    ada = await hub.token("ada", Role.VIEWER)
    socket = await by_socket(stack, hub, ada, 0)
    for number in range(3 * LIMIT):
        query = (MODE, "{ nothing }", "subscription {", "subscription { nothing }")[number % 4]
        await socket.subscribe(query, operation="1")
        while (await socket.receive())["type"] == "next":
            pass
        async with a_stream(hub, ada, query) as stream:
            assert stream.status == 200
    assert len(view_of(hub).quota) == 0
    await stack.aclose()


async def test_a_subscription_may_cost_no_more_than_a_query(tmp_path: Path) -> None:
    async with running(tmp_path, limits=Limits(cost=5)) as hub:
        token = await hub.token("ada", Role.VIEWER)
        query = "subscription { deploymentChanges { events { deployment { id replicas { ready } } } } }"
        async with a_stream(hub, token, query) as stream, hub.socket(token) as socket:
            assert (await stream.failed())["reason"] == "COST"
            await socket.subscribe(query)
            message = await socket.receive()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["reason"] == "COST"


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_ends_an_operation_gives_its_place_back(hub: HubUnderTest, seed: int) -> None:
    """Clients that leave at any moment, in any way, many at a time."""
    token = await hub.token("ada", Role.VIEWER)
    async with asyncio.TaskGroup() as clients:
        for number in range(12):
            client = (_hammer_socket, _hammer_streams)[number % 2]
            clients.create_task(client(hub, token, Random(100 * seed + number)))
    await until_nothing_is_held(hub)
    async with AsyncExitStack() as stack:  # all places are there again
        for _ in range(LIMIT):
            await by_stream(stack, hub, token)


async def _hammer_socket(hub: HubUnderTest, token: str, random: Random) -> None:
    for _ in range(8):
        async with hub.socket(token) as socket:
            with suppress(ConnectionClosed):
                for _ in range(random.randrange(12)):
                    operation = str(random.randrange(4))
                    if random.random() < 0.5:
                        await socket.send(type="complete", id=operation)
                    else:
                        query = random.choice([INSTANCES, INSTANCES, MODE, "{ nothing }"])
                        await socket.subscribe(query, operation=operation)
                    await asyncio.sleep(random.choice([0, 0, 0.001]))
                if random.random() < 0.5:
                    socket.raw.transport.abort()
                elif random.random() < 0.5:
                    await socket.raw.send("{")


async def _hammer_streams(hub: HubUnderTest, token: str, random: Random) -> None:
    for _ in range(25):
        async with an_http_connection(hub) as connection:
            connection.send(request({"query": random.choice([INSTANCES, MODE])}, token=token))
            if random.random() < 0.7:
                with suppress(TimeoutError):
                    async with asyncio.timeout(random.choice([0, 0.001, 0.01])):
                        await connection.head()
            if random.random() < 0.3:
                connection.writer.close()
