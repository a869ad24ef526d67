"""A hundred readers that stop reading while events go on: what they cost, and whom.

Slow, about 30 seconds for each transport: a socket has 15 to take something before it is dropped, and a p99
needs events. The hub, the cluster and the readers are a process each, as they would be.
"""

import json
import sys
import time
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx2
import psutil
import pytest
import yaml

from schema.sockets import STALLED_AFTER
from tests.support.hub_process import ServedHub, served_hub
from tests.support.instances import until_instance
from tests.support.processes import ROOT
from tests.support.replaying import TRANSPORTS, Client, Json, Replay, Transport, a_client
from tests.support.waiting import until

pytestmark = pytest.mark.quiet

STALLED, HEALTHY = 100, 5
DEPLOYMENTS = 500
RATE = 500
"""Events a second. Two busy cores hold this for all the processes together; faster, their queues are what is
measured."""
MEGABYTE = 1_000_000
CLOSED_WITHIN = 20.0
QUIET_P99 = 0.05
"""Seconds. Below this the machine's noise decides, and a double of it is nobody's fault."""
ROUND = 3.0
"""Seconds of events, before the readers stall and again when they are gone: noise comes and goes."""
EVENTS = """
subscription {
  deploymentEvents {
    type instanceId deploymentId observedAt
    deployment {
      id uid namespace name modelId engine provider phase stale gpuCount resourceVersion createdAt
      replicas { desired ready available } endpoint { url } message
    }
  }
}"""
"""Messages of some 650 bytes."""


class Lags(Replay):
    """How long after its moment each change was heard, by the second of its hearing."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: defaultdict[int, list[float]] = defaultdict(list)

    def take(self, event: Json) -> None:
        super().take(event)
        if event["type"] == "MODIFIED":  # the load writes the moment as the message
            now = time.monotonic_ns()
            self.heard[now // 10**9].append((now - int(event["deployment"]["message"])) / 1e9)

    def p99(self) -> float:
        """Since the last time, of an average second: a second in which the machine did something else
        is one of many."""
        seconds = [quantiles(lags, n=100)[98] for lags in self.heard.values() if len(lags) > RATE / 2]
        self.heard.clear()
        return median(seconds)


@asynccontextmanager
async def a_cluster(hub: ServedHub) -> AsyncIterator[httpx2.AsyncClient]:
    """A cluster in a process of its own that the hub is connected to; its control endpoint."""
    command = (sys.executable, "-m", "hub.demo.cluster", "--name", "east")
    process = await create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = json.loads(await process.stdout.readline())
        async with httpx2.AsyncClient(base_url=line["control"], trust_env=False, timeout=60) as control:
            namespaces = ["ml-team", "team-b"]
            await control.post("/objects", json={"count": DEPLOYMENTS, "namespaces": namespaces})
            (hub.credentials / "east.kubeconfig").write_text(yaml.safe_dump(line["kubeconfig"]))
            await until_instance(hub, hub.admin, "east", status="CONNECTED", deploymentCount=DEPLOYMENTS)
            yield control
    finally:
        process.stdin.close()
        await process.wait()


def sockets(process: psutil.Process, port: int) -> list[object]:
    """Those that stand between the hub and its clients."""
    return [
        each
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
    ]


async def load(control: httpx2.AsyncClient, seconds: float) -> None:
    answer = await control.post("/load", json={"rate": RATE, "seconds": seconds})
    assert answer.json()["events"] > 0


@asynccontextmanager
async def subscribed(hub: ServedHub, count: int, by: Transport) -> AsyncIterator[list[Client]]:
    """So many who have been told of everything."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(a_client(hub, hub.admin, query=EVENTS, replay=Lags(), by=by))
            for _ in range(count)
        ]
        for client in clients:
            await client.until(lambda client=client: client.replay.live == {"east": True})  # type: ignore[misc]
        yield clients


def p99(clients: list[Client]) -> float:
    """Of all of them together."""
    return median(client.replay.p99() for client in clients if isinstance(client.replay, Lags))


@pytest.mark.parametrize("by", TRANSPORTS)
async def test_readers_that_stop_reading_cost_little_and_hold_up_nobody(
    tmp_path: Path, by: Transport
) -> None:
    async with (
        served_hub(tmp_path) as hub,
        a_cluster(hub) as control,
        subscribed(hub, HEALTHY, by) as healthy,
    ):
        await load(control, ROUND)
        alone = p99(healthy)
        async with subscribed(hub, STALLED, by) as stalled:
            process = hub.process
            before = process.memory_info().rss
            for client in stalled:
                client.reading.clear()
            since = time.monotonic()
            await load(control, 2 * ROUND)
            grown = process.memory_info().rss - before
            beside = p99(healthy)

            async def closed() -> bool:
                return len(sockets(process, hub.port)) == HEALTHY

            await until(closed, within=since + CLOSED_WITHIN - time.monotonic())
            waited = time.monotonic() - since
        await load(control, ROUND)
        alone = max(alone, p99(healthy))
    figures = (
        f"p99 {alone * 1e3:.1f} ms alone, {beside * 1e3:.1f} ms beside {STALLED} stalled; "
        f"{grown / STALLED / MEGABYTE:.2f} MB each; closed after {waited:.1f} s"
    )
    assert waited >= STALLED_AFTER, figures
    assert grown <= STALLED * 2 * MEGABYTE, figures
    assert beside <= 2 * max(alone, QUIET_P99), figures
