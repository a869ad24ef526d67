"""Hearing a database's changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.bus import EVERYTHING, Change, PostgresBus
from models.database import Database
from tests.support.waiting import until


class Heard(list[Change]):
    """The changes that were told, in order; this is their subscriber."""

    def __call__(self, change: Change) -> None:
        self.append(change)

    async def becomes(self, *expected: Change, within: float = 10.0) -> None:
        async def same() -> bool:
            return self == list(expected)

        try:
            await until(same, within=within)
        except TimeoutError:
            assert self == list(expected)


@asynccontextmanager
async def hearing(database: Database) -> AsyncIterator[Heard]:
    """What changes from now on, in every process that changes the database."""
    heard = Heard()
    unsubscribe = database.bus.subscribe(heard)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(database.bus.keep_listening(), name="listening")
        if isinstance(database.bus, PostgresBus):
            await heard.becomes(EVERYTHING)
            heard.clear()
        try:
            yield heard
        finally:
            unsubscribe()
            listening.cancel()
