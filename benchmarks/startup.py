"""(d) From exec to ready, with compiled bytecode, against a process that only imports the hub's libraries."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx2

from benchmarks.figures import Figure
from benchmarks.processes import (
    MEASURED,
    MEASURING,
    ROOT,
    Cluster,
    hub_environment,
    namespaces,
    pin,
    running_hub,
)

RUNS, CLUSTERS, DEPLOYMENTS = 5, 3, 100
MAX_READY = 1.5
"""Seconds (issue 3)."""
LIBRARIES = (
    "aiohttp, aiosqlite, anyio, graphql, jwt, kubernetes_asyncio, msgspec, pydantic_settings, starlette, "
    "strawberry, structlog, tortoise, typer, ulid, uvicorn, uvloop, watchfiles, websockets, yaml"
)
STATUS = "{ instances { nodes { status } } }"


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        spaces = namespaces(10)
        with (
            Cluster(name="east", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces) as east,
            Cluster(name="north", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces) as north,
            Cluster(name="west", cwd=folder, deployments=DEPLOYMENTS, namespaces=spaces) as west,
        ):
            clusters = (east, north, west)
            with running_hub(
                folder / "hub", *clusters
            ) as hub:  # makes the database, a token and the bytecode
                token = hub.hello["token"]
            environment = hub_environment(folder / "hub", *clusters, port=_free_port())
            pairs = [(_started(folder, environment, token), _imported(folder)) for _ in range(RUNS)]
    ready = median(times[0] for times, _ in pairs)
    return [
        Figure(what="exec to /readyz 200, median", value=ready, unit="s", limit=MAX_READY),
        Figure(what="exec to /readyz 200, slowest", value=max(times[0] for times, _ in pairs), unit="s"),
        Figure(
            what="exec to the first CONNECTED, median", value=median(times[1] for times, _ in pairs), unit="s"
        ),
        Figure(what="exec to all CONNECTED, median", value=median(times[2] for times, _ in pairs), unit="s"),
        Figure(
            what="importing the libraries alone, median", value=median(alone for _, alone in pairs), unit="s"
        ),
        Figure(
            what="ready ÷ importing the libraries, median",
            value=median(times[0] / alone for times, alone in pairs),
            unit="×",
        ),
    ]


def _started(folder: Path, environment: dict[str, str], token: str) -> tuple[float, float, float]:
    """Seconds until ready, until the first instance is CONNECTED, and until all are."""
    address = f"http://127.0.0.1:{environment['PORT']}"
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=address, headers=headers, trust_env=False) as http:

        def connected() -> int:
            answer = http.post("/graphql", json={"query": STATUS}).json()
            return sum(each["status"] == "CONNECTED" for each in answer["data"]["instances"]["nodes"])

        begin = time.monotonic()
        process = _process(["-m", "hub", "serve"], folder, environment)
        try:
            return (
                _until(lambda: http.get("/readyz").status_code == 200) - begin,
                _until(lambda: connected() > 0) - begin,
                _until(lambda: connected() == CLUSTERS) - begin,
            )
        finally:
            process.terminate()
            process.wait()


def _until(condition: Callable[[], bool]) -> float:
    """The moment at which the condition first held."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if condition():
                return time.monotonic()
        except httpx2.TransportError:
            pass
        time.sleep(0.005)
    raise TimeoutError("the hub wasn't ready within a minute")


def _imported(folder: Path) -> float:
    begin = time.monotonic()
    _process(["-c", f"import {LIBRARIES}"], folder, {}).wait()
    return time.monotonic() - begin


def _process(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.DEVNULL,
    )
    pin(MEASURED, process.pid)
    return process


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
