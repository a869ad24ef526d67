"""What a client that is slow, silent or endless may hold of the server.

Slow, about 30 seconds: what is waited for are the limits themselves.
"""

import asyncio
import time
from contextlib import AsyncExitStack

from hub.demo.load import populate
from schema.http_protocol import HEAD_LIMIT, REQUEST_WITHIN
from schema.sockets import STALLED_AFTER
from tests.support.event_streams import HttpConnection, a_stream, an_http_connection, request
from tests.support.replaying import RECEIVE_BUFFER
from tests.support.surface import World, until_ids

MODE = {"query": "{ hub { mode } }"}
INSTANCES = "subscription { instanceEvents { type } }"
COUNT = 1_000
FIELDS = " ".join(f"a{number}: uid" for number in range(45))
LARGE = f"{{ deployments(first: {COUNT}) {{ nodes {{ {FIELDS} }} }} }}"
"""An answer of some 2 MB."""
SLOWLY = 80_000
"""Bytes a second: what the kernel doesn't hold of the answer takes well over the 15 seconds of a stall."""


async def closed(connection: HttpConnection, since: float) -> float:
    """After how many seconds the hub closed it."""
    assert await connection.is_closed()
    return time.monotonic() - since


async def test_requests_that_never_come_whole_are_waited_for_no_longer_than_20_seconds(
    shared_world: World,
) -> None:
    whole = request(MODE, token=shared_world.admin)
    async with AsyncExitStack() as stack:
        late = [await stack.enter_async_context(an_http_connection(shared_world.hub)) for _ in range(5)]
        _silent, head, body, second, trickle = late
        stream = await stack.enter_async_context(a_stream(shared_world.hub, shared_world.admin, INSTANCES))
        socket = await stack.enter_async_context(shared_world.hub.socket(shared_world.admin))
        while (await stream.next())["type"] != "SYNCED":
            pass
        stream.connection.send(whole[:-5])
        began = time.monotonic()
        head.send(whole[:40])
        body.send(whole[:-5])
        second.send(whole + whole[:-5])
        assert await (await second.response()).next() == {"mode": "HUB"}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_trickle(trickle, whole))
            waited = [tasks.create_task(closed(each, began)) for each in late]
        for each in waited:
            assert REQUEST_WITHIN - 1 < each.result() < REQUEST_WITHIN + 5
        # Who sent theirs is not meant, nor who waits for us.
        assert [await stream.block() for _ in range(2)] == [b":", b":"]  # after 12 and 24 seconds
        await socket.is_quiet()


async def _trickle(connection: HttpConnection, data: bytes) -> None:
    """A byte every second."""
    for byte in data[: round(REQUEST_WITHIN)]:
        connection.send(bytes([byte]))
        await asyncio.sleep(1)


async def test_a_head_that_never_ends_is_431(shared_world: World) -> None:
    async with an_http_connection(shared_world.hub) as connection:
        connection.send((b"GET /graphql HTTP/1.1\r\nx-header: " + b"x" * HEAD_LIMIT)[: HEAD_LIMIT + 1])
        status, headers = await connection.head()
        assert (status, headers["connection"]) == (431, "close")
        assert await connection.is_closed()


async def test_a_large_head_that_ends_is_answered(shared_world: World) -> None:
    async with an_http_connection(shared_world.hub) as connection:
        connection.send(request(MODE, token=shared_world.admin, x_header="x" * (HEAD_LIMIT - 1_000)))
        assert await (await connection.response()).next() == {"mode": "HUB"}


async def test_headers_behind_a_body_change_nothing(shared_world: World) -> None:
    """Or they would be headers that nobody judged, without end."""
    async with an_http_connection(shared_world.hub) as connection:
        head, _, body = request("no object", token=shared_world.admin).partition(b"\r\n\r\n")
        head = head.replace(b"content-length: %d" % len(body), b"transfer-encoding: chunked")
        head = head.replace(b"accept: text/event-stream\r\n", b"")
        chunks = b"%x\r\n%b\r\n0\r\naccept: application/graphql-response+json\r\n\r\n" % (len(body), body)
        connection.send(head + b"\r\n\r\n" + chunks)
        status, headers = await connection.head()
        assert (status, headers["content-type"]) == (400, "application/json")


async def test_an_answer_is_sent_as_long_as_it_is_taken(world: World) -> None:
    """A reader that is slow gets all of it, one that takes nothing is dropped."""
    populate(world.east, count=COUNT, namespaces=["ml-team"])
    await until_ids(world, *(f"east/ml-team/model-{number:05}" for number in range(COUNT)))
    async with (
        an_http_connection(world.hub, receive_buffer=RECEIVE_BUFFER) as slow,
        an_http_connection(world.hub, receive_buffer=RECEIVE_BUFFER) as stalled,
    ):
        for connection in (slow, stalled):
            connection.send(request({"query": LARGE}, token=world.admin, accept="application/json"))
        _, headers = await slow.head()
        began, left = time.monotonic(), int(headers["content-length"])
        while left:
            data = await slow.reader.read(RECEIVE_BUFFER)
            assert data, f"cut when {left} bytes were left"
            left -= len(data)
            await asyncio.sleep(RECEIVE_BUFFER / SLOWLY)
        assert time.monotonic() - began > STALLED_AFTER + 5
        # What the kernel had taken is still there for the other one, and then the connection's end.
        _, headers = await stalled.head()
        taken = 0
        try:
            while data := await stalled.reader.read(65_536):
                taken += len(data)
        except ConnectionError:
            pass
        assert taken < int(headers["content-length"]) / 2
