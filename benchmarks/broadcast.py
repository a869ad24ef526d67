"""(b) One event to 1,000 WebSocket subscribers, against one loop that sends the same bytes to 1,000 sockets.

Both servers have uvicorn as the hub sets it up and share a core; the subscribers have the other. Hub and raw
take turns within a pair, so that whatever else the machine does hits both; judged is the median of the pairs.
Where there is Node.js, npm's graphql-ws takes its turn too, with the same event and the same subscribers. The
hub's event streams are compared with the same raw WebSockets.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure, Unavailable, percentile
from benchmarks.processes import MEASURED, MEASURING, ROOT, Child, Cluster, pin, running_hub
from benchmarks.servers import PEERS, node_with_peers
from benchmarks.subscribers import QUERY, Subscribers, text_frame

SUBSCRIBERS, WARM_UP = 1_000, 20
PAIRS, EVENTS, EVENTS_DISTINCT = 7, 20, 5
MAX_P99 = 1.0
"""p99 ÷ raw of a shared question. Issue 3 asks for 2, the design (docs/fanout.md) for this."""
MAX_P99_STREAMS = 1.5
"""The same for event streams, against WebSockets (issue 4)."""
MAX_CPU, MAX_P99_DISTINCT, MAX_P99_STALLED, MAX_IDLE = 0.8, 2.0, 1.2, 32.0
STALLED_OPERATIONS, FILLING = 100, 15
"""Operations of the stalled reader, and how many events fill the buffers between it and the hub."""
PAUSE = 0.01
"""Seconds between two events, so that one is over before the next begins."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    server: Child
    subscribers: Subscribers
    events: int

    def measure(self) -> "Measured":
        lags: list[float] = []
        before = self.server.ask("usage")["cpu"]
        for _ in range(self.events):
            self.server.tell("event")
            arrived = self.subscribers.collect(len(self.subscribers))
            assert len(arrived) == len(self.subscribers), "an event didn't reach everybody"
            self.server.done()
            lags += arrived
            time.sleep(PAUSE)
        cpu = self.server.ask("usage")["cpu"] - before
        return Measured(percentile(lags, 50), percentile(lags, 99), cpu / len(lags) * 1e6)


@dataclass(frozen=True)
class Measured:
    p50: float
    p99: float
    """Milliseconds."""
    cpu: float
    """Microseconds of the server's CPU per delivery."""


Pairs = list[tuple[Measured, Measured]]
"""The hub, or what stands for it, and raw."""


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Cluster(name="east", cwd=folder, deployments=1, namespaces=["team-00"]) as cluster,
            running_hub(folder / "hub", cluster) as hub,
            Child("benchmarks.raw_process", core=MEASURED, cwd=folder) as raw,
        ):
            return [
                *_one_question(folder, hub, raw),
                *_event_streams(hub, raw),
                *_nothing_shared(hub, raw),
                *_stalled_reader(hub),
            ]


def _one_question(folder: Path, hub: Child, raw: Child) -> Iterator[Figure]:
    with Subscribers() as shared, Subscribers() as sockets:
        hub_idle = _idle(hub, lambda count: shared.subscribe(hub.hello, count, operation=_shared))
        raw_idle = _idle(raw, lambda count: sockets.connect(raw.hello["port"], "/raw", count))
        hub.tell("event")
        text = shared.one_text()
        hub.done()
        raw.ask("text", text=text)
        with _graphql_ws(folder, text) as peer:
            turns = _turns(Side(hub, shared, EVENTS), Side(raw, sockets, EVENTS), *peer)
    pairs = [(ours, raw) for ours, raw, *_ in turns]
    yield from _compared("shared", pairs, max_p99=MAX_P99, max_cpu=MAX_CPU)
    yield Figure(what="an idle subscriber", value=hub_idle, unit="KiB", limit=MAX_IDLE)
    yield Figure(what="an idle raw socket", value=raw_idle, unit="KiB")
    if peer:
        yield from _compared("npm graphql-ws", [(theirs, raw) for _, raw, theirs in turns])


def _event_streams(hub: Child, raw: Child) -> Iterator[Figure]:
    with Subscribers() as streams, Subscribers() as sockets:
        idle = _idle(hub, lambda count: streams.stream(hub.hello, count, operation=_shared))
        sockets.connect(raw.hello["port"], "/raw", SUBSCRIBERS)
        turns = _turns(Side(hub, streams, EVENTS), Side(raw, sockets, EVENTS))
    yield from _compared("event streams", [(ours, raw) for ours, raw in turns], max_p99=MAX_P99_STREAMS)
    yield Figure(what="an idle event stream", value=idle, unit="KiB")


