"""The database of one application, from opening to closing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tortoise.context import TortoiseContext
from tortoise.transactions import in_transaction

from models.bus import Bus, make_bus
from models.connection import connected, entered
from models.migrate import migrate
from models.url import DatabaseUrl, PostgresUrl


class Database:
    """Made by `open_database`. Tables (`models.tables`) are reached by tasks that have entered it."""

    def __init__(self, context: TortoiseContext, *, bus: Bus, migrated: list[str]) -> None:
        self._context = context
        self.bus = bus
        """What changes in it. A process that is to hear of other replicas runs its `keep_listening`."""
        self.migrated = migrated
        """The migrations that this opening applied."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """For the calling task and the tasks that it starts; any number of tasks may be inside at once.

        Within, `models.bus.publish` tells of changes.
        """
        with entered(self._context), self.bus.entered():
            yield

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Everything inside, or nothing. Inside another one it is a savepoint.

        On SQLite it holds up every other query of the process: await no network inside. A unique violation
        that is to be survived needs a transaction of its own, else PostgreSQL refuses all that follows.
        A task started inside would use the connection after it was given back: start none.
        """
        with self.entered():
            async with in_transaction():
                yield

    async def ping(self) -> None:
        """Raises DatabaseUnavailable."""
        with self.entered():
            await self._context.db().execute_query("SELECT 1")


@asynccontextmanager
async def open_database(
    url: DatabaseUrl, *, listen_url: PostgresUrl | None = None
) -> AsyncIterator[Database]:
    """Migrates, connects, and closes at the end: no task and no thread is left.

    `listen_url` is where the change bus listens, if that isn't `url`: LISTEN doesn't pass through a pooler.
    Raises DatabaseUnavailable, DatabaseTooNew or MigrationFailed.
    """
    migrated = await migrate(url)
    async with connected(url) as context:
        yield Database(context, bus=make_bus(url, listen_url=listen_url), migrated=migrated)
