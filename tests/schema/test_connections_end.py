"""Connections that have ended leave nothing to the garbage collector, which comes by rarely in the hub: what
a flood of them took would be held long after it is over."""

import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from schema.event_stream import EventStream
from schema.http_protocol import HttpProtocol
from schema.sockets import WebSocketProtocol
from schema.websocket import Connection, Running
from tests.support.event_streams import a_stream, an_http_connection, request
from tests.support.hub import PROTOCOL
from tests.support.surface import World
from tests.support.waiting import until

KINDS = (HttpProtocol, WebSocketProtocol, ServerProtocol, EventStream, Connection, Running)
INSTANCES = "subscription { instanceEvents { type } }"
MODE = "{ hub { mode } }"


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in KINDS)


async def no_init(world: World, protocol: str = PROTOCOL) -> None:
    address = f"ws://127.0.0.1:{world.hub.port}/graphql"
    async with connect(address, subprotocols=[Subprotocol(protocol)], proxy=None):
        pass


async def another_protocol(world: World) -> None:
    await no_init(world, "graphql-ws")


async def operations(world: World, *, last: str | None = None) -> None:
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(INSTANCES, operation="1")
        await socket.next()
        await socket.subscribe(MODE, operation="2")
        while (await socket.receive())["id"] != "2":
            pass
        if last is not None:
            await socket.raw.send(last)
            with suppress(ConnectionClosed):
                while True:
                    await socket.raw.recv()


async def something_malformed(world: World) -> None:
    await operations(world, last="{")


async def queries(world: World) -> None:
    async with an_http_connection(world.hub) as connection:
        for _ in range(2):
            connection.send(request({"query": MODE}, token=world.admin))
            await (await connection.response()).next()


async def an_event_stream(world: World) -> None:
    async with a_stream(world.hub, world.admin, INSTANCES) as stream:
        await stream.next()


Use = Callable[[World], Awaitable[None]]
USES: tuple[Use, ...] = (no_init, another_protocol, operations, something_malformed, queries, an_event_stream)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("use", USES)
async def test_nothing_waits_for_the_garbage_collector(shared_world: World, use: Use) -> None:
    before = alive()
    for _ in range(10):
        await use(shared_world)

    async def nothing_more() -> bool:
        return not alive() - before

    try:
        await until(nothing_more, within=5)
    except TimeoutError:
        pytest.fail(f"left: {alive() - before}")
