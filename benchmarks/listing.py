"""A dashboard's list, 1,000 deployments of 15 fields, against what people would serve it with instead.

The same document over HTTP/1.1 to the hub, to mercurius with graphql-jit and to graphql-yoga from npm, which
answer the very objects of the hub's answer by the hub's own schema and check nobody's rights, and to uvicorn
with the hub's settings that sends the bytes of that answer. All share a core, and the client has the other.
They take turns within a round, so that whatever else the machine does hits all; judged is the median of the
rounds' ratios.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure, Unavailable
from benchmarks.load import CONNECTIONS, Answered, fetch, measure, post
from benchmarks.node import LEAST, find_node, install
from benchmarks.processes import MEASURED, MEASURING, ROOT, Child, Cluster, namespaces, pin, running_hub

DEPLOYMENTS, NAMESPACES, FEW = 1_000, 10, 20
ROUNDS, SECONDS, SECONDS_FEW, WARM_UP = 5, 2.0, 1.0, 2.0
ROUNDS_VARIED = 3
MIN_MERCURIUS, MIN_STATIC = 4.0, 0.2
"""The hub's requests a second ÷ theirs, for the list of 1,000 (issue 4)."""
CHANGES = 100
"""Deployments changed a second."""
PEERS = ROOT / "benchmarks/peers"
DOCUMENT = """
query Dashboard($first: Int) {
  deployments(first: $first) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes {
      id instanceId namespace name modelId engine provider phase message stale gpuCount createdAt
      replicas { desired ready available }
    }
  }
}
"""
"""Fifteen leaves a deployment, the three of `replicas` among them."""

HUB, MERCURIUS, YOGA, STATIC = "hub", "mercurius + graphql-jit", "graphql-yoga", "static bytes"
Round = Mapping[str, Answered]


@dataclass(frozen=True)
class Server:
    port: int
    path: str
    """%s stands for the name of the list."""

    def measure(self, name: str, tokens: Sequence[str], *, seconds: float) -> Answered:
        path = self.path.replace("%s", name)
        requests = [post(path, _body(name), token=token) for token in tokens]
        return measure(self.port, requests, seconds=seconds)


LISTS = {"list": DEPLOYMENTS, "page": FEW}


def run() -> list[Figure]:
    pin(MEASURING)
    if (found := find_node()) is None:
        raise Unavailable(f"no Node.js {LEAST} or newer and npm on PATH, nor those from PyPI: make web")
    node, npm = found
    install(node, npm, PEERS)
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        spaces = namespaces(NAMESPACES)
        cluster = stack.enter_context(
            Cluster(name="east", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces)
        )
        hub = stack.enter_context(running_hub(folder / "hub", cluster))
        hub.ask("load", rate=DEPLOYMENTS, seconds=1)  # gives every deployment a message
        answers = _answers(hub, folder / "answers")
        servers = {HUB: Server(hub.hello["port"], "/graphql")}
        for peer, child in _peers(node, answers):
            path = "/%s" if peer == STATIC else "/graphql"
            servers[peer] = Server(stack.enter_context(child).hello["port"], path)
        _check(servers, answers)
        token = hub.hello["token"]
        return [
            *_compared("list", _rounds(servers, "list", token, SECONDS), judged=True),
            *_compared("page", _rounds(servers, "page", token, SECONDS_FEW), judged=False),
            *_varied(servers[HUB], hub, spaces),
        ]


def _body(name: str) -> dict[str, Any]:
    return {"query": DOCUMENT, "variables": {"first": LISTS[name]}, "operationName": "Dashboard"}


def _answers(hub: Child, folder: Path) -> Path:
    """Writes what the hub answers, a file for each list."""
    folder.mkdir()
    for name, first in LISTS.items():
        answer = fetch(hub.hello["port"], post("/graphql", _body(name), token=hub.hello["token"]))
        assert len(json.loads(answer)["data"]["deployments"]["nodes"]) == first, answer[:500]
        (folder / name).write_bytes(answer)
    return folder


