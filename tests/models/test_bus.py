"""One contract for both sides of the change bus, and what PostgreSQL's has to survive."""

import asyncio
import random
import time
from contextlib import suppress

import pytest

from models.bus import CHANNEL, EVERYTHING, LONGEST, Change, publish
from models.connection import current_client
from models.database import Database, open_database
from models.tables import Instance
from models.url import PostgresUrl, parse_database_url
from tests.support.changes import Heard, hearing
from tests.support.databases import PostgresServer, running_postgres
from tests.support.processes import output, python
from tests.support.waiting import until

LAST = Change("audit", "aud_last")
"""Published last of all: what hasn't been heard by then never will be."""

CHANGE_SOMETHING = """
import asyncio, sys
from models.bus import publish
from models.database import open_database
from models.tables import Instance
from models.url import parse_database_url

async def main():
    async with open_database(parse_database_url(sys.argv[1])) as database, database.transaction():
        await Instance.create(id="from-elsewhere", display_name="")
        await publish("instances", "from-elsewhere")

asyncio.run(main())
"""


async def ends_with(heard: Heard, *expected: Change) -> None:
    await publish(LAST.kind, LAST.id)
    await heard.becomes(*expected, LAST)


async def test_a_change_is_told_once_the_transaction_is_committed(database: Database) -> None:
    async with hearing(database) as heard:
        async with database.transaction():
            await Instance.create(id="prod-east", display_name="")
            await publish("instances", "prod-east")
            async with database.transaction():
                await publish("user", "usr_1")
            await asyncio.sleep(0.1)  # for what must not come
            assert heard == []
        # Its own process has been told by now: what is asked of it next finds nothing outdated.
        assert heard == [Change("instances", "prod-east"), Change("user", "usr_1")]


async def test_a_subscriber_finds_what_was_committed(database: Database) -> None:
    found = []

    async def look(name: str) -> None:
        with database.entered():
            found.append(await Instance.exists(id=name))

    async with hearing(database), asyncio.TaskGroup() as tasks:

        def start_looking(change: Change) -> None:
            tasks.create_task(look(change.id))

        unsubscribe = database.bus.subscribe(start_looking)
        for number in range(20):
            async with database.transaction():
                await Instance.create(id=f"cluster-{number}", display_name="")
                await publish("instances", f"cluster-{number}")

        async def all_looked_at() -> bool:
            return len(found) == 20

        await until(all_looked_at)
        unsubscribe()
    assert all(found)


async def test_what_is_rolled_back_is_never_told(database: Database) -> None:
    async with hearing(database) as heard:
        with suppress(ZeroDivisionError):
            async with database.transaction():
                await publish("user", "usr_1")
                raise ZeroDivisionError
        await ends_with(heard)


async def test_a_savepoint_that_is_rolled_back_takes_its_changes_along(database: Database) -> None:
    async with hearing(database) as heard:
        async with database.transaction():
            await publish("user", "usr_1")
            with suppress(ZeroDivisionError):
                async with database.transaction():
                    await publish("token", "tok_lost")
                    async with database.transaction():
                        await publish("token", "tok_inner")
                    raise ZeroDivisionError
            async with database.transaction():
                await publish("session", "ses_1")
        await ends_with(heard, Change("user", "usr_1"), Change("session", "ses_1"))


async def test_outside_of_a_transaction_it_is_told_at_once(database: Database) -> None:
    async with hearing(database) as heard:
        await publish("mappings")
        assert heard == [Change("mappings")]


async def test_what_is_committed_is_told_even_if_its_task_is_cancelled_meanwhile(database: Database) -> None:
    """A client that hangs up while its mutation commits."""
    delays = random.Random(3)

    async def create(name: str) -> None:
        async with database.transaction():
            await Instance.create(id=name, display_name="")
            await publish("instances", name)

    async with hearing(database) as heard:
        begin = time.monotonic()
        await create("cluster-first")
        takes = time.monotonic() - begin
        for number in range(60):
            task = asyncio.create_task(create(f"cluster-{number}"))
            await asyncio.sleep(delays.uniform(0, takes * 1.2))
            task.cancel()
            await asyncio.wait([task])
        await publish(LAST.kind, LAST.id)

        async def heard_all() -> bool:
            return LAST in heard

        await until(heard_all)
    names = set(await Instance.all().values_list("id", flat=True))
    assert names <= {change.id for change in heard}
    assert 1 < len(names) < 61


