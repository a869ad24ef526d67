"""A dashboard's list, 1,000 deployments of 15 fields, against what people would serve it with instead.

The same document over HTTP/1.1 to each of `benchmarks.servers`, which share a core; the client has the other.
They take turns within a round, so that whatever else the machine does hits all; judged is the median of the
rounds' ratios. Where much else runs, a server that needs little CPU spends its time waiting for its turn, and
the ratios "for the same CPU" say more.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure
from benchmarks.load import Answered
from benchmarks.processes import MEASURING, Cluster, namespaces, pin, running_hub
from benchmarks.servers import (
    HUB,
    LISTS,
    MERCURIUS,
    MERCURIUS_UNPINNED,
    STATIC,
    YOGA,
    Server,
    node_with_peers,
    nodes,
    serving,
)

NAMESPACES = 10
ROUNDS, ROUNDS_VARIED = 5, 3
SECONDS = {"list": 2.0, "page": 1.0}
MIN_MERCURIUS, MIN_STATIC = 4.0, 0.2
"""The hub's answers a second ÷ theirs, for the list of 1,000 (issue 4)."""
CHANGES = 100
"""Deployments changed a second."""

Round = Mapping[str, Answered]


def run() -> list[Figure]:
    pin(MEASURING)
    node = node_with_peers()
    with TemporaryDirectory() as name:
        folder, spaces, deployments = Path(name), namespaces(NAMESPACES), LISTS["list"]
        with (
            Cluster(name="east", cwd=folder, deployments=deployments, namespaces=spaces) as cluster,
            running_hub(folder / "hub", cluster) as hub,
        ):
            hub.ask("load", rate=deployments, seconds=1)  # gives every deployment a message
            (folder / "answers").mkdir()
            with serving(node, hub, folder / "answers") as servers:
                return [
                    *_compared("list", _rounds(servers, "list"), judged=True),
                    *_compared("page", _rounds(servers, "page"), judged=False),
                    *_varied(servers, spaces),
                ]


def _rounds(servers: Mapping[str, Server], name: str) -> list[Round]:
    pinned = {which: server for which, server in servers.items() if which != MERCURIUS_UNPINNED}

    def one() -> Round:
        return {which: server.measure(name, seconds=SECONDS[name]) for which, server in pinned.items()}

    one()  # warms up all of them
    return [one() for _ in range(ROUNDS)]


def _compared(name: str, rounds: Sequence[Round], *, judged: bool) -> Iterator[Figure]:
    for which in rounds[0]:
        yield from _told(f"{name}: {which}", [each[which] for each in rounds])
    for which, limit in ((MERCURIUS, MIN_MERCURIUS), (YOGA, None), (STATIC, MIN_STATIC)):
        pairs = [(each[HUB], each[which]) for each in rounds]
        yield from _ratios(f"{name}: hub ÷ {which}", pairs, limit=limit if judged else None)
    every = [(which, answered) for each in rounds for which, answered in each.items()]
    idlest, served = min(((which, each.served) for which, each in every), key=itemgetter(1))
    yield Figure(what=f"{name}: core that a server had, least ({idlest})", value=served * 100, unit="%")
    busiest, busy = max(((which, each.busy) for which, each in every), key=itemgetter(1))
    yield Figure(what=f"{name}: core that the client used, most ({busiest})", value=busy * 100, unit="%")


def _told(what: str, answered: Sequence[Answered]) -> Iterator[Figure]:
    yield Figure(what=what, value=median(each.rate for each in answered), unit="answers/s")
    yield Figure(what=f"{what}, p50", value=median(each.p50 for each in answered), unit="ms")
    yield Figure(what=f"{what}, p99", value=median(each.p99 for each in answered), unit="ms")
    yield Figure(what=f"{what}, CPU per answer", value=median(each.cpu for each in answered), unit="µs")


def _ratios(
    what: str, pairs: Sequence[tuple[Answered, Answered]], *, limit: float | None = None
) -> Iterator[Figure]:
    """Of what the first of each pair does to what the second does."""
    ratios = sorted(ours.rate / theirs.rate for ours, theirs in pairs)
    yield Figure(
        what=f"{what}, median of {len(ratios)}", value=median(ratios), unit="×", limit=limit, at_least=True
    )
    yield Figure(what=f"{what}, lowest", value=ratios[0], unit="×")
    yield Figure(what=f"{what}, highest", value=ratios[-1], unit="×")
    by_cpu = median(theirs.cpu / ours.cpu for ours, theirs in pairs)
    yield Figure(what=f"{what}, for the same CPU", value=by_cpu, unit="×")


def _varied(servers: Mapping[str, Server], spaces: Sequence[str]) -> Iterator[Figure]:
    """The list for people who each see another nine tenths of it, while it changes, and beside a mercurius
    whose garbage collector has the client's core too."""
    hub, unpinned = servers[HUB], servers[MERCURIUS_UNPINNED]
    people = _people(hub, spaces)
    seconds = SECONDS["list"]
    unpinned.measure("list", seconds=seconds)  # warms it up
    calm, several, changing, other = [], [], [], []
    for _ in range(ROUNDS_VARIED):
        calm.append(hub.measure("list", seconds=seconds))
        several.append(hub.measure("list", seconds=seconds, tokens=people))
        hub.child.tell("load", rate=CHANGES, seconds=seconds)
        changing.append(hub.measure("list", seconds=seconds))
        hub.child.done()
        other.append(unpinned.measure("list", seconds=seconds))
    for what, varied in (
        (f"list: {len(people)} people of different rights", several),
        (f"list: {CHANGES} changes a second", changing),
    ):
        yield from _told(what, varied)
        yield from _ratios(f"{what} ÷ without", list(zip(varied, calm, strict=True)))
    yield from _told(f"list: {MERCURIUS_UNPINNED}", other)
    yield from _ratios(f"list: hub ÷ {MERCURIUS_UNPINNED}", list(zip(calm, other, strict=True)))


def _people(hub: Server, spaces: Sequence[str]) -> list[str]:
    """Access tokens of people each of whom sees all namespaces but one; checked."""
    tokens: list[str] = hub.child.ask(
        "people", namespaces=[[space for space in spaces if space != hidden] for hidden in spaces]
    )
    for token, hidden in zip(tokens, spaces, strict=True):
        seen = {deployment["namespace"] for deployment in nodes(hub.answer("list", token))}
        assert seen == {*spaces} - {hidden}, "somebody was shown what they may not see, or not all of it"
    return tokens
