"""The instance stream: what is told at once, what at most once a second, and what never."""

import pytest

from auth.permissions import Grant, Permission, Role
from auth.policy import Permit, narrow
from cluster.types import InstanceStatus
from models.database import Database
from resolvers.instance_stream import InstanceEvent, InstanceReader
from resolvers.registry import Registry
from resolvers.streams import EventType
from tests.support.identities import a_grant, an_identity
from tests.support.resources import THEN, deployment
from tests.support.stores import Clock, StoresFleet, change_state, set_live

ADMIN = a_grant(Role.ADMIN)
VIEWER = a_grant(Role.VIEWER)


def permit(*grants: Grant) -> Permit:
    return narrow(an_identity(*grants), Permission.VIEW_INSTANCES)


class Setting:
    """Two instances, and readers of them with a clock that the test moves."""

    def __init__(self, registry: Registry) -> None:
        self.fleet = StoresFleet()
        self.registry = registry
        self.clock = Clock()
        self.east = self.fleet.add("east")
        self.west = self.fleet.add("west", live=False)

    def reader(self, *grants: Grant, include_initial: bool = True) -> InstanceReader:
        return InstanceReader(
            fleet=self.fleet,
            registry=self.registry,
            permit=permit(*grants),
            include_initial=include_initial,
            clock=self.clock,
        )

    def deploy(self, name: str, namespace: str = "ml-team") -> None:
        self.east.apply_deployment(
            deployment(name, namespace=namespace, version=name.removeprefix("m")), api_group="airunway.ai"
        )


@pytest.fixture
async def setting(sqlite_database: Database) -> Setting:  # noqa: ARG001 - holds the rows
    registry = Registry()
    await registry.register(["east", "west", "north"])
    return Setting(registry)


def told(reader: InstanceReader) -> list[tuple[EventType, str | None]]:
    return [(event.type, event.instance_id) for event in events(reader)]


def events(reader: InstanceReader) -> list[InstanceEvent]:
    """All until nothing more is due at once."""
    found: list[InstanceEvent] = []
    again: float | None = 0
    while again == 0:
        drained = reader.drain(1)
        found += drained.events
        again = drained.again
    return found


ALL = [(EventType.ADDED, "east"), (EventType.ADDED, "west"), (EventType.SYNCED, None)]


async def test_the_initial_state_ends_with_one_synced(setting: Setting) -> None:
    reader = setting.reader(VIEWER)
    assert told(reader) == ALL
    assert told(reader) == []


async def test_without_initial_state_only_changes_are_told(setting: Setting) -> None:
    reader = setting.reader(VIEWER, include_initial=False)
    assert told(reader) == []
    set_live(setting.west, live=True)
    assert told(reader) == [(EventType.MODIFIED, "west")]


async def test_status_is_told_at_once_and_the_last_word_of_the_server_never(setting: Setting) -> None:
    reader = setting.reader(ADMIN)
    told(reader)
    change_state(setting.east, last_seen_at=THEN)
    assert told(reader) == []
    change_state(setting.east, status=InstanceStatus.DEGRADED)
    (event,) = events(reader)
    assert event.instance is not None
    assert event.instance.state.status is InstanceStatus.DEGRADED


@pytest.mark.parametrize("hidden", [{"reason": "10.0.0.1 refused"}, {"endpoint": "https://10.0.0.1"}])
async def test_what_only_administrators_are_shown_is_news_to_them_alone(
    setting: Setting, hidden: dict[str, str]
) -> None:
    admin, viewer = setting.reader(ADMIN), setting.reader(VIEWER)
    told(admin), told(viewer)
    change_state(setting.east, **hidden)
    assert told(admin) == [(EventType.MODIFIED, "east")]
    assert told(viewer) == []


async def test_counts_come_at_most_once_a_second_and_the_last_is_never_lost(setting: Setting) -> None:
    reader = setting.reader(VIEWER)
    told(reader)
    for number in range(1, 17):
        setting.clock.now += 1 / 8
        setting.deploy(f"m{number}")
        assert told(reader) == ([(EventType.MODIFIED, "east")] if number in (8, 16) else [])
    setting.deploy("m17")
    drained = reader.drain()
    assert drained.events == []
    assert drained.again == pytest.approx(1.0)
    setting.clock.now += 1.0
    assert told(reader) == [(EventType.MODIFIED, "east")]
    assert reader.drain().again is None


async def test_deployments_elsewhere_are_no_news_to_somebody_limited_to_a_namespace(setting: Setting) -> None:
    reader = setting.reader(a_grant(Role.VIEWER, "east", ("team-b",)))
    assert told(reader) == [(EventType.ADDED, "east"), (EventType.SYNCED, None)]
    setting.clock.now += 5
    setting.deploy("m1", "ml-team")
    change_state(setting.west, status=InstanceStatus.ERROR)
    assert told(reader) == []
    setting.deploy("m2", "team-b")
    assert told(reader) == [(EventType.MODIFIED, "east")]


async def test_an_instance_comes_and_goes(setting: Setting) -> None:
    reader = setting.reader(VIEWER)
    told(reader)
    setting.fleet.add("north")
    setting.fleet.add("unregistered")  # its row comes in a moment
    assert told(reader) == [(EventType.ADDED, "north")]
    setting.fleet.remove("north")
    (event,) = events(reader)
    assert event.type is EventType.DELETED
    assert event.instance is not None
    assert event.instance.id == "north"


async def test_rights_that_change(setting: Setting) -> None:
    reader = setting.reader(VIEWER)
    told(reader)
    reader.change_permit(permit(a_grant(Role.VIEWER, "west")))
    (event,) = events(reader)
    assert (event.type, event.instance_id, event.instance) == (EventType.DELETED, "east", None)
    reader.change_permit(permit(VIEWER))
    assert told(reader) == [(EventType.ADDED, "east")]


async def test_fewer_namespaces_are_another_count(setting: Setting) -> None:
    setting.deploy("m1", "ml-team")
    reader = setting.reader(VIEWER)
    told(reader)
    setting.clock.now += 5
    reader.change_permit(permit(a_grant(Role.VIEWER, None, ("team-b",))))
    assert told(reader) == [(EventType.MODIFIED, "east")]  # nobody knows yet what west holds


async def test_without_rights_it_is_silent_until_there_are_some(setting: Setting) -> None:
    reader = setting.reader()
    assert told(reader) == []
    assert not reader.could_show(permit())
    reader.change_permit(permit(VIEWER))
    assert told(reader) == ALL


async def test_those_who_are_the_same_hear_the_same(setting: Setting) -> None:
    early = setting.reader(VIEWER)
    told(early)
    setting.deploy("m1")
    setting.clock.now += 5
    late, other = setting.reader(VIEWER), setting.reader(a_grant(Role.VIEWER, "east"))
    told(late), told(other)
    assert not early.same(late)
    told(early)
    assert early.same(late)
    assert early.same(early.clone())
    assert not early.same(other)
    change_state(setting.east, node_count=3)
    assert told(early) == told(late) == [(EventType.MODIFIED, "east")]
