"""Clients of the deployment stream that can stop reading, and what they make of what they hear."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.event_streams import EventStream, a_stream
from tests.support.hub import PROTOCOL, HubClient

FIELDS = "id uid resourceVersion phase namespace"
EVENTS = f"""
subscription ($filter: DeploymentFilter, $includeInitial: Boolean = true) {{
  deploymentEvents(filter: $filter, includeInitial: $includeInitial) {{
    type instanceId deploymentId deployment {{ {FIELDS} }}
  }}
}}"""
QUERY = f"""
query ($filter: DeploymentFilter, $after: String) {{
  deployments(filter: $filter, first: 1000, after: $after) {{
    nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
RECEIVE_BUFFER = 4_096
"""Bytes that the kernel takes for a client that doesn't read; the least it allows, doubled by itself."""

Json = dict[str, Any]


class Replay:
    """The state that a stream's events add up to. Events that can't be fail the test."""

    def __init__(self) -> None:
        self.shown: dict[str, Json] = {}
        self.live: dict[str, bool] = {}
        """By instance, whether SYNCED or STALE came last."""
        self.count = 0

    def take(self, event: Json) -> None:
        self.count += 1
        key, state = event["deploymentId"], event["deployment"]
        match event["type"]:
            case "SYNCED" | "STALE" as marker:
                assert self.live.get(event["instanceId"]) is not (marker == "SYNCED"), event
                self.live[event["instanceId"]] = marker == "SYNCED"
            case "ADDED":
                assert key not in self.shown, event
                self.shown[key] = state
            case "MODIFIED":
                assert self.shown[key]["uid"] == state["uid"], event
                self.shown[key] = state
            case "DELETED":
                assert state is None or self.shown[key]["uid"] == state["uid"], event
                del self.shown[key]


class Source(Protocol):
    """One subscription, by some transport."""

    async def receive(self) -> Json | None:
        """The next execution result; None at the end."""
        ...

    async def complete(self) -> None:
        """Want no more of it."""
        ...

    def abort(self) -> None:
        """As when the client's machine vanishes."""
        ...


class Client:
    """A subscription that is read as long as `reading` is set."""

    def __init__(self, source: Source, replay: Replay) -> None:
        self.replay = replay
        self.reading = asyncio.Event()
        self.reading.set()
        self.errors: list[Json] = []
        """What ended the subscription."""
        self.complete = source.complete
        self.abort = source.abort
        self._source = source
        self._news = asyncio.Event()

    async def listen(self) -> None:
        while True:
            await self.reading.wait()
            result = await self._source.receive()
            if result is None:
                break
            if "errors" in result:
                self.errors += result["errors"]
            else:
                self.replay.take(result["data"]["deploymentEvents"])
            self._news.set()
        self._news.set()

    async def until(self, condition: Callable[[], bool], *, within: float = 20.0) -> None:
        """Until it holds, looking again at every message."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            replay = self.replay
            raise AssertionError(
                f"not within {within} s: {replay.count} events, {self.errors}, {replay.live}, {replay.shown}"
            ) from error


class _WebSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self) -> Json | None:
        try:
            message = json.loads(await self._connection.recv())
        except ConnectionClosed:
            return None
        if message["type"] == "error":
            return {"errors": message["payload"]}
        assert message["type"] == "next", message
        result: Json = message["payload"]
        return result

    async def complete(self) -> None:
        await self._connection.send(json.dumps({"type": "complete", "id": "1"}))

    def abort(self) -> None:
        self._connection.transport.abort()


class _EventStream:
    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    async def receive(self) -> Json | None:
        message = await self._stream.message()
        return message if isinstance(message, dict) else None

    async def complete(self) -> None:
        self._stream.connection.writer.close()

    def abort(self) -> None:
        self._stream.connection.abort()


Transport = Callable[[HubClient, str, str, Json], AbstractAsyncContextManager[Source]]
"""Subscribes at a hub with a token to a document with variables."""


@asynccontextmanager
async def by_websocket(hub: HubClient, token: str, query: str, variables: Json) -> AsyncIterator[Source]:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", hub.port))
    async with connect(
        f"ws://127.0.0.1:{hub.port}/graphql",
        sock=raw,
        subprotocols=[Subprotocol(PROTOCOL)],
        max_queue=1,
        max_size=None,
        compression=None,
        ping_interval=None,
        close_timeout=0.1,
    ) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": _bearer(token)}))
        assert json.loads(await connection.recv()) == {"type": "connection_ack"}
        payload = {"query": query, "variables": variables}
        await connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield _WebSocket(connection)


@asynccontextmanager
async def by_event_stream(hub: HubClient, token: str, query: str, variables: Json) -> AsyncIterator[Source]:
    async with a_stream(hub, token, query, variables, receive_buffer=RECEIVE_BUFFER) as stream:
        assert stream.status == 200
        yield _EventStream(stream)


TRANSPORTS = (by_websocket, by_event_stream)


@asynccontextmanager
async def a_client(
    hub: HubClient,
    token: str,
    *,
    query: str = EVENTS,
    replay: Replay | None = None,
    by: Transport = by_websocket,
    **variables: Any,
) -> AsyncIterator[Client]:
    """Subscribed when the block begins; closed, however it stands, when it ends."""
    async with by(hub, token, query, variables) as source:
        client = Client(source, replay or Replay())
        listening = asyncio.create_task(client.listen(), name="client")
        try:
            yield client
        finally:
            if not client.reading.is_set():
                client.abort()  # it would wait for an answer that it doesn't read
            listening.cancel()
            await asyncio.wait([listening])
            if not listening.cancelled():
                listening.result()


def _bearer(token: str) -> Json:
    return {"authorization": f"Bearer {token}"}


async def answer(hub: HubClient, token: str, **filter_: Any) -> dict[str, Json]:
    """What a query by the same person with the same filter shows, by id."""
    found: dict[str, Json] = {}
    after = None
    while True:
        data = await hub.data(token, QUERY, {"filter": filter_ or None, "after": after})
        page = data["deployments"]
        found |= {node["id"]: node for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
