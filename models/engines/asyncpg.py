"""PostgreSQL through asyncpg: a pool, opened by the DSN as it was given."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import asyncpg
from anyio import CancelScope
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.connection import get_connections
from tortoise.exceptions import DBConnectionError

from models.engines import commits
from models.errors import DatabaseUnavailable

T = TypeVar("T")

AWAY = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A statement on a connection whose end the server is just announcing: "cannot switch to state 12".
    asyncpg.InternalClientError,
    DBConnectionError,
)


@contextmanager
def _translated() -> Iterator[None]:
    """Our own mistakes Tortoise translates before; what is left is the server's state or the way there."""
    try:
        yield
    except AWAY as error:
        raise DatabaseUnavailable(str(error) or type(error).__name__) from error


async def _to_its_end(task: asyncio.Task[T]) -> T:
    """A cancellation meanwhile is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as cancellation:
                cancelled = cancellation
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()


async def connect(*arguments: Any, **options: Any) -> asyncpg.Connection:
    """A connecting that is cut short leaves asyncio an error that nobody asked for (asyncpg 0.32)."""
    task = asyncio.create_task(asyncpg.connect(*arguments, **options), name="connect to PostgreSQL")
    try:
        return await _to_its_end(task)
    except asyncio.CancelledError:
        if task.exception() is None:
            task.result().terminate()
        raise


class Client(commits.Client, AsyncpgDBClient):
    def __init__(self, dsn: str, **options: Any) -> None:
        super().__init__(**options)
        self._dsn = dsn  # not among the options, which Tortoise logs

    async def create_connection(self, with_db: bool) -> None:
        with _translated():
            await super().create_connection(with_db)

    async def create_pool(self, **options: Any) -> asyncpg.Pool:
        stated = ("host", "port", "user", "password", "database")  # by the DSN, which these would override
        return await asyncpg.create_pool(
            self._dsn,
            connect=connect,
            **{name: value for name, value in options.items() if name not in stated},
        )

    async def _translate_exceptions(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _translated():
            return await super()._translate_exceptions(func, *args, **kwargs)

    def _in_transaction(self) -> TransactionContext:
        return _Transaction(_TransactionalClient(self), self._pool_init_lock)


class _TransactionalClient(commits.TransactionalClient, TransactionWrapper, Client):
    def _in_transaction(self) -> TransactionContext:
        return _Savepoint(_TransactionalClient(self), self.callbacks)


class _Transaction(TransactionContextPooled):
    async def __aenter__(self) -> TransactionalDBClient:
        self._pool = self.client._parent._pool
        with _translated():
            self.client._connection = await self._pool.acquire()
            self._block = self.client._connection.transaction()
            try:
                await self._block.__aenter__()
            except BaseException:
                await self._pool.release(self.client._connection)  # rolls back what may have begun
                raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            # Cut short, a ROLLBACK would leave a connection in a transaction.
            await _to_its_end(asyncio.create_task(self._end(exc), name="leave a transaction"))
        except DatabaseUnavailable:
            if exc is None:
                raise
        finally:
            get_connections().reset(self.token)
            if exc is None:  # a COMMIT without an answer may have been done
                self.client.committed()  # type: ignore[attr-defined]

    async def _end(self, exc: BaseException | None) -> None:
        with _translated():
            try:
                await self._block.__aexit__(exc and type(exc), exc, None)
            finally:
                await self._pool.release(self.client._connection)


class _Savepoint(commits.Savepoint):
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with _translated():
            await super().__aexit__(exc_type, exc, tb)


client_class = Client
