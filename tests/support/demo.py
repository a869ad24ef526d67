"""`make demo` without make: the demo as its users start it, in a process and a directory of its own."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running_demo(directory: Path, *, stderr: int | None = None, **settings: str) -> AsyncIterator[str]:
    """Yields the base URL once the demo is ready; its state is below `directory`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port), **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", "demo", cwd=directory, env=environment, stdout=DEVNULL, stderr=stderr
    )
    try:
        base = f"http://localhost:{port}"
        async with httpx2.AsyncClient(base_url=base) as client:

            async def ready() -> bool:
                assert process.returncode is None, "the demo ended before it was ready"
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(ready, within=60)
        yield base
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture(scope="module")
async def demo_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The base URL of a running demo."""
    async with running_demo(tmp_path_factory.mktemp("demo")) as base:
        yield base
