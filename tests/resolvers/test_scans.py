"""Scans: in slices, and once for all who ask the same while nothing changed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from auth.permissions import Permission, Role
from auth.policy import narrow
from resolvers.filters import EVERYTHING
from resolvers.scans import Scans, scan
from tests.support.identities import a_grant, an_identity
from tests.support.resources import deployment
from tests.support.stores import StoresFleet

PERMIT = narrow(an_identity(a_grant(Role.VIEWER)), Permission.VIEW_DEPLOYMENTS)


@pytest.fixture
def fleet() -> StoresFleet:
    fleet = StoresFleet()
    fleet.add("east")
    return fleet


@pytest.fixture
async def scans(fleet: StoresFleet) -> AsyncIterator[Scans]:
    scans = Scans(fleet)
    yield scans
    await scans.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "scan"]


class Counting:
    """An answer that comes when it is let, and how often it was worked out."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.times = 0

    async def __call__(self) -> int:
        self.times += 1
        times = self.times
        await self.let.wait()
        return times


async def test_an_answer_is_shared_until_something_changes(scans: Scans, fleet: StoresFleet) -> None:
    compute = Counting()
    compute.let.set()
    assert [await scans.shared("q", compute), await scans.shared("q", compute)] == [1, 1]
    assert await scans.shared("another", compute) == 2
    fleet.stores["east"].apply_deployment(deployment(), api_group="airunway.ai")
    assert await scans.shared("q", compute) == 3


async def test_an_asker_who_goes_away_takes_it_from_nobody(scans: Scans) -> None:
    compute = Counting()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(scans.shared("q", compute))
        second = tasks.create_task(scans.shared("q", compute))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        compute.let.set()
    assert second.result() == 1


async def test_a_long_scan_lets_others_run_and_meets_what_stays_once(fleet: StoresFleet) -> None:
    store = fleet.stores["east"]
    count = 20_000
    with store.batch():
        for number in range(count):
            store.apply_deployment(deployment(f"m{number:05}"), api_group="airunway.ai")
    turns, found, ended = 0, [], asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            if turns == 1:
                store.remove_deployment(deployment(f"m{count - 1:05}"))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(others())
        async for each in scan(fleet=fleet, permit=PERMIT, wanted=EVERYTHING):
            found.append(each.name)
            for _ in range(20):  # as a filter would take its time
                each.id.lower()
        ended.set()
    assert turns > 2
    assert found == [f"m{number:05}" for number in range(count - 1)]
