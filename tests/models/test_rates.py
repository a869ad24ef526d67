"""Rate limits: exact, over every process that counts in the same database."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from models.database import Database
from models.errors import RateLimited
from models.rates import LONGEST, Limit, count, sweep
from models.tables import RateWindow
from tests.support.processes import output, python

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGN_INS = Limit("sign-in", 3, timedelta(minutes=1))

COUNT_TWENTY = """
import asyncio, sys
from datetime import timedelta
from models.database import open_database
from models.errors import RateLimited
from models.rates import Limit, count
from models.url import parse_database_url

async def once():
    try:
        await count("192.0.2.1", Limit("sign-in", 30, timedelta(hours=1)))
        return 1
    except RateLimited:
        return 0

async def main():
    async with open_database(parse_database_url(sys.argv[1])) as database:
        with database.entered():
            print(sum(await asyncio.gather(*(once() for _ in range(20)))))

asyncio.run(main())
"""


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


async def counted(seconds: float, key: str = "192.0.2.1", limit: Limit = SIGN_INS) -> RateLimited | None:
    try:
        await count(key, limit, now=at(seconds))
    except RateLimited as refused:
        return refused
    return None


@pytest.mark.usefixtures("database")
async def test_one_too_many_is_told_when_it_may_come_again() -> None:
    assert [await counted(seconds) for seconds in (0, 0.5, 20)] == [None] * 3
    refused = await counted(20.5)
    assert refused is not None
    assert (refused.reason, refused.limit, refused.actual, refused.retry_after) == ("SIGN_IN", 3, 4, 40)
    last = await counted(59.99)
    assert last is not None
    assert (last.actual, last.retry_after) == (5, 1)
    assert str(last) == "Too many attempts: sign-in; try again in 1 s"
    assert [await counted(seconds) for seconds in (60, 61, 119)] == [None] * 3
    assert await counted(119.5) is not None


@pytest.mark.usefixtures("database")
async def test_keys_and_limits_are_counted_apart() -> None:
    for key in ("192.0.2.1", "192.0.2.2"):
        assert [await counted(0, key) for _ in range(3)] == [None] * 3
    other = Limit("refresh", 3, timedelta(minutes=1))
    assert [await counted(0, limit=other) for _ in range(3)] == [None] * 3
    assert await counted(0, limit=other) is not None


@pytest.mark.usefixtures("database")
async def test_a_replica_whose_clock_is_behind_counts_in_the_same_window() -> None:
    assert [await counted(seconds) for seconds in (10, 9, 8)] == [None] * 3
    assert await counted(9) is not None


async def test_processes_count_together(database_url: str) -> None:
    processes = [await python(COUNT_TWENTY, database_url) for _ in range(3)]
    passed = await asyncio.gather(*map(output, processes))
    assert sum(map(int, passed)) == 30


async def test_a_count_inside_a_transaction_goes_with_it(database: Database) -> None:
    """Why counting belongs outside."""
    with suppress(ZeroDivisionError):
        async with database.transaction():
            await counted(0)
            raise ZeroDivisionError
    assert not await RateWindow.exists()


@pytest.mark.usefixtures("database")
async def test_windows_that_are_over_are_swept() -> None:
    await counted(0, "old")
    await counted(60, "new")
    await sweep(now=BEGIN + LONGEST + timedelta(seconds=30))
    assert [window.key for window in await RateWindow.all()] == ["sign-in:new"]


def test_a_window_is_no_longer_than_what_is_swept() -> None:
    for per in (timedelta(), -timedelta(seconds=1), LONGEST + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="window"):
            Limit("odd", 1, per)
