"""Thousands of events a second into 100 subscribers of 10 namespaces, each of whom gets a tenth of them.

Limited once by what they ask for (one administrator, a filter each), once by their rights (100 people who may
see one namespace each, and ask for everything). An event's lag is from its moment in the store until its
message was read.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.processes import MEASURING, Child, Cluster, namespaces, pin, running_hub
from benchmarks.subscribers import QUERY, Subscribers

SUBSCRIBERS, NAMESPACES, DEPLOYMENTS = 100, 10, 10_000
RATES, SECONDS, MAX_LAG = (1_000, 2_000, 4_000, 10_000), 3, 25.0
"""Events a second, and the milliseconds at p99 within which they must arrive."""
NONE_LOST = 2_000
"""Events a second of which none may be missing (issue 4)."""

Lags = Mapping[int, Sequence[float]]
"""Milliseconds of every message, by the events a second."""


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder, spaces = Path(name), namespaces(NAMESPACES)
        with (
            Cluster(name="west", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces) as cluster,
            running_hub(folder / "hub", cluster) as hub,
        ):
            return [
                *_figures("by filter", _by_filter(hub, spaces), held=RATES[-1]),
                *_figures("by rights", _by_rights(hub, spaces), held=NONE_LOST),
            ]


def _by_filter(hub: Child, spaces: Sequence[str]) -> Lags:
    def operation(number: int) -> dict[str, Any]:
        wanted = {"namespaces": [spaces[number % NAMESPACES]]}
        return {"query": QUERY % "", "variables": {"filter": wanted}}

    with Subscribers() as subscribers:
        subscribers.subscribe(hub.hello, SUBSCRIBERS, operation=operation)
        return _loaded(hub, subscribers)


def _by_rights(hub: Child, spaces: Sequence[str]) -> Lags:
    seen = [[spaces[number % NAMESPACES]] for number in range(SUBSCRIBERS)]
    tokens = hub.ask("people", namespaces=seen)
    with Subscribers() as subscribers:
        subscribers.subscribe(
            hub.hello, SUBSCRIBERS, operation=lambda _: {"query": QUERY % ""}, tokens=tokens
        )
        return _loaded(hub, subscribers)


def _loaded(hub: Child, subscribers: Subscribers) -> Lags:
    lags = {}
    for rate in RATES:
        hub.tell("load", rate=rate, seconds=SECONDS)
        lags[rate] = subscribers.collect(_expected(rate), within=SECONDS * 4)
        hub.done()
    return lags


def _expected(rate: int) -> int:
    return rate * SECONDS * SUBSCRIBERS // NAMESPACES


def _figures(how: str, lags: Lags, *, held: int) -> Iterator[Figure]:
    """`held` is what at least must be held."""
    missing = {rate: _expected(rate) - len(arrived) for rate, arrived in lags.items()}
    for rate, arrived in lags.items():
        yield Figure(what=f"{how}: p50 at {rate:,} events/s", value=percentile(arrived, 50), unit="ms")
        yield Figure(what=f"{how}: p99 at {rate:,} events/s", value=percentile(arrived, 99), unit="ms")
        yield Figure(
            what=f"{how}: missing at {rate:,} events/s",
            value=missing[rate],
            limit=0 if rate <= NONE_LOST else None,
        )
    good = [rate for rate in RATES if not missing[rate] and percentile(lags[rate], 99) <= MAX_LAG]
    yield Figure(
        what=f"{how}: events held within {MAX_LAG:.0f} ms, none missing",
        value=max(good, default=0),
        unit="events/s",
        limit=held,
        at_least=True,
    )