def _nothing_shared(hub: Child, raw: Child) -> Iterator[Figure]:
    with Subscribers() as distinct, Subscribers() as sockets:
        distinct.subscribe(hub.hello, SUBSCRIBERS, operation=_distinct)
        sockets.connect(raw.hello["port"], "/raw", SUBSCRIBERS)
        turns = _turns(Side(hub, distinct, EVENTS_DISTINCT), Side(raw, sockets, EVENTS_DISTINCT))
    yield from _compared("nothing shared", [(ours, raw) for ours, raw in turns], max_p99=MAX_P99_DISTINCT)


def _stalled_reader(hub: Child) -> Iterator[Figure]:
    with Subscribers() as shared:
        shared.subscribe(hub.hello, SUBSCRIBERS, operation=_shared)
        ours = Side(hub, shared, EVENTS)
        pairs = [(_with_stalled_reader(ours), ours.measure()) for _ in range(PAIRS)]
    yield Figure(
        what="one stalled reader: others' p99 ÷ without it, median",
        value=median(one.p99 / other.p99 for one, other in pairs),
        unit="×",
        limit=MAX_P99_STALLED,
    )


def _idle(server: Child, add: Callable[[int], Any]) -> float:
    """KiB that the server grows by for each of its subscribers; all of them are there afterwards."""
    add(WARM_UP)
    before = server.ask("usage")["rss"]
    add(SUBSCRIBERS - WARM_UP)
    return float(server.ask("usage")["rss"] - before) / (SUBSCRIBERS - WARM_UP) / 1024


def _shared(_: int) -> dict[str, Any]:
    return {"query": QUERY % ""}


def _distinct(number: int) -> dict[str, Any]:
    return {"query": QUERY % f" S{number:04d}"}


@contextmanager
def _graphql_ws(folder: Path, text: str) -> Iterator[list[Side]]:
    """npm's graphql-ws with as many subscribers, whose event is that of the message; none without Node.js."""
    try:
        node = node_with_peers()
    except Unavailable as missing:
        print(f"  npm graphql-ws NOT MEASURED: {missing}")
        yield []
        return
    (folder / "event").write_text(json.dumps(json.loads(text)["payload"]))
    files = (str(ROOT / "schema.graphql"), str(folder))
    with (
        Child("graphql-ws.mjs", *files, core=MEASURED, cwd=PEERS, program=(node,)) as peer,
        Subscribers() as subscribers,
    ):
        subscribers.subscribe({**peer.hello, "token": "any"}, SUBSCRIBERS, operation=_shared)
        yield [Side(peer, subscribers, EVENTS)]


def _turns(*sides: Side) -> list[tuple[Measured, ...]]:
    for side in sides:
        side.measure()  # warms it up
    return [tuple(side.measure() for side in sides) for _ in range(PAIRS)]


def _compared(
    what: str, pairs: Pairs, *, max_p99: float | None = None, max_cpu: float | None = None
) -> Iterator[Figure]:
    def figure(name: str, value: float, unit: str, limit: float | None = None) -> Figure:
        return Figure(what=f"{what}: {name}", value=value, unit=unit, limit=limit)

    yield figure("p50, median", median(ours.p50 for ours, _ in pairs), "ms")
    yield figure("p99, median", median(ours.p99 for ours, _ in pairs), "ms")
    yield figure("raw p50, median", median(raw.p50 for _, raw in pairs), "ms")
    yield figure("raw p99, median", median(raw.p99 for _, raw in pairs), "ms")
    ratios = sorted(ours.p99 / raw.p99 for ours, raw in pairs)
    yield figure(f"p99 ÷ raw, median of {len(pairs)}", median(ratios), "×", max_p99)
    yield figure("p99 ÷ raw, lowest", ratios[0], "×")
    yield figure("p99 ÷ raw, highest", ratios[-1], "×")
    yield figure("CPU per delivery, median", median(ours.cpu for ours, _ in pairs), "µs")
    yield figure("CPU ÷ raw, median", median(ours.cpu / raw.cpu for ours, raw in pairs), "×", max_cpu)


def _with_stalled_reader(side: Side) -> Measured:
    """Measure while one more socket, with the same question many times over, is full and isn't read."""
    with Subscribers() as stalled:
        (socket,) = stalled.subscribe(side.server.hello, 1, operation=_shared)
        for number in range(2, STALLED_OPERATIONS + 1):
            socket.sendall(text_frame({"type": "subscribe", "id": str(number), "payload": _shared(number)}))
        for _ in range(FILLING):
            side.server.tell("event")
            side.subscribers.collect(len(side.subscribers))
            side.server.done()
        return side.measure()
