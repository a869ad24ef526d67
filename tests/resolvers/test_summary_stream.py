"""The summary stream: at once, then on change, at most once a second, and shared."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from auth.effective import GrantRules
from auth.permissions import Grant, Permission, Role
from auth.policy import Permit, narrow
from resolvers.filters import EVERYTHING, DeploymentFilter
from resolvers.registry import Registry
from resolvers.scans import Scans
from resolvers.services import Services
from resolvers.summaries import Summary
from resolvers.summary_stream import SummaryReader
from tests.support.identities import a_grant, an_identity
from tests.support.resources import deployment
from tests.support.stores import Clock, StoresFleet, set_live

VIEWER = a_grant(Role.VIEWER)


def permit(*grants: Grant) -> Permit:
    return narrow(an_identity(*grants), Permission.VIEW_DEPLOYMENTS)


class Setting:
    def __init__(self) -> None:
        self.fleet = StoresFleet()
        self.east = self.fleet.add("east")
        self.scans = Scans(self.fleet)
        self.clock = Clock()
        self.clock.now = 100.5
        self.woken = asyncio.Event()
        self.readers: list[SummaryReader] = []

    def reader(self, *grants: Grant, wanted: DeploymentFilter = EVERYTHING) -> SummaryReader:
        reader = SummaryReader(
            services=Services(
                fleet=self.fleet,
                registry=Registry(),
                scans=self.scans,
                pages=self.scans,
                rules=GrantRules(),
            ),
            permit=permit(*(grants or (VIEWER,))),
            wanted=wanted,
            wake=self.woken.set,
            clock=self.clock,
        )
        self.readers.append(reader)
        return reader

    def deploy(self, name: str, namespace: str = "ml-team") -> None:
        self.east.apply_deployment(deployment(name, namespace=namespace), api_group="airunway.ai")

    async def told(self, reader: SummaryReader) -> list[Summary]:
        """All until nothing more is due; turns are given when they are asked for."""
        found: list[Summary] = []
        async with asyncio.timeout(5):
            while True:
                self.woken.clear()
                drained = reader.drain()
                found += drained.events
                if drained.again == 0:
                    continue
                if not any(task.get_name() == "deployment summary" for task in asyncio.all_tasks()):
                    return found
                await self.woken.wait()


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    setting = Setting()
    yield setting
    for reader in setting.readers:
        reader.close()
    await setting.scans.close()


def totals(summaries: list[Summary]) -> list[int]:
    return [each.counts.total for each in summaries]


async def test_at_once_then_on_change_at_whole_seconds(setting: Setting) -> None:
    setting.deploy("m1")
    reader = setting.reader()
    assert totals(await setting.told(reader)) == [1]
    setting.clock.now = 101.25
    setting.deploy("m2")
    assert await setting.told(reader) == []
    assert reader.drain().again == pytest.approx(0.75)
    setting.clock.now = 102.01
    setting.deploy("m3")
    assert totals(await setting.told(reader)) == [3]
    assert reader.drain().again is None
    setting.deploy("m4")
    assert reader.drain().again == pytest.approx(0.99)


async def test_what_changes_no_count_is_not_told(setting: Setting) -> None:
    reader = setting.reader(a_grant(Role.VIEWER, "east", ("team-b",)))
    assert totals(await setting.told(reader)) == [0]
    setting.clock.now += 5
    setting.deploy("m1", "ml-team")
    assert await setting.told(reader) == []
    assert reader.drain().again is None


async def test_an_instance_that_stops_being_live_is_told(setting: Setting) -> None:
    reader = setting.reader()
    await setting.told(reader)
    setting.clock.now += 5
    set_live(setting.east, live=False)
    (summary,) = await setting.told(reader)
    assert [source.stale for source in summary.sources] == [True]


async def test_a_change_while_it_is_counted_is_told_by_the_next(setting: Setting) -> None:
    reader = setting.reader()
    assert reader.drain().events == []  # begins to count
    setting.deploy("m1")
    last = (await setting.told(reader))[-1]
    setting.clock.now += 5
    again = await setting.told(reader)
    assert totals([last, *again])[-1] == 1


async def test_other_rights_are_another_summary(setting: Setting) -> None:
    setting.deploy("m1", "ml-team")
    reader = setting.reader()
    assert totals(await setting.told(reader)) == [1]
    setting.clock.now += 5
    reader.change_permit(permit(a_grant(Role.VIEWER, None, ("team-b",))))
    assert totals(await setting.told(reader)) == [0]
    assert not reader.could_show(permit())
    reader.change_permit(permit())
    setting.clock.now += 5
    setting.deploy("m2", "team-b")
    assert await setting.told(reader) == []


async def test_who_comes_later_is_soon_the_same(setting: Setting) -> None:
    one = setting.reader()
    await setting.told(one)
    setting.clock.now = 101.9
    setting.deploy("m1")
    other = setting.reader()
    assert totals(await setting.told(other)) == [1]
    assert not one.same(other)
    setting.clock.now = 102.05
    assert totals(await setting.told(one)) == [1]
    assert one.same(other)
    setting.clock.now = 103.02
    setting.deploy("m2")
    assert totals(await setting.told(one)) == totals(await setting.told(other)) == [2]
    assert one.same(other)
    assert not one.same(setting.reader(wanted=DeploymentFilter(unhealthy=True)))


async def test_a_clone_is_not_told_again(setting: Setting) -> None:
    reader = setting.reader()
    await setting.told(reader)
    clone = reader.clone()
    assert reader.same(clone)
    assert await setting.told(clone) == []
    setting.deploy("m1")
    assert clone.drain().again == reader.drain().again


async def test_those_who_begin_together_are_the_same(setting: Setting) -> None:
    one, other = setting.reader(), setting.reader()
    assert one.same(other)
    one.drain()
    assert not one.same(other), "one of them is counting"
