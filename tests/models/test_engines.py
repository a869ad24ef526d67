"""What our engines add to Tortoise's: cancellation, BEGIN IMMEDIATE and one error for an absent database."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from models.database import Database, open_database
from models.errors import DatabaseUnavailable
from models.tables import Instance
from models.url import parse_database_url
from tests.support.databases import PostgresServer, running_postgres
from tests.support.processes import output, python
from tests.support.waiting import until

COUNT_UP = """
import asyncio, sys
from models.database import open_database
from models.tables import Instance
from models.url import parse_database_url

async def main():
    async with open_database(parse_database_url(sys.argv[1])) as database:
        for _ in range(50):
            async with database.transaction():
                row = await Instance.select_for_update().get(id="counter")
                row.display_name = str(int(row.display_name) + 1)
                await row.save()

asyncio.run(main())
"""


async def add_pair(database: Database, name: str) -> None:
    async with database.transaction():
        await Instance.create(id=f"{name}-a", display_name="")
        with suppress(ZeroDivisionError):
            async with database.transaction():
                raise ZeroDivisionError
        await Instance.create(id=f"{name}-b", display_name="")


async def assert_sound(database: Database) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*(add_pair(database, f"after-{number}") for number in range(30)))
    names = set(await Instance.all().values_list("id", flat=True))
    assert {f"after-{number}-b" for number in range(30)} <= names
    halves = {str(name)[:-2] for name in names}
    assert len(names) == 2 * len(halves)


async def test_four_hundred_cancellations_leave_nothing_locked_and_nothing_half(database: Database) -> None:
    delays = random.Random(1)
    for turn in range(20):
        tasks = [asyncio.create_task(add_pair(database, f"{turn}-{number}")) for number in range(20)]
        for task in tasks:
            await asyncio.sleep(delays.uniform(0, 0.002))
            task.cancel()
            if delays.random() < 0.3:
                asyncio.get_running_loop().call_later(delays.uniform(0, 0.002), task.cancel)
        await asyncio.wait(tasks)
    await assert_sound(database)


async def test_cancelled_scopes_leave_nothing_locked_and_nothing_half(database: Database) -> None:
    delays = random.Random(2)

    async def cut_short(name: str) -> None:
        with anyio.move_on_after(delays.uniform(0, 0.02)):
            await add_pair(database, name)

    for turn in range(10):
        await asyncio.gather(*(cut_short(f"{turn}-{number}") for number in range(20)))
    await assert_sound(database)


async def test_a_task_cut_short_inside_a_transaction_goes_on_with_the_database(database: Database) -> None:
    with anyio.move_on_after(0.05):
        async with database.transaction():
            await Instance.create(id="lost", display_name="")
            await anyio.sleep_forever()
    assert await Instance.all().count() == 0


async def test_a_bulk_insert_cut_short_is_undone(sqlite_database: Database) -> None:
    rows = [Instance(id=f"cluster-{number}", display_name="x") for number in range(20_000)]
    with anyio.move_on_after(0.05):
        await Instance.bulk_create(rows)
    assert await Instance.all().count() in (0, len(rows))
    async with sqlite_database.transaction():
        await Instance.create(id="after", display_name="")


@pytest.mark.usefixtures("database")
async def test_reading_then_writing_from_four_processes_loses_nothing(database_url: str) -> None:
    await Instance.create(id="counter", display_name="0")
    processes = [await python(COUNT_UP, database_url) for _ in range(4)]
    await asyncio.gather(*map(output, processes))
    assert (await Instance.get(id="counter")).display_name == "200"


async def test_a_database_that_another_process_holds_is_unavailable(tmp_path: Path) -> None:
    url = parse_database_url(f"{tmp_path}/hub.db")
    async with open_database(url) as database:
        other = sqlite3.connect(tmp_path / "hub.db")
        other.execute("BEGIN IMMEDIATE")
        with database.entered():
            await database._context.db().execute_query("PRAGMA busy_timeout = 50")
            with pytest.raises(DatabaseUnavailable, match="locked"):
                await Instance.create(id="prod-east", display_name="")
            with pytest.raises(DatabaseUnavailable, match="locked"):
                async with database.transaction():
                    pass
            assert await Instance.all().count() == 0
            other.rollback()
            other.close()
            async with database.transaction():
                await Instance.create(id="prod-east", display_name="")


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def lose_the_server(database: Database, server: PostgresServer, *, nested: bool) -> None:
    async with database.transaction():
        await Instance.create(id="lost", display_name="")
        async with database.transaction() if nested else nullcontext():
            await asyncio.to_thread(server.stop)
            await Instance.create(id="lost-too", display_name="")


@pytest.mark.parametrize("nested", [False, True])
async def test_a_server_that_goes_and_comes_back(own_server: PostgresServer, nested: bool) -> None:
    async with open_database(parse_database_url(f"{own_server.url}/postgres")) as database:
        with pytest.raises(DatabaseUnavailable):
            await lose_the_server(database, own_server, nested=nested)
        with database.entered():
            for attempt in (database.ping, Instance.all().count, partial(add_pair, database, "lost")):
                with pytest.raises(DatabaseUnavailable):
                    await attempt()
        await asyncio.to_thread(own_server.start)

        async def back() -> bool:
            with suppress(DatabaseUnavailable):
                await database.ping()
                return True
            return False

        await until(back)
        with database.entered():
            assert await Instance.all().count() == 0
