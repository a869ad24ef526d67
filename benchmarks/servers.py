"""What serves a dashboard's list: the hub, and what people would serve it with instead.

mercurius with graphql-jit and graphql-yoga (benchmarks/peers) answer with the objects of the hub's own
answer, by the hub's own schema, and judge nobody's rights. "Static bytes" is uvicorn with the hub's settings,
which sends the bytes of that answer.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Unavailable
from benchmarks.load import CONNECTIONS, Answered, fetch, measure, post
from benchmarks.node import LEAST, find_node, install
from benchmarks.processes import MEASURED, ROOT, Child

HUB, MERCURIUS, YOGA, STATIC = "hub", "mercurius + graphql-jit", "graphql-yoga", "static bytes"
MERCURIUS_UNPINNED = "mercurius + graphql-jit on every core"
PEERS = ROOT / "benchmarks/peers"

LISTS = {"list": 1_000, "page": 20}
"""How many deployments are asked for, by the name of the list."""
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


@dataclass(frozen=True)
class Server:
    child: Child
    token: str
    """An administrator's at the hub. The others take it and don't look at it."""
    by_path: bool = False
    """Whether the path names the list, and not the body."""

    def measure(self, name: str, *, seconds: float, tokens: Sequence[str] = ()) -> Answered:
        """Ask for the list, on a connection for each of the tokens if there are some."""
        requests = [self._request(name, token) for token in tokens or [self.token] * CONNECTIONS]
        return measure(self._port, requests, pid=self.child.pid, seconds=seconds)

    def answer(self, name: str, token: str | None = None) -> bytes:
        return fetch(self._port, self._request(name, token or self.token))

    @property
    def _port(self) -> int:
        port: int = self.child.hello["port"]
        return port

    def _request(self, name: str, token: str) -> bytes:
        body = {"query": DOCUMENT, "variables": {"first": LISTS[name]}, "operationName": "Dashboard"}
        return post(f"/{name}" if self.by_path else "/graphql", body, token=token)


def node_with_peers() -> str:
    """Node.js, with the packages of the peers installed. Raises `Unavailable`."""
    if (found := find_node()) is None:
        raise Unavailable(f"no Node.js {LEAST} or newer and npm on PATH, nor those from PyPI: make web")
    node, npm = found
    install(node, npm, PEERS)
    return node


@contextmanager
def serving(node: str, hub: Child, folder: Path) -> Iterator[Mapping[str, Server]]:
    """The hub and its peers by name. Raises ValueError unless all answer the same, in the same order."""
    token = hub.hello["token"]
    servers = {HUB: Server(hub, token)}
    answers = {name: servers[HUB].answer(name) for name in LISTS}
    for name, answer in answers.items():
        (folder / name).write_bytes(answer)
    files = (str(ROOT / "schema.graphql"), str(folder))
    with ExitStack() as stack:

        def peer(script: str, core: int | None = MEASURED) -> Server:
            child = Child(script, *files, core=core, cwd=PEERS, program=(node,))
            return Server(stack.enter_context(child), token)

        servers[MERCURIUS] = peer("mercurius.mjs")
        servers[YOGA] = peer("yoga.mjs")
        static = Child("benchmarks.static_process", str(folder), core=MEASURED, cwd=folder)
        servers[STATIC] = Server(stack.enter_context(static), token, by_path=True)
        servers[MERCURIUS_UNPINNED] = peer("mercurius.mjs", core=None)
        for name, answer in answers.items():
            for which, server in servers.items():
                if _read(server.answer(name)) != _read(answer):
                    raise ValueError(f"{which} doesn't answer what the hub answers")
        yield servers


def nodes(answer: bytes) -> list[dict[str, Any]]:
    """The deployments of an answer."""
    read: list[dict[str, Any]] = json.loads(answer)["data"]["deployments"]["nodes"]
    return read


def _read(answer: bytes) -> Any:
    """Its JSON with keys in their order."""
    return json.loads(answer, object_pairs_hook=tuple)