async def test_who_unsubscribed_hears_nothing_and_who_fails_spoils_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_change: Change) -> None:
        raise ZeroDivisionError

    gone = Heard()
    unsubscribe = database.bus.subscribe(gone)
    unsubscribe_failing = database.bus.subscribe(failing)
    async with hearing(database) as heard:
        gone.clear()
        unsubscribe()
        unsubscribe()
        await publish("user", "usr_1")
        await heard.becomes(Change("user", "usr_1"))
    assert gone == []
    assert "a subscriber of the change bus failed" in caplog.text
    unsubscribe_failing()


async def test_an_id_has_room_for_any_character_and_too_long_a_one_is_refused(database: Database) -> None:
    odd = "ü \"\x00' \\ \n" + "x" * 7_000
    async with hearing(database) as heard:
        await publish("user", odd)
        await heard.becomes(Change("user", odd))
        with pytest.raises(ValueError, match="at most"):
            await publish("user", "x" * LONGEST)


async def test_two_databases_hear_their_own_changes(tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = [tmp_path_factory.mktemp("hub") / "hub.db" for _ in range(2)]
    async with (
        open_database(parse_database_url(str(paths[0]))) as one,
        open_database(parse_database_url(str(paths[1]))) as two,
        hearing(one) as by_one,
        hearing(two) as by_two,
    ):
        with two.entered():
            await publish("user", "usr_2")
            with one.entered():
                await publish("user", "usr_1")
            await publish("user", "usr_3")
    assert by_one == [Change("user", "usr_1")]
    assert by_two == [Change("user", "usr_2"), Change("user", "usr_3")]


# ---------------------------------------------------------------- PostgreSQL


async def test_every_replica_hears_what_any_process_changes(postgres_url: str) -> None:
    url = parse_database_url(postgres_url)
    async with (
        open_database(url) as one,
        open_database(url) as two,
        hearing(one) as by_one,
        hearing(two) as by_two,
    ):
        await output(await python(CHANGE_SOMETHING, postgres_url))
        with two.entered():
            await publish("user", "usr_1")
        for heard in (by_one, by_two):
            await heard.becomes(Change("instances", "from-elsewhere"), Change("user", "usr_1"))


def listening_to(url: str) -> str:
    """True of connections that do nothing but listen."""
    return f"datname = '{url.rpartition('/')[2]}' AND query LIKE 'LISTEN%'"


async def test_a_listener_that_is_killed_comes_back_and_says_that_anything_may_have_changed(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_database(parse_database_url(postgres_url)) as database, hearing(database) as heard:
        where = listening_to(postgres_url)
        for _ in range(2):
            killed = postgres_server.sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {where}"
            )
            assert killed == "t"
            await heard.becomes(EVERYTHING)
            with database.entered():
                await publish("user", "usr_1")
            await heard.becomes(EVERYTHING, Change("user", "usr_1"))
            heard.clear()


async def test_a_database_that_restarts_is_listened_to_again() -> None:
    with running_postgres() as server:
        url = parse_database_url(f"{server.url}/postgres")
        async with open_database(url) as database, hearing(database) as heard:
            server.stop()
            await asyncio.sleep(0.5)  # some attempts fail
            assert heard == []
            server.start()
            await heard.becomes(EVERYTHING)
            with database.entered():
                await publish("user", "usr_1")
            await heard.becomes(EVERYTHING, Change("user", "usr_1"))


async def test_a_change_of_a_later_release_stands_for_everything(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_database(parse_database_url(postgres_url)) as database, hearing(database) as heard:
        for payload in ('["elsewhere", ["invention", "inv_1"]]', "no json"):
            postgres_server.sql(f"SELECT pg_notify('{CHANNEL}', '{payload}')", database=postgres_url)
        await heard.becomes(EVERYTHING, EVERYTHING)


async def test_listening_has_an_address_of_its_own(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """As beside a pooler, through which no LISTEN passes, nor any statement that was prepared before."""
    direct = parse_database_url(f"{postgres_url}?application_name=hub-listener")
    assert isinstance(direct, PostgresUrl)
    through = parse_database_url(postgres_url)
    assert isinstance(through, PostgresUrl)
    async with (
        open_database(through.behind_pooler(), listen_url=direct) as database,
        hearing(database) as heard,
    ):
        sql = f"SELECT application_name FROM pg_stat_activity WHERE {listening_to(postgres_url)}"
        assert postgres_server.sql(sql) == "hub-listener"
        with database.entered():
            await publish("user", "usr_1")
            assert await Instance.all() == []
            assert await current_client().execute_query_dict("SELECT name FROM pg_prepared_statements") == []
        await heard.becomes(Change("user", "usr_1"))
