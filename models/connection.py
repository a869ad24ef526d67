"""One TortoiseContext, connected, and closed with nothing left behind.

The connection is named after its dialect, because Tortoise keeps built statements in a process-wide cache by
connection name and table. Contexts of one dialect live side by side in a process. A SQLite and a PostgreSQL
one may follow each other, but not overlap: Tortoise's model classes hold the query dialect of whichever was
opened last.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from anyio import CancelScope
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connections
from tortoise.context import TortoiseContext, _current_context

from models.errors import DatabaseUnavailable
from models.url import DatabaseUrl, SqliteUrl

APP = "models"
MIGRATIONS = "models.migrations"


def apps(url: DatabaseUrl, migrations: str = MIGRATIONS) -> dict[str, dict[str, Any]]:
    return {APP: {"models": ["models.tables"], "migrations": migrations, "default_connection": url.dialect}}


@contextmanager
def entered(context: TortoiseContext) -> Iterator[None]:
    """Tortoise's own `with context` can't be entered by two tasks at once."""
    token = _current_context.set(context)
    try:
        yield
    finally:
        _current_context.reset(token)


def current_client() -> BaseDBAsyncClient:
    """The entered context's connection: the transaction's, for a task that is inside one."""
    connections = get_connections()
    (name,) = connections.db_config
    return connections.get(name)


@asynccontextmanager
async def connected(url: DatabaseUrl, *, patient: bool = False) -> AsyncIterator[TortoiseContext]:
    """Connected at once: a lazy connecting that fails keeps Tortoise's lock. Raises DatabaseUnavailable."""
    context = TortoiseContext()
    connection = {"engine": url.engine, "credentials": url.credentials(patient=patient)}
    try:
        with entered(context):
            await context.init(config={"connections": {url.dialect: connection}, "apps": apps(url)})
            await _connect(context, url)
        yield context
    finally:
        with CancelScope(shield=True):
            await context.close_connections()


async def _connect(context: TortoiseContext, url: DatabaseUrl) -> None:
    try:
        if isinstance(url, SqliteUrl):
            _make_file(url.path)
        await context.db().create_connection(with_db=True)
        await context.db().execute_query("SELECT 1")
    except (DatabaseUnavailable, OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(f"{url} can't be opened: {error}") from error


def _make_file(path: Path) -> None:
    """For its owner alone: it holds digests of tokens. SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)  # opens no file that is there: closing one would drop this process's locks on it
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is not writable")
    # Tried here first, because aiosqlite's thread outlives a failure and complains when the loop is closed.
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")
