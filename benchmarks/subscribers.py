"""Subscribers, thousands in one process, read by a loop that does little else.

It must never be what limits a figure: raw sockets, one selector, no library that parses frames. A message's
moment of origin is read out of its text, and its arrival is when its last byte was read.
"""

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from benchmarks.load import post

STAMP = re.compile(rb'"message":"(\d+)"\}{5}')
"""When an event came about, at the end of its message: QUERY asks for it last."""

FIELDS = """
  type instanceId deploymentId observedAt
  deployment {
    id namespace name modelId engine provider phase stale gpuCount resourceVersion createdAt
    replicas { desired ready available } endpoint { url } message
  }"""
QUERY = "subscription%s($filter: DeploymentFilter) { deploymentEvents(filter: $filter) {" + FIELDS + "} }"

PING = b"\x89\x04"
"""The header of uvicorn's pings, which no JSON contains."""

_BEFORE = b'"message":"'
"""What is before a message's stamp."""
_FRAME_END, _EVENT_END = b"}" * 5, b"}" * 4 + b"\n\n"
"""What a message ends with, over WebSocket and in an event stream."""

_AT_ONCE = 100
"""Connections that are made together: a fresh one has 5 s for its first message."""


class Subscribers:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._buffer = memoryview(bytearray(262_144))
        self._sockets: list[socket.socket] = []
        self._end = _FRAME_END
        self._rest: dict[socket.socket, bytes] = {}
        """What was read of messages that aren't complete."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        for each in self._sockets:
            each.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(self, port: int, path: str, count: int) -> list[socket.socket]:
        """Open so many WebSockets."""
        opened = self._open(port, count)
        for each in opened:
            each.sendall(_handshake(port, path))
        self._hear(opened, b"\r\n\r\n")
        return opened

    def subscribe(
        self,
        hub: dict[str, Any],
        count: int,
        *,
        operation: Callable[[int], dict[str, Any]],
        tokens: Sequence[str] = (),
    ) -> list[socket.socket]:
        """So many subscribers of the hub that said this hello, each with its operation and its own token if
        there are some, all synced."""
        everybody = []
        for begin in range(0, count, _AT_ONCE):
            numbers = range(begin, min(begin + _AT_ONCE, count))
            opened = self.connect(hub["port"], "/graphql", len(numbers))
            for each, number in zip(opened, numbers, strict=True):
                token = tokens[number] if tokens else hub["token"]
                authorization = {"authorization": f"Bearer {token}"}
                each.sendall(text_frame({"type": "connection_init", "payload": authorization}))
            self._hear(opened, b"connection_ack")
            for each, number in zip(opened, numbers, strict=True):
                each.sendall(text_frame({"type": "subscribe", "id": "1", "payload": operation(number)}))
            self._hear(opened, b'"SYNCED"')
            everybody += opened
        return everybody

    def stream(
        self, hub: dict[str, Any], count: int, *, operation: Callable[[int], dict[str, Any]]
    ) -> list[socket.socket]:
        """So many subscribers of the hub that said this hello, each with an event stream, all synced."""
        self._end = _EVENT_END
        everybody = []
        for begin in range(0, count, _AT_ONCE):
            numbers = range(begin, min(begin + _AT_ONCE, count))
            opened = self._open(hub["port"], len(numbers))
            for each, number in zip(opened, numbers, strict=True):
                each.sendall(
                    post("/graphql", operation(number), token=hub["token"], accept="text/event-stream")
                )
            self._hear(opened, b'"SYNCED"')
            everybody += opened
        return everybody

    def collect(self, expected: int, *, within: float = 10.0) -> list[float]:
        """Milliseconds from each message's origin to its arrival; fewer than expected if time runs out."""
        lags: list[float] = []
        deadline = time.monotonic() + within
        while len(lags) < expected and (left := deadline - time.monotonic()) > 0:
            for each, data, now in self._read(left):
                complete, _, self._rest[each] = data.rpartition(self._end)
                stamped = complete.split(_BEFORE)[1:]  # a fifth of the time that STAMP takes
                lags += [(now - int(text[: text.index(b'"')])) / 1e6 for text in stamped]
        return lags

    def one_text(self) -> str:
        """The text of the next message, without its frame, while all subscribers get one such."""
        texts: dict[socket.socket, bytes] = {}
        while len(texts) < len(self._sockets):
            for each, data, _ in self._read(10.0):
                self._rest[each] = data
                if STAMP.search(data):
                    texts[each], self._rest[each] = data[data.index(b"{") :], b""
        return next(iter(texts.values())).decode()

    def _open(self, port: int, count: int) -> list[socket.socket]:
        opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for each in opened:
            self._selector.register(each, selectors.EVENT_READ)
            self._rest[each] = b""
        self._sockets += opened
        return opened

    def _hear(self, sockets: Iterable[socket.socket], marker: bytes) -> None:
        waiting, deadline = set(sockets), time.monotonic() + 60
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} subscribers never got {marker!r}")
            for each, data, _ in self._read(1.0):
                self._rest[each] = data[-len(marker) :]
                if marker in data:
                    self._rest[each] = b""
                    waiting.discard(each)

    def _read(self, within: float) -> Iterable[tuple[socket.socket, bytes, int]]:
        """What came for whom, behind what was left of it before, and when."""
        for key, _ in self._selector.select(within):
            each: socket.socket = key.fileobj  # type: ignore[assignment]
            size = each.recv_into(self._buffer)
            now = time.monotonic_ns()
            if not size:
                raise ConnectionError("the server closed a connection")
            data = self._rest[each] + self._buffer[:size]
            if (ping := data.find(PING)) >= 0:
                end = ping + len(PING) + 4
                each.sendall(b"\x8a\x84" + bytes(4) + data[end - 4 : end])
                data = data[:ping] + data[end:]
            yield each, data, now


def text_frame(message: dict[str, Any]) -> bytes:
    """As a client sends it, masked with zeros."""
    text = json.dumps(message).encode()
    if len(text) < 126:
        return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text
    return b"\x81\xfe" + len(text).to_bytes(2) + bytes(4) + text


def _handshake(port: int, path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    ).encode()
