"""HTTP/1.1 requests one after another on a few connections, by a loop that does little else.

It must never be what limits a figure: raw sockets, one selector, and of an answer only its head is looked at,
the body's bytes are counted. A connection sends its next request once it has the last answer whole.
"""

import json
import re
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.figures import percentile

CONNECTIONS = 8
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Answered:
    """What a server did within a time."""

    rate: float
    """Answers a second."""
    p50: float
    p99: float
    """Milliseconds from the request until the last byte of its answer."""
    cpu: float
    """Microseconds of the server's CPU per answer: what other processes hardly change."""
    served: float
    """The share of the time in which the server used a core; far below 1, others had it."""
    busy: float
    """The same of this client; near 1, it is what was measured."""


class _Connection:
    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._left = 0
        """Bytes of the answer that are to come; 0 until its head has come."""
        self._sent = 0

    def send(self) -> None:
        self._sent = time.monotonic_ns()
        self.socket.sendall(self._request)

    def receive(self, buffer: memoryview) -> float | None:
        """Milliseconds that the answer took, once it is whole."""
        size = self.socket.recv_into(buffer)
        if not size:
            raise ConnectionError("the server closed a connection")
        self._left = (self._left or _whole(buffer[:size])) - size
        return None if self._left else (time.monotonic_ns() - self._sent) / 1e6


def _whole(begin: memoryview) -> int:
    """How many bytes the answer has that begins like this. Its head comes in one piece: it is short."""
    head, end, _ = bytes(begin[:4096]).partition(_END)
    length = _LENGTH.search(head + b"\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or not end or length is None:
        raise ValueError(f"no answer with a content-length: {head.decode()}")
    return len(head) + len(_END) + int(length[1])


def measure(port: int, requests: Sequence[bytes], *, pid: int, seconds: float) -> Answered:
    """Send each of the requests on a connection of its own, again and again for so many seconds.

    The process `pid` is the server, whose CPU is read. Raises ValueError for an answer other than 200, and
    for one without its length.
    """
    server, client = psutil.Process(pid), psutil.Process()
    with ExitStack() as stack:
        connections = [_Connection(port, request) for request in requests]
        for each in connections:
            stack.enter_context(each.socket)
        used, busy, begin = _cpu(server), _cpu(client), time.monotonic()
        times = _exchange(connections, until=begin + seconds)
        wall, used, busy = time.monotonic() - begin, _cpu(server) - used, _cpu(client) - busy
    return Answered(
        rate=len(times) / wall,
        p50=percentile(times, 50),
        p99=percentile(times, 99),
        cpu=used / len(times) * 1e6,
        served=used / wall,
        busy=busy / wall,
    )


def _exchange(connections: Sequence[_Connection], *, until: float) -> list[float]:
    """Milliseconds that each answer took. What is under way at the end is waited for."""
    buffer, times, waiting = memoryview(bytearray(1 << 20)), [], len(connections)
    with selectors.DefaultSelector() as selector:
        for each in connections:
            selector.register(each.socket, selectors.EVENT_READ, each)
            each.send()
        while waiting:
            for key, _ in selector.select():
                if (took := key.data.receive(buffer)) is None:
                    continue
                times.append(took)
                if time.monotonic() < until:
                    key.data.send()
                else:
                    waiting -= 1
    return times


def _cpu(process: psutil.Process) -> float:
    """Seconds, of all its threads and in the kernel too."""
    times = process.cpu_times()
    return times.user + times.system


def fetch(port: int, request: bytes) -> bytes:
    """The body of one answer."""
    with socket.create_connection(("127.0.0.1", port)) as connected, connected.makefile("rb") as file:
        connected.sendall(request)
        head = b""
        while not head.endswith(_END):
            head += file.readline()
        return file.read(_whole(memoryview(head)) - len(head))


def post(path: str, body: Mapping[str, Any], *, token: str, accept: str = "application/json") -> bytes:
    """A request as a browser's `fetch` sends it, but that it asks for no compression."""
    content = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Accept: {accept}\r\nContent-Type: application/json\r\nUser-Agent: benchmark\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content
