import asyncio
import signal

import pytest
from tortoise.migrations.autodetector import MigrationAutodetector

from models.connection import apps, connected, entered
from models.database import open_database
from models.errors import DatabaseTooNew, MigrationFailed
from models.migrate import migrate, pending
from models.tables import Instance
from models.url import DatabaseUrl, parse_database_url
from tests.support.processes import output, python

SLOW = "tests.support.slow_migrations"

OPEN = """
import asyncio, sys
from models.database import open_database
from models.tables import User
from models.url import parse_database_url

async def main():
    async with open_database(parse_database_url(sys.argv[1])) as database:
        with database.entered():
            print(*database.migrated, await User.all().count())

asyncio.run(main())
"""

MIGRATE_SLOWLY = f"""
import asyncio, sys
from models.migrate import migrate
from models.url import parse_database_url

asyncio.run(migrate(parse_database_url(sys.argv[1]), package="{SLOW}"))
"""


async def rows(url: DatabaseUrl, query: str) -> list[tuple[object, ...]]:
    async with connected(url) as context:
        return [tuple(row.values()) for row in await context.db().execute_query_dict(query)]


async def test_the_migrations_make_the_tables_as_they_are_declared(database_url: str) -> None:
    url = parse_database_url(database_url)
    async with connected(url) as context:
        assert context.apps is not None
        with entered(context):
            assert await MigrationAutodetector(context.apps, apps(url)).changes() == []


async def test_pending_names_what_a_start_will_apply(database_url: str) -> None:
    url = parse_database_url(database_url)
    names = await pending(url)
    assert names[0] == "0001_initial"
    assert await migrate(url) == names
    assert await pending(url) == []
    assert await migrate(url) == []


async def test_what_was_stored_survives_the_next_start(database_url: str) -> None:
    url = parse_database_url(database_url)
    async with open_database(url) as database, database.transaction():
        await Instance.create(id="prod-east", display_name="East")
    async with open_database(url) as database:
        assert database.migrated == []
        with database.entered():
            assert (await Instance.get(id="prod-east")).display_name == "East"


async def test_six_processes_start_at_once_on_an_empty_database(database_url: str) -> None:
    processes = [await python(OPEN, database_url) for _ in range(6)]
    printed = await asyncio.gather(*map(output, processes))
    assert sorted(printed) == ["0"] * 5 + ["0001_initial 0002_identity_and_access 0"]


async def test_a_process_killed_while_migrating_leaves_what_was_there(database_url: str) -> None:
    url = parse_database_url(database_url)
    process = await python(MIGRATE_SLOWLY, database_url, MIGRATION_TEST="hang")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"halfway\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()

    assert await migrate(url, package=SLOW) == ["0001_initial", "0002_halfway"]
    assert await rows(url, "SELECT id, name FROM things") == [("first", None)]


async def test_a_start_waits_for_one_that_is_migrating(database_url: str) -> None:
    process = await python(MIGRATE_SLOWLY, database_url, MIGRATION_TEST="hang")
    assert process.stdout is not None
    await process.stdout.readline()
    waiting = asyncio.create_task(migrate(parse_database_url(database_url), package=SLOW))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    process.kill()
    await process.wait()
    assert await waiting == ["0001_initial", "0002_halfway"]


async def test_a_migration_that_fails_is_undone(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = parse_database_url(database_url)
    monkeypatch.setenv("MIGRATION_TEST", "fail")
    with pytest.raises(MigrationFailed, match="the data make no sense"):
        await migrate(url, package=SLOW)
    assert "0001_initial" in await pending(url)
    assert await rows(url, "SELECT name FROM tortoise_migrations") == []


@pytest.mark.usefixtures("database")
async def test_a_database_of_a_later_release_is_refused(database_url: str) -> None:
    async with connected(parse_database_url(database_url)) as context:
        await context.db().execute_query(
            "INSERT INTO tortoise_migrations (app, name, applied_at) "
            "VALUES ('models', '0999_later', '2030-01-01 00:00:00')"
        )
    with pytest.raises(DatabaseTooNew, match=r"later release \(0999_later is unknown"):
        async with open_database(parse_database_url(database_url)):
            pass
