"""(a) What the hub adds to an event's way: a bare watch client and a subscriber of the hub, side by side.

The simulated API server stamps each event. A bare aiohttp client that decodes it as the hub does, and a
subscriber of the hub behind it, note when they have it; both are one process, so their clock is the same.
"""

import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import msgspec

from benchmarks.figures import Figure, percentile
from benchmarks.processes import MEASURING, Cluster, namespaces, pin, running_hub
from benchmarks.subscribers import QUERY, STAMP
from cluster.wire import ModelDeployment

RATE, SECONDS, DEPLOYMENTS = 200, 10, 1_000
LATEST = 1.0
"""Seconds after the last event; what isn't there by then counts as missed."""
MAX_ADDED = 5.0
"""Milliseconds at p99 (issue 3)."""

Arrivals = dict[int, int]
"""By an event's stamp; both by `time.monotonic_ns`."""


class WatchEvent(msgspec.Struct, frozen=True):
    type: str
    object: ModelDeployment


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Cluster(name="east", cwd=folder, deployments=DEPLOYMENTS, namespaces=namespaces(10)) as cluster,
            running_hub(folder / "hub", cluster) as hub,
        ):
            bare, behind = asyncio.run(_measure(cluster, hub.hello))
    assert bare, "no event was seen"
    added = [(behind[stamp] - arrival) / 1e6 for stamp, arrival in bare.items() if stamp in behind]
    lag = [(arrival - stamp) / 1e6 for stamp, arrival in bare.items()]
    through = [(arrival - stamp) / 1e6 for stamp, arrival in behind.items()]
    return [
        Figure(what="events that the hub's subscriber missed", value=len(bare) - len(added), limit=0),
        Figure(what="lag of a bare watch client, p50", value=percentile(lag, 50), unit="ms"),
        Figure(what="lag of a bare watch client, p99", value=percentile(lag, 99), unit="ms"),
        Figure(what="lag through the hub, p99", value=percentile(through, 99), unit="ms"),
        Figure(what="added by the hub, p50", value=percentile(added, 50), unit="ms"),
        Figure(what="added by the hub, p99", value=percentile(added, 99), unit="ms", limit=MAX_ADDED),
        Figure(
            what="through the hub ÷ bare, p50", value=percentile(through, 50) / percentile(lag, 50), unit="×"
        ),
    ]


async def _measure(cluster: Cluster, hub: dict[str, Any]) -> tuple[Arrivals, Arrivals]:
    bare: Arrivals = {}
    behind: Arrivals = {}
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        ready = asyncio.Barrier(3)
        readers = [
            tasks.create_task(_watch(session, cluster, ready, bare)),
            tasks.create_task(_subscribe(session, hub, ready, behind)),
        ]
        await ready.wait()
        load = {"rate": RATE, "seconds": SECONDS}
        async with session.post(f"{cluster.hello['control']}/load", json=load) as answer:
            answer.raise_for_status()
        await asyncio.sleep(LATEST)
        for reader in readers:
            reader.cancel()
    return bare, behind


async def _watch(
    session: aiohttp.ClientSession, cluster: Cluster, ready: asyncio.Barrier, arrivals: Arrivals
) -> None:
    url = f"{cluster.hello['url']}/apis/airunway.ai/v1alpha1/modeldeployments"
    headers = {"authorization": f"Bearer {cluster.kubeconfig['users'][0]['user']['token']}"}
    async with session.get(url, headers=headers) as listed:
        version = (await listed.json())["metadata"]["resourceVersion"]
    decode = msgspec.json.Decoder(WatchEvent).decode
    params = {"watch": "1", "resourceVersion": version}
    async with session.get(url, headers=headers, params=params) as watch:
        await ready.wait()
        rest = b""
        async for chunk in watch.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message = decode(line).object.status.message
                arrivals[int(message or 0)] = time.monotonic_ns()


async def _subscribe(
    session: aiohttp.ClientSession, hub: dict[str, Any], ready: asyncio.Barrier, arrivals: Arrivals
) -> None:
    url = f"http://127.0.0.1:{hub['port']}/graphql"
    async with session.ws_connect(url, protocols=("graphql-transport-ws",), max_msg_size=0) as socket:
        authorization = {"authorization": f"Bearer {hub['token']}"}
        await socket.send_json({"type": "connection_init", "payload": authorization})
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": QUERY % ""}})
        async for message in socket:
            now = time.monotonic_ns()
            if (stamp := STAMP.search(message.data.encode())) is not None:
                arrivals[int(stamp[1])] = now
            elif '"SYNCED"' in message.data:
                await ready.wait()
            elif json.loads(message.data)["type"] == "error":
                raise RuntimeError(message.data)
