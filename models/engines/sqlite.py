"""SQLite through aiosqlite: one connection with a thread of its own, and a lock around it.

The thread takes calls in order and finishes each one that it was given, even if the caller was cancelled
meanwhile. So a rollback that was only asked for still runs before whatever comes next.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import aiosqlite
from anyio import CancelScope
from tortoise.backends.base.client import ConnectionWrapper, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections

from models.engines import commits
from models.errors import DatabaseUnavailable

AWAY = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
}  # fmt: skip


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in AWAY:  # the low byte is the primary code
            raise DatabaseUnavailable(str(error)) from error
        raise


class _Connection(ConnectionWrapper[aiosqlite.Connection]):
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await super().__aexit__(exc_type, exc, tb)
        if exc is not None:
            with _translated():
                raise exc


class Client(commits.Client, SqliteClient):
    async def create_connection(self, with_db: bool) -> None:
        with _translated():
            await super().create_connection(with_db)

    def acquire_connection(self) -> ConnectionWrapper[aiosqlite.Connection]:
        return _Connection(self._lock, self)

    def _in_transaction(self) -> TransactionContext:
        return _Transaction(_TransactionalClient(self), self._lock)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        """Tortoise's own leaves its BEGIN open when cancelled."""
        async with self._in_transaction() as transaction:
            await transaction.execute_many(query, values)


class _TransactionalClient(commits.TransactionalClient, SqliteTransactionWrapper, Client):
    def _in_transaction(self) -> TransactionContext:
        return commits.Savepoint(_TransactionalClient(self), self.callbacks)


class _Transaction(SqliteTransactionContext):
    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            with _translated():
                await self.connection._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            await self._end(commit=False)  # the thread may have begun after all
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return self.connection  # type: ignore[no-any-return]

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        committed = exc is None
        try:
            await self._end(commit=exc is None)
        except Exception:
            committed = False  # after a cancellation the thread commits all the same
            raise
        finally:
            get_connections().reset(self.token)
            if committed:
                self.connection.committed()

    async def _end(self, *, commit: bool) -> None:
        connection = self.connection._connection
        try:
            with CancelScope(shield=True), _translated():
                if commit:
                    await connection.commit()
        finally:
            try:
                await connection.rollback()  # nothing, if the commit went well
            finally:
                self._trxlock.release()


client_class = Client
