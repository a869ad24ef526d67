"""GraphQL over SSE by hand: the bytes of a response as they come, and nothing of a client library between."""

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.hub import HubClient

Json = dict[str, Any]
COMPLETE = "complete"


def request(
    body: object,
    *,
    token: str | None = None,
    version: str = "1.1",
    method: str = "POST",
    path: str = "/graphql",
    **headers: str,
) -> bytes:
    """A request as bytes. Headers' names are written with underscores."""
    content = b"" if body is None else json.dumps(body).encode()
    given = {
        "host": "127.0.0.1",
        "accept": "text/event-stream",
        "content-type": "application/json",
        "content-length": str(len(content)),
        **({"authorization": f"Bearer {token}"} if token else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class HttpConnection:
    """A TCP connection to the hub. What comes is read only when it is asked for, but for a few KB."""

    reader: StreamReader
    writer: StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def abort(self) -> None:
        """As when the client's machine goes away."""
        self.writer.transport.abort()

    async def head(self) -> tuple[int, Mapping[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers

    async def response(self) -> "EventStream":
        status, headers = await self.head()
        return EventStream(self, status, headers)

    async def is_closed(self) -> bool:
        """Whether nothing more comes: waits for the hub to close."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@dataclass
class EventStream:
    """One response. Its body is read as chunks, as so many bytes, or to the connection's end."""

    connection: HttpConnection
    status: int
    headers: Mapping[str, str]
    ended: bool = False
    """Whether the body came whole."""
    _rest: bytes = field(default=b"", repr=False)

    async def block(self) -> bytes | None:
        """What stands between two empty lines: an event or a comment. None at the end."""
        while b"\n\n" not in self._rest:
            piece = await self._piece()
            if piece is None:
                assert not self._rest, self._rest
                return None
            self._rest += piece
        block, self._rest = self._rest.split(b"\n\n", 1)
        return block

    async def message(self) -> Json | str | None:
        """The next event's execution result, "complete", or None at the end. Comments are skipped."""
        while (block := await self.block()) == b":":
            pass
        if block is None:
            return None
        assert b"\r" not in block, "lines end in LF alone"
        name, data = block.decode().split("\n")
        if name == "event: complete":
            assert data == "data:"
            return COMPLETE
        assert name == "event: next", block
        result: Json = json.loads(data.removeprefix("data: "))
        return result

    async def next(self, *, within: float = 10.0) -> Any:
        """The root field's value in the next message."""
        async with asyncio.timeout(within):
            message = await self.message()
        assert isinstance(message, dict), message
        assert "errors" not in message, message
        (value,) = message["data"].values()
        return value

    async def failed(self, *, within: float = 10.0) -> Json:
        """The extensions of the one error that the stream ends with; what comes before is skipped."""
        async with asyncio.timeout(within):
            while "errors" not in (message := await self.message() or {}):
                assert message, "the stream ended without a word"
            assert isinstance(message, dict)
            assert await self.message() == COMPLETE
            assert await self.message() is None
        (error,) = message["errors"]
        extensions: Json = error["extensions"]
        return extensions

    async def _piece(self) -> bytes | None:
        reader = self.connection.reader
        if self.ended:
            return None
        if "content-length" in self.headers:
            self.ended = True
            return await reader.readexactly(int(self.headers["content-length"]))
        if "transfer-encoding" not in self.headers:
            piece = await reader.read(65_536)
            self.ended = not piece
            return piece or None
        try:
            size = int(await reader.readuntil(b"\r\n"), 16)
            piece = (await reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):  # it was cut
            return None
        self.ended = size == 0
        return piece or None


@asynccontextmanager
async def an_http_connection(
    hub: HubClient, *, receive_buffer: int | None = None
) -> AsyncIterator[HttpConnection]:
    """Aborted when the block ends. With a receive buffer of so many bytes, a client that stops reading is
    soon noticed."""
    raw = socket.socket()
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", hub.port))
    # A reader holds twice its limit, and waits for no line that is longer.
    reader, writer = await asyncio.open_connection(sock=raw, limit=receive_buffer or 65_536)
    try:
        yield HttpConnection(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def a_stream(
    hub: HubClient,
    token: str | None,
    query: str,
    variables: Mapping[str, Any] | None = None,
    *,
    receive_buffer: int | None = None,
) -> AsyncIterator[EventStream]:
    """The response to an operation that is asked for as an event stream."""
    async with an_http_connection(hub, receive_buffer=receive_buffer) as connection:
        connection.send(request({"query": query, "variables": dict(variables or {})}, token=token))
        yield await connection.response()
