"""The hub as its operators run it: `python -m hub serve`, with people made by the command line."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec
import psutil
import pytest

from tests.support.hub import HubClient
from tests.support.processes import ROOT
from tests.support.waiting import until

READY_WITHIN = 30.0
GONE_WITHIN = 5.0
"""The hub's promise for a SIGTERM."""


class Record(msgspec.Struct, frozen=True):
    """A line of the hub's log."""

    event: str
    level: str = ""
    address: str = ""


@dataclass(frozen=True)
class ServedHub(HubClient):
    log: Path
    admin: str
    """Access tokens: of an administrator, …"""
    deployer: str
    """… of a deployer everywhere, …"""
    limited: str
    """… and of a viewer who may see namespace team-b alone, on every instance."""
    process: psutil.Process

    def records(self) -> Sequence[Record]:
        return _records(self.log)


@asynccontextmanager
async def served_hub(folder: Path) -> AsyncIterator[ServedHub]:
    """The hub with its state and its credentials below `folder`; ended by SIGTERM, within its promise."""
    credentials, log = folder / "credentials", folder / "log"
    credentials.mkdir()
    admin, deployer, limited = await asyncio.gather(
        _token(folder, "github:1"),
        _person(folder, "github:2", "--role", "deployer"),
        _person(folder, "github:3", "--role", "viewer", "--namespace", "team-b"),
    )
    with log.open("wb") as stderr:
        process = await _hub(folder, "serve", stderr=stderr.fileno())
    try:
        address = await _address(process, log)
        async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
            port = int(address.rpartition(":")[2])
            running = psutil.Process(process.pid)
            yield ServedHub(port, credentials, http, log, admin, deployer, limited, running)
    finally:
        await _end(process)


@pytest.fixture(scope="session")
async def hub_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedHub]:
    """One hub for all tests, which bring an instance each and take it away again."""
    async with served_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@dataclass(frozen=True)
class LocalHub(HubClient):
    log: Path

    def records(self) -> Sequence[Record]:
        return _records(self.log)


@asynccontextmanager
async def local_hub(folder: Path, **settings: str) -> AsyncIterator[LocalHub]:
    """The hub in local mode, with nothing set but these; at home and with its state below `folder`."""
    log = folder / "log"
    with log.open("wb") as stderr:
        process = await _run(folder, "serve", stderr=stderr.fileno(), settings=settings)
    try:
        address = await _address(process, log)
        async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
            yield LocalHub(int(address.rpartition(":")[2]), folder / "credentials", http, log)
    finally:
        await _end(process)


async def refusal_to_start(folder: Path, **settings: str) -> str:
    """What `serve` says instead of serving."""
    process = await _run(folder, "serve", stderr=PIPE, settings=settings)
    try:
        async with asyncio.timeout(READY_WITHIN):
            _, complaint = await process.communicate()
    finally:
        if process.returncode is None:  # it serves
            process.kill()
            await process.wait()
    assert process.returncode == 1
    return complaint.decode()


async def _hub(folder: Path, *arguments: str, stderr: int) -> Process:
    settings = {
        "HUB_MODE": "true",
        "HUB_ADMINS": "github:1",
        "DATABASE_URL": "sqlite://hub.db",
        "CREDENTIALS_PATH": "./credentials",
    }
    return await _run(folder, *arguments, stderr=stderr, settings=settings)


async def _run(folder: Path, *arguments: str, stderr: int, settings: Mapping[str, str]) -> Process:
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PORT": "0",
        "LOG_FORMAT": "json",
        **settings,
    }
    command = (sys.executable, "-m", "hub", *arguments)
    return await create_subprocess_exec(*command, cwd=folder, env=settings, stdout=PIPE, stderr=stderr)


async def _person(folder: Path, person: str, *grant: str) -> str:
    await _output(folder, "users", "grant", person, *grant)
    return await _token(folder, person)


async def _token(folder: Path, person: str) -> str:
    return await _output(folder, "token", "create", person, "--name", "test")


async def _output(folder: Path, *arguments: str) -> str:
    process = await _hub(folder, *arguments, stderr=PIPE)
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return printed.decode().strip()


async def _address(process: Process, log: Path) -> str:
    found: list[str] = []

    async def ready() -> bool:
        assert process.returncode is None, _records(log)
        found.extend(record.address for record in _records(log) if record.event == "ready")
        return bool(found)

    await until(ready, within=READY_WITHIN)
    return found[0]


def _records(log: Path) -> Sequence[Record]:
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line, type=Record) for line in whole.splitlines()]


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), GONE_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
    assert process.returncode == 0
