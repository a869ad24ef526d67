"""A simulated cluster in a process of its own, so that a benchmark leaves the hub its core.

    python -m hub.demo.cluster --name prod-east --port 0

prints one line of JSON once it serves ({"name", "url", "control", "kubeconfig"}, see `hub.demo.control`) and
ends with its standard input or at SIGTERM.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import uvloop
from aiohttp import web

from hub.demo.api import ApiSettings
from hub.demo.cluster import HOST, SimulatedCluster
from hub.demo.control import Control


def main() -> None:
    """Run until the end of standard input or SIGTERM."""
    uvloop.run(_serve(_arguments(sys.argv[1:])))


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hub.demo.cluster", description=__doc__)
    parser.add_argument("--name", default="simulated")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--group", action="append", help="an API group to serve; repeatable")
    parser.add_argument("--namespace", action="append", help="a namespace; repeatable")
    parser.add_argument("--history", type=int, default=10_000, help="events that are kept for watches")
    parser.add_argument("--bookmark-interval", type=float, default=60.0, help="seconds")
    return parser.parse_args(words)


async def _serve(arguments: argparse.Namespace) -> None:
    cluster = SimulatedCluster(
        name=arguments.name,
        groups=arguments.group or ("airunway.ai",),
        namespaces=arguments.namespace or ("default", "kube-system", "ml-team", "team-b"),
        port=arguments.port,
        history=arguments.history,
        settings=ApiSettings(bookmark_interval=arguments.bookmark_interval),
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with cluster, _control(cluster) as control, _until_end_of_input(ended):
        line = {"name": cluster.name, "url": cluster.url, "control": control}
        line_json = msgspec.json.encode(line | {"kubeconfig": cluster.kubeconfig()})
        sys.stdout.write(f"{line_json.decode()}\n")
        sys.stdout.flush()
        await ended.wait()


@asynccontextmanager
async def _control(cluster: SimulatedCluster) -> AsyncIterator[str]:
    """Serves the control endpoint; its URL."""
    runner = web.AppRunner(Control(cluster=cluster).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        port = runner.addresses[0][1]
        yield f"http://{HOST}:{port}/_sim"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _until_end_of_input(ended: asyncio.Event) -> AsyncIterator[None]:
    """Sets the event when standard input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def wait() -> None:
        await reader.read()
        ended.set()

    waiting = asyncio.create_task(wait(), name="end of standard input")
    try:
        yield
    finally:
        waiting.cancel()
        transport.close()
