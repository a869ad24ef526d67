"""The memory of registered instances."""

import asyncio

from models.database import Database
from models.tables import Instance
from resolvers.registry import PAUSE, Registry
from tests.support.stores import StoresFleet
from tests.support.waiting import until


async def test_an_instance_that_appears_is_registered_once(sqlite_database: Database) -> None:
    fleet, registry, told = StoresFleet(), Registry(), asyncio.Event()
    with sqlite_database.entered():
        following = asyncio.create_task(registry.follow(fleet, registered=told.set))
        fleet.add("east")
        await asyncio.wait_for(told.wait(), 5)
        fleet.remove("east")
        fleet.add("east")
        fleet.add("west")

        async def both() -> bool:
            return registry.get("west") is not None

        await until(both)
        assert {row.id for row in await Instance.all()} == {"east", "west"}
        assert registry.get("nowhere") is None
        following.cancel()
        await asyncio.wait([following], timeout=5)
        assert following.cancelled()


async def test_following_ends_when_cancelled_in_the_moment_of_news(sqlite_database: Database) -> None:
    """asyncio.wait_for of Python 3.11 loses such a cancellation, and the hub would never end."""
    fleet, registry, told = StoresFleet(), Registry(), asyncio.Event()
    with sqlite_database.entered():
        following = asyncio.create_task(registry.follow(fleet, registered=told.set))
        store = fleet.add("east")
        await asyncio.wait_for(told.wait(), 5)
        await asyncio.sleep(2 * PAUSE)  # into the wait for more, which nothing tells from outside
        store.set_namespaces(["ml-team"])
        following.cancel()
        await asyncio.wait([following], timeout=2)
        assert following.cancelled()
