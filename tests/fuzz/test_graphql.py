"""The demo under schemathesis: operations made from the schema for five minutes, as four kinds of people.

For releases (`make fuzz`): slow, and other work beside it makes it shallow. FUZZ_SECONDS shortens it.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import psutil
import pytest

from tests.support.demo import running_demo
from tests.support.waiting import until

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900)]

SECONDS = int(os.environ.get("FUZZ_SECONDS", "300"))
PEOPLE = ("admin", "ml-team", "viewer", None)
GROWTH = 60_000_000
"""Bytes that the hub may grow by meanwhile: caches fill, and the demo's clusters go on."""
CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = CONFIG.parents[2]


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[str]:
    with (tmp_path / "log").open("wb") as log:
        async with running_demo(tmp_path, stderr=log.fileno(), LOG_FORMAT="json") as base:
            yield base


def its_process() -> psutil.Process:
    (process,) = [each for each in psutil.Process().children() if "demo" in each.cmdline()]
    return process


async def test_no_server_error_and_no_leak(demo: str, tmp_path: Path) -> None:
    process = its_process()
    for person in PEOPLE:  # so that caches are as full before as after
        await fuzz(demo, person, seconds=max(2, SECONDS // 20))
    before, open_files = process.memory_info().rss, process.num_fds()
    for person in PEOPLE:
        await fuzz(demo, person, seconds=SECONDS // len(PEOPLE))

    async def at_rest() -> bool:
        return process.num_fds() <= open_files

    await until(at_rest)
    assert process.memory_info().rss - before < GROWTH
    errors = [line for line in (tmp_path / "log").read_bytes().splitlines() if b'"level": "error"' in line]
    assert not errors, [msgspec.json.decode(line)["event"] for line in errors]


async def fuzz(demo: str, person: str | None, *, seconds: int) -> None:
    """Fails for an answer that isn't as `checks` wants it, or takes five seconds."""
    schema, headers = ["--url", f"{demo}/graphql", str(ROOT / "schema.graphql")], []
    if person is not None:
        async with httpx2.AsyncClient(base_url=demo, trust_env=False) as client:
            signed_in = await client.post("/api/auth/demo", json={"user": person})
        headers = ["--header", f"Authorization: Bearer {signed_in.json()['accessToken']}"]
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", *schema, *headers,
        "--phases", "fuzzing", "--max-time", str(seconds), "--max-response-time", "5", "--warnings", "off",
        "--checks", "errors_are_told",
    ]  # fmt: skip
    hooks = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz.checks"}
    process = await asyncio.create_subprocess_exec(*command, env=hooks, stdout=PIPE, stderr=STDOUT)
    printed, _ = await process.communicate()
    told = printed.decode().partition("Test cases:")[2].strip().splitlines()
    print(f"\n{person or 'anonymous'}: {told[:1]}")  # noqa: T201
    assert process.returncode == 0, printed.decode()
