"""Migrations at start-up: all pending ones in one transaction, one process at a time.

Tortoise records a migration in a transaction of its own after its DDL and takes no lock, so simultaneous
starts fail on both databases, and a crash in between wedges every later start. Here the lock, the DDL and
the record share one transaction: a process that is killed leaves what was there before, and whoever waited
for the lock goes on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.graph import MigrationKey
from tortoise.migrations.recorder import MigrationRecorder
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.transactions import in_transaction

from models.connection import APP, MIGRATIONS, apps, connected, entered
from models.errors import DatabaseError, DatabaseTooNew, MigrationFailed
from models.url import DatabaseUrl, PostgresUrl

LOCK = 0x4149_5257_4855_4221
"""The key of PostgreSQL's advisory lock, any number that no other program takes."""


async def migrate(url: DatabaseUrl, *, package: str = MIGRATIONS) -> list[str]:
    """Applies what is pending and returns its names. Raises any DatabaseError; then nothing was changed."""
    async with _locked(url, package) as executor:
        names = await _plan(executor)
        try:
            if names:
                await executor.migrate(direction="forward")
        except DatabaseError:
            raise
        except Exception as error:
            raise MigrationFailed(f"migrating {url} ({', '.join(names)}) was undone: {error}") from error
        return names


async def pending(url: DatabaseUrl) -> list[str]:
    """The names of the migrations that `migrate` would apply. Waits while another process migrates."""
    async with _locked(url, MIGRATIONS) as executor:
        return await _plan(executor)


@asynccontextmanager
async def _locked(url: DatabaseUrl, package: str) -> AsyncIterator[MigrationExecutor]:
    async with connected(url, patient=True) as context:
        with entered(context):
            async with in_transaction() as connection:  # on SQLite, BEGIN IMMEDIATE is the lock
                if isinstance(url, PostgresUrl):
                    await connection.execute_query("SELECT pg_advisory_xact_lock($1)", [LOCK])
                executor = MigrationExecutor(connection, apps(url, package))
                executor.recorder = executor.loader.recorder = _Recorder(connection)
                yield executor


async def _plan(executor: MigrationExecutor) -> list[str]:
    plan = await executor.plan()
    applied = set(await executor.recorder.applied_migrations())
    if unknown := sorted(key.name for key in applied - executor.loader.disk_migrations.keys()):
        raise DatabaseTooNew(
            f"the database was migrated by a later release ({', '.join(unknown)} is unknown to this one): "
            "run that release or restore a backup from before"
        )
    return [step.migration.name for step in plan]


class _Recorder(MigrationRecorder):
    """Tortoise's, without the commit that it does on making its table and without its silence on errors."""

    async def applied_migrations(self) -> list[MigrationKey]:
        # First of all, because on PostgreSQL a SELECT from a missing table would spoil the transaction.
        await self.connection.execute_query(
            f'CREATE TABLE IF NOT EXISTS "{self.table_name}" ("app" VARCHAR(255) NOT NULL, '
            '"name" VARCHAR(255) NOT NULL, "applied_at" TIMESTAMPTZ NOT NULL, PRIMARY KEY ("app", "name"))'
        )
        rows = await self.connection.execute_query_dict(f'SELECT "app", "name" FROM "{self.table_name}"')  # noqa: S608
        return [MigrationKey(row["app"], row["name"]) for row in rows if row["app"] == APP]

    async def ensure_schema(self, schema_editor: BaseSchemaEditor) -> None:
        """Done by `applied_migrations`."""