def _peers(node: str, answers: Path) -> Iterator[tuple[str, Child]]:
    files = (str(ROOT / "schema.graphql"), str(answers))
    for peer, script in ((MERCURIUS, "mercurius.mjs"), (YOGA, "yoga.mjs")):
        yield peer, Child(script, *files, core=MEASURED, cwd=PEERS, program=(node,))
    yield STATIC, Child("benchmarks.static_process", str(answers), core=MEASURED, cwd=answers)


def _check(servers: Mapping[str, Server], answers: Path) -> None:
    """All say the same, in the same order."""
    for name in LISTS:
        wanted = (answers / name).read_bytes()
        for which, server in servers.items():
            if which != HUB:
                got = fetch(server.port, post(server.path.replace("%s", name), _body(name), token="any"))
                assert got == wanted or json.dumps(json.loads(got)) == json.dumps(json.loads(wanted)), which


def _rounds(servers: Mapping[str, Server], name: str, token: str, seconds: float) -> list[Round]:
    tokens = [token] * CONNECTIONS

    def one(seconds: float) -> Round:
        return {which: server.measure(name, tokens, seconds=seconds) for which, server in servers.items()}

    one(WARM_UP)
    return [one(seconds) for _ in range(ROUNDS)]


def _compared(what: str, rounds: Sequence[Round], *, judged: bool) -> Iterator[Figure]:
    for which in rounds[0]:
        yield from _told(f"{what}: {which}", [each[which] for each in rounds])
    for which, limit in ((MERCURIUS, MIN_MERCURIUS), (YOGA, None), (STATIC, MIN_STATIC)):
        ratios = sorted(each[HUB].rate / each[which].rate for each in rounds)
        yield Figure(
            what=f"{what}: hub ÷ {which}, median of {len(ratios)}",
            value=median(ratios),
            unit="×",
            limit=limit if judged else None,
            at_least=True,
        )
        yield Figure(what=f"{what}: hub ÷ {which}, lowest", value=ratios[0], unit="×")
        yield Figure(what=f"{what}: hub ÷ {which}, highest", value=ratios[-1], unit="×")
    busiest = max((answered.busy, which) for each in rounds for which, answered in each.items())
    yield Figure(what=f"{what}: the client's core, busiest ({busiest[1]})", value=busiest[0] * 100, unit="%")


def _told(what: str, answered: Sequence[Answered]) -> Iterator[Figure]:
    yield Figure(what=what, value=median(each.rate for each in answered), unit="answers/s")
    yield Figure(what=f"{what}, p50", value=median(each.p50 for each in answered), unit="ms")
    yield Figure(what=f"{what}, p99", value=median(each.p99 for each in answered), unit="ms")


def _varied(server: Server, hub: Child, spaces: Sequence[str]) -> Iterator[Figure]:
    """The list for people who each see another nine tenths of it, and while it changes."""
    alone = [hub.hello["token"]] * len(spaces)
    people = hub.ask("people", namespaces=[[space for space in spaces if space != own] for own in spaces])
    several, changing = [], []
    for _ in range(ROUNDS_VARIED):
        calm = server.measure("list", alone, seconds=SECONDS)
        several.append((server.measure("list", people, seconds=SECONDS), calm))
        hub.tell("load", rate=CHANGES, seconds=SECONDS)
        changing.append((server.measure("list", alone, seconds=SECONDS), calm))
        hub.done()
    for what, pairs in (
        (f"list: hub, {len(people)} people of different rights", several),
        (f"list: hub, {CHANGES} changes a second", changing),
    ):
        yield from _told(what, [varied for varied, _ in pairs])
        ratio = median(varied.rate / calm.rate for varied, calm in pairs)
        yield Figure(what=f"{what} ÷ without", value=ratio, unit="×")
