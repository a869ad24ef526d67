"""Ten thousand WebSockets that never send their connection_init: what they cost, and whom, and what is left.

Slow, about half a minute: the hub is a process of its own, and each connection may wait 5 seconds.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

import pytest

from schema.rechecks import WAITING
from schema.sockets import CLOSED_WITHIN
from schema.websocket import INIT_WITHIN
from tests.support.hub_process import ServedHub, served_hub
from tests.support.waiting import until

COUNT, AGAIN = 10_000, 3_000
MEGABYTE = 1_000_000
QUIET = 3.0
"""Seconds of others' requests before the attack."""
QUIET_P99 = 0.05
"""Seconds. Below this the machine's noise decides, and a double of it is nobody's fault."""
CLOSE = 0x88
"""A close frame's first byte."""
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """As many as the system lets us have: each connection is one here and one in the hub."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < COUNT + 500:
        pytest.skip(f"ulimit -n is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Silent(asyncio.Protocol):
    """A connection that says nothing after its handshake, not even when it is told to close."""

    def __init__(self, codes: Counter[int | None], over: "set[Silent]") -> None:
        self._codes = codes
        self._open = over
        self._came = b""
        self.accepted = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open.add(self)
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        self._came += data
        self.accepted.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._open.discard(self)
        self.accepted.set()
        _, _, frame = self._came.partition(b"\r\n\r\n")
        closed = frame[:1] == bytes([CLOSE])
        self._codes[int.from_bytes(frame[2:4], "big") if closed else None] += 1


async def flood(hub: ServedHub, count: int) -> Counter[int | None]:
    """Open so many, each after the other's handshake; the close codes that they end with."""
    codes: Counter[int | None] = Counter()
    left: set[Silent] = set()
    loop = asyncio.get_running_loop()
    for _ in range(count):
        _, silent = await loop.create_connection(lambda: Silent(codes, left), "127.0.0.1", hub.port)
        await silent.accepted.wait()
    last = time.monotonic()

    async def gone() -> bool:
        return not left

    await until(gone, within=INIT_WITHIN + CLOSED_WITHIN + 5)
    assert time.monotonic() - last < INIT_WITHIN + CLOSED_WITHIN + 2
    return codes


@asynccontextmanager
async def others(hub: ServedHub) -> AsyncIterator[list[float]]:
    """How many seconds their requests take meanwhile."""
    lags: list[float] = []

    async def ask() -> None:
        while True:
            began = time.monotonic()
            await hub.data(hub.limited, "{ hub { mode } viewer { id } }")
            lags.append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(ask(), name="others")
    try:
        yield lags
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def test_connections_that_never_init(tmp_path: Path) -> None:
    async with served_hub(tmp_path) as hub:
        async with others(hub) as quiet:
            await asyncio.sleep(QUIET)
        before = hub.process.memory_info().rss
        async with others(hub) as attacked:
            codes = await flood(hub, COUNT)
        after = hub.process.memory_info().rss
        await flood(hub, AGAIN)
        again = hub.process.memory_info().rss
        files = hub.process.num_fds()
    alone, beside = (quantiles(lags, n=100)[98] for lags in (quiet, attacked))
    figures = (
        f"others' p99 {alone * 1e3:.1f} ms alone, {beside * 1e3:.1f} ms beside {COUNT:,} connections; "
        f"{(after - before) / MEGABYTE:.0f} MB, {(again - after) / MEGABYTE:.0f} more for {AGAIN:,} others"
    )
    print(figures)  # noqa: T201
    assert codes == {4408: COUNT}
    assert after - before < 100 * MEGABYTE, figures
    assert again - after < 10 * MEGABYTE, figures
    assert beside <= max(2 * alone, QUIET_P99), figures
    assert files < 100


async def test_too_many_that_wait_make_room_for_those_who_mean_it(tmp_path: Path) -> None:
    async with served_hub(tmp_path) as hub, hub.socket(hub.admin) as initialised:
        codes: Counter[int | None] = Counter()
        left: set[Silent] = set()
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        for _ in range(WAITING + 100):
            await loop.create_connection(lambda: Silent(codes, left), "127.0.0.1", hub.port)
        async with hub.socket(hub.admin) as late:
            await late.is_quiet()
        await initialised.is_quiet()

        async def made_room() -> bool:
            return codes.total() >= 100

        await until(made_room, within=INIT_WITHIN)
        assert codes == {4408: codes.total()}
        if time.monotonic() - began < INIT_WITHIN:  # else time was up for all of them
            assert codes.total() < WAITING
