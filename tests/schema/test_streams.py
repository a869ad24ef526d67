"""The promises of API.md's "Streams", through the whole hub."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from auth.accounts import ensure_user, grant_role, revoke_role
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from hub.demo.cluster import SimulatedCluster
from hub.demo.resources import model_deployments
from models.tables import RoleAssignment
from tests.support.fleets import seen
from tests.support.hub import GraphqlSocket
from tests.support.simulation import model_deployment
from tests.support.surface import World, join, until_ids, until_status

EVENTS = """subscription ($filter: DeploymentFilter, $initial: Boolean! = true) {
  deploymentEvents(filter: $filter, includeInitial: $initial) {
    type instanceId deploymentId deployment { id uid phase viewerCan } } }"""
CHANGES = "subscription { deploymentChanges { events { type deploymentId } } }"
SUMMARIES = "subscription { deploymentSummaryEvents { total phases { phase count } } }"
INSTANCES = """subscription ($initial: Boolean! = true) { instanceEvents(includeInitial: $initial) {
  type instanceId instance { status statusReason deploymentCount lastSeenAt } } }"""

MODELS = model_deployments()
RUNNING = {"status": {"phase": "Running", "replicas": {"desired": 1, "ready": 1, "available": 1}}}
FAILED = {"status": {"phase": "Failed", "replicas": {"desired": 1, "ready": 0, "available": 0}}}


def told(event: Mapping[str, Any]) -> tuple[str, str]:
    """An event's type and what it is about."""
    return event["type"], event["deploymentId"] or event["instanceId"]


async def next_told(socket: GraphqlSocket) -> tuple[str, str]:
    return told(await socket.next())


async def through(socket: GraphqlSocket, *last: tuple[str, str]) -> list[tuple[str, str]]:
    """All that comes until each of `last` came."""
    events: list[tuple[str, str]] = []
    while not set(last) <= set(events):
        events.append(await next_told(socket))
    return events


@asynccontextmanager
async def following(world: World, token: str | None = None, **variables: Any) -> AsyncIterator[GraphqlSocket]:
    """A subscription to deploymentEvents, before its first message."""
    async with world.hub.socket(token or world.admin) as socket:
        yield await socket.subscribe(EVENTS, variables)


async def fill(world: World) -> None:
    """east has ml-team/llama and team-b/mistral, west has ml-team/phi."""
    world.east.apply(model_deployment("llama"))
    world.east.apply(model_deployment("mistral", namespace="team-b"))
    world.west.apply(model_deployment("phi"))
    await until_ids(world, "east/ml-team/llama", "east/team-b/mistral", "west/ml-team/phi")


SYNCED = (("SYNCED", "east"), ("SYNCED", "west"))


# ------------------------------------------------------------------ a deployment's life


async def test_all_that_is_there_then_synced_per_instance(world: World) -> None:
    await fill(world)
    async with following(world) as socket:
        events = await through(socket, *SYNCED)
        await socket.is_quiet()
    assert Counter(events) == Counter(
        [
            ("ADDED", "east/ml-team/llama"),
            ("ADDED", "east/team-b/mistral"),
            ("ADDED", "west/ml-team/phi"),
            *SYNCED,
        ]
    )
    for kind, about in events:
        if kind == "ADDED":
            assert events.index((kind, about)) < events.index(("SYNCED", about.split("/")[0]))


async def test_without_the_initial_state_only_what_happens_is_told(world: World) -> None:
    await fill(world)
    async with following(world, initial=False) as socket, following(world) as witness:
        await through(witness, *SYNCED)
        world.east.delete(MODELS, "team-b", "mistral")  # was never shown: silent
        assert await next_told(witness) == ("DELETED", "east/team-b/mistral")
        world.east.apply(model_deployment("new"))
        assert await next_told(socket) == ("ADDED", "east/ml-team/new")
        world.east.patch(MODELS, "ml-team", "new", RUNNING)
        assert await next_told(socket) == ("MODIFIED", "east/ml-team/new")
        world.east.patch(MODELS, "ml-team", "llama", RUNNING)  # now it is shown for the first time
        assert await next_told(socket) == ("ADDED", "east/ml-team/llama")
        world.east.delete(MODELS, "ml-team", "llama")
        assert await next_told(socket) == ("DELETED", "east/ml-team/llama")
        await socket.is_quiet()


async def test_entering_and_leaving_a_filter(world: World) -> None:
    await fill(world)
    async with following(world, filter={"phases": ["RUNNING"], "instanceIds": ["east"]}) as socket:
        assert await next_told(socket) == ("SYNCED", "east")
        world.west.patch(MODELS, "ml-team", "phi", RUNNING)  # elsewhere
        world.east.patch(MODELS, "ml-team", "llama", RUNNING)
        entered = await socket.next()
        assert told(entered) == ("ADDED", "east/ml-team/llama")
        assert entered["deployment"]["phase"] == "RUNNING"
        world.east.patch(MODELS, "ml-team", "llama", FAILED)
        left = await socket.next()
        assert told(left) == ("DELETED", "east/ml-team/llama")
        assert left["deployment"]["phase"] == "FAILED"  # the state that took it out of the filter
        world.east.patch(MODELS, "ml-team", "llama", RUNNING)
        assert await next_told(socket) == ("ADDED", "east/ml-team/llama")
        await socket.is_quiet()


async def test_a_new_object_under_an_old_name_is_a_deletion_then_an_addition(world: World) -> None:
    await fill(world)
    async with following(world) as socket:
        await through(socket, *SYNCED)
        before = world.east.get(MODELS, "ml-team", "llama")["metadata"]["uid"]
        after = world.east.recreate(MODELS, "ml-team", "llama")["metadata"]["uid"]
        gone, come = await socket.next(), await socket.next()
        assert (told(gone), gone["deployment"]["uid"]) == (("DELETED", "east/ml-team/llama"), before)
        assert (told(come), come["deployment"]["uid"]) == (("ADDED", "east/ml-team/llama"), after)


async def test_a_deletion_that_waits_for_a_finalizer_is_shown_as_terminating(world: World) -> None:
    body = model_deployment("held")
    body["metadata"]["finalizers"] = ["airunway.ai/provider"]
    world.east.apply(body)
    async with following(world) as socket:
        await through(socket, *SYNCED)
        world.east.delete(MODELS, "ml-team", "held")
        event = await socket.next()
        assert told(event) == ("MODIFIED", "east/ml-team/held")
        assert event["deployment"]["phase"] == "TERMINATING"
        world.east.patch(MODELS, "ml-team", "held", {"metadata": {"finalizers": None}})
        assert await next_told(socket) == ("DELETED", "east/ml-team/held")


# ------------------------------------------------------------------ instances that go and come back


async def test_after_an_outage_only_the_differences_are_told(world: World) -> None:
    await fill(world)
    world.east.apply(model_deployment("recreated"))
    world.east.apply(model_deployment("same"))
    async with following(world) as socket:
        await through(socket, *SYNCED)
        await world.east.stop()
        assert await next_told(socket) == ("STALE", "east")
        world.east.delete(MODELS, "ml-team", "llama")
        world.east.recreate(MODELS, "ml-team", "recreated")
        world.east.patch(MODELS, "team-b", "mistral", RUNNING)
        world.east.apply(model_deployment("new"))
        await world.east.start()
        events = await through(socket, ("SYNCED", "east"))
        assert Counter(events) == Counter(
            [
                ("DELETED", "east/ml-team/llama"),
                ("DELETED", "east/ml-team/recreated"),
                ("ADDED", "east/ml-team/recreated"),
                ("MODIFIED", "east/team-b/mistral"),
                ("ADDED", "east/ml-team/new"),
                ("SYNCED", "east"),
            ]
        )
        await socket.is_quiet()


async def test_an_instance_that_is_away_shows_what_is_known_then_stale(world: World) -> None:
    await fill(world)
    await world.east.stop()
    await until_status(world, "east", "DISCONNECTED")
    async with following(world, filter={"instanceIds": ["east"]}) as socket:
        events = await through(socket, ("STALE", "east"))
        assert Counter(events[:-1]) == Counter(
            [("ADDED", "east/ml-team/llama"), ("ADDED", "east/team-b/mistral")]
        )
        await socket.is_quiet()


async def test_a_removed_credential_takes_its_deployments_along(world: World) -> None:
    await fill(world)
    async with following(world) as socket, world.hub.socket(world.admin) as instances:
        await through(socket, *SYNCED)
        await instances.subscribe(INSTANCES)
        while (await instances.next())["type"] != "SYNCED":
            pass
        (world.hub.credentials / "east.kubeconfig").unlink()
        gone = [await socket.next(), await socket.next()]
        assert {told(event) for event in gone} == {
            ("DELETED", "east/ml-team/llama"),
            ("DELETED", "east/team-b/mistral"),
        }
        assert all(event["deployment"] is not None for event in gone)  # still the person's to see
        event = await instances.next()
        assert (event["type"], event["instanceId"]) == ("DELETED", "east")
        await join(world, world.east)
        events = await through(socket, ("SYNCED", "east"))
        assert ("ADDED", "east/ml-team/llama") in events


# ------------------------------------------------------------------ rights that change


async def grant(world: World, name: str, role: Role, scope: Scope) -> str:
    with world.hub.running.database.entered():
        user_id = await ensure_user(Person(Provider.DEMO, name))
        return (await grant_role(user_id, role, scope, granted_by=None)).id


async def revoke(world: World, grant_id: str) -> None:
    """As an administrator does it."""
    with world.hub.running.database.entered():
        await revoke_role(grant_id)


async def ending(socket: GraphqlSocket) -> dict[str, Any]:
    """The error that ends the stream, within about the second that API.md promises."""
    async with asyncio.timeout(4):
        while (message := await socket.receive())["type"] != "error":
            pass
    extensions: dict[str, Any] = message["payload"][0]["extensions"]
    return extensions


async def test_what_may_no_longer_be_seen_is_deleted_without_state_then_the_stream_ends(world: World) -> None:
    await fill(world)
    on_east = await grant(world, "ann", Role.VIEWER, Scope("east"))
    on_west = await grant(world, "ann", Role.VIEWER, Scope("west"))
    ann = await world.hub.token("ann")
    async with following(world, ann) as socket, world.hub.socket(ann) as instances:
        await through(socket, *SYNCED)
        await instances.subscribe(INSTANCES)
        while (await instances.next())["type"] != "SYNCED":
            pass
        await revoke(world, on_west)
        event = await socket.next()
        assert told(event) == ("DELETED", "west/ml-team/phi")
        assert event["deployment"] is None
        event = await instances.next()
        assert (event["type"], event["instanceId"], event["instance"]) == ("DELETED", "west", None)
        await revoke(world, on_east)
        for each in (socket, instances):
            extensions = await ending(each)
            assert (extensions["code"], extensions["reason"]) == ("FORBIDDEN", "ROLE_REVOKED")
        # The connection is still somebody's: it stays.
        await socket.subscribe("{ viewer { displayName } }", operation="2")
        assert await socket.next() == {"displayName": "ann"}


async def test_a_namespace_that_is_lost_or_won(world: World) -> None:
    await fill(world)
    narrow = await grant(world, "ben", Role.VIEWER, Scope("east", ("team-b",)))
    ben = await world.hub.token("ben")
    async with following(world, ben) as socket:
        assert await through(socket, ("SYNCED", "east")) == [
            ("ADDED", "east/team-b/mistral"),
            ("SYNCED", "east"),
        ]
        other = await grant(world, "ben", Role.VIEWER, Scope("east", ("ml-team",)))
        assert await next_told(socket) == ("ADDED", "east/ml-team/llama")
        await revoke(world, narrow)
        event = await socket.next()
        assert (told(event), event["deployment"]) == (("DELETED", "east/team-b/mistral"), None)
        await grant(world, "ben", Role.VIEWER, Scope("west"))
        assert await through(socket, ("SYNCED", "west")) == [
            ("ADDED", "west/ml-team/phi"),
            ("SYNCED", "west"),
        ]
        await revoke(world, other)
        assert await next_told(socket) == ("DELETED", "east/ml-team/llama")


async def test_a_stream_without_rights_waits_for_them(world: World) -> None:
    await fill(world)
    eve = await world.hub.token("eve")
    async with following(world, eve) as socket, world.hub.socket(eve) as other:
        await other.subscribe(SUMMARIES, operation="summaries")
        await other.subscribe(INSTANCES, operation="instances")
        await grant(world, "eve", Role.VIEWER, Scope("west"))
        assert await through(socket, ("SYNCED", "west")) == [
            ("ADDED", "west/ml-team/phi"),
            ("SYNCED", "west"),
        ]
        first: dict[str, Any] = {}
        while first.keys() != {"summaries", "instances"}:
            name, value = await other.next_of_any()
            first.setdefault(name, value)
        assert first["summaries"]["total"] == 1
        assert (first["instances"]["type"], first["instances"]["instanceId"]) == ("ADDED", "west")


async def test_a_changed_role_shows_in_what_comes(world: World) -> None:
    await fill(world)
    await grant(world, "mia", Role.VIEWER, Scope("west"))
    mia = await world.hub.token("mia")
    async with following(world, mia) as socket:
        added = await socket.next()
        assert added["deployment"]["viewerCan"] == ["VIEW_INSTANCES", "VIEW_DEPLOYMENTS"]
        assert await next_told(socket) == ("SYNCED", "west")
        await grant(world, "mia", Role.DEPLOYER, Scope("west"))
        async with asyncio.timeout(10):
            while True:  # nothing tells a client of the change itself: ask until the next event shows it
                world.west.patch(MODELS, "ml-team", "phi", RUNNING)
                world.west.patch(MODELS, "ml-team", "phi", FAILED)
                event = await socket.next()
                if "MANAGE_DEPLOYMENTS" in event["deployment"]["viewerCan"]:
                    break
        assert event["type"] == "MODIFIED"


async def test_losing_everything_ends_a_summary_too(world: World) -> None:
    await fill(world)
    await grant(world, "sam", Role.VIEWER, Scope("west"))
    sam = await world.hub.token("sam")
    async with world.hub.socket(sam) as socket:
        await socket.subscribe(SUMMARIES)
        assert (await socket.next())["total"] == 1
        with world.hub.running.database.entered():
            await RoleAssignment.filter(instance_id="west").delete()
        extensions = await ending(socket)
        assert (extensions["code"], extensions["reason"]) == ("FORBIDDEN", "ROLE_REVOKED")


# ------------------------------------------------------------------ how much, how often


async def test_changes_come_in_messages_of_at_most_200(world: World) -> None:
    names = [f"m-{number:03}" for number in range(450)]
    for name in names:
        world.east.apply(model_deployment(name))
    await until_ids(world, *(f"east/ml-team/{name}" for name in names))
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(CHANGES)
        initial = await changes_until(socket, "SYNCED", 2)
        assert max(len(events) for events in initial) == 200
        added = [event for events in initial for event in events if event["type"] == "ADDED"]
        assert len(added) == 450
        for name in names:
            world.east.delete(MODELS, "ml-team", name)
        gone = await changes_until(socket, "DELETED", 450)
        assert max(len(events) for events in gone) <= 200
        assert len({event["deploymentId"] for events in gone for event in events}) == 450


async def changes_until(socket: GraphqlSocket, kind: str, count: int) -> list[list[dict[str, Any]]]:
    """The messages until so many events of the kind came."""
    messages: list[list[dict[str, Any]]] = []
    while sum(event["type"] == kind for events in messages for event in events) < count:
        messages.append((await socket.next())["events"])
    return messages


async def test_summaries_come_once_a_second_and_only_when_they_change(world: World) -> None:
    """Slow because the second is the promise."""
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(SUMMARIES)
        clock = asyncio.get_running_loop().time
        assert (await socket.next())["total"] == 0
        arrivals, total, number = [clock()], 0, 0
        while len(arrivals) < 4:
            world.east.apply(model_deployment(f"m-{number}"))
            number += 1
            summary = await socket.next()
            assert summary["total"] > total
            total = summary["total"]
            arrivals.append(clock())
        # A message may be late, which brings the next one closer; three seconds stay three.
        assert arrivals[-1] - arrivals[0] > 1.8

        for round_ in range(5):
            patch = {"metadata": {"annotations": {"example.com/round": str(round_)}}}
            world.east.patch(MODELS, "ml-team", "m-0", patch)
        world.east.apply(model_deployment("last"))
        assert (await socket.next())["total"] == total + 1


async def test_an_instances_events(world: World) -> None:
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(INSTANCES)
        first = [await socket.next() for _ in range(3)]
        assert [(event["type"], event["instanceId"]) for event in first] == [
            ("ADDED", "east"),
            ("ADDED", "west"),
            ("SYNCED", None),
        ]
        await world.east.stop()
        event = await socket.next()
        while event["instance"]["status"] != "DISCONNECTED":
            event = await socket.next()
        assert (event["type"], event["instanceId"]) == ("MODIFIED", "east")
        assert event["instance"]["statusReason"]
        await world.east.start()
        while event["instance"]["status"] != "CONNECTED":
            event = await socket.next()
        world.west.apply(model_deployment("phi"))
        while (event["instanceId"], event["instance"]["deploymentCount"]) != ("west", 1):
            event = await socket.next()
        assert event["type"] == "MODIFIED"


async def test_an_answer_of_the_api_server_alone_is_no_event(world: World) -> None:
    feed = world.hub.running.manager.feeds["east"]
    async with world.hub.socket(world.admin) as socket:
        await socket.subscribe(INSTANCES, {"initial": False})
        await socket.is_quiet()
        for _ in range(3):
            before = feed.state.last_seen_at
            await seen(feed, lambda current, before=before: current.state.last_seen_at != before)  # type: ignore[misc]
        await socket.is_quiet()


@pytest.mark.parametrize("stream", ["deploymentEvents", "deploymentChanges", "instanceEvents"])
async def test_an_instance_that_appears_is_added(world: World, stream: str) -> None:
    """A cluster that joins later is news to every stream, those without the initial state included."""
    selection = {
        "deploymentEvents": "type instanceId deploymentId",
        "deploymentChanges": "events { type instanceId deploymentId }",
        "instanceEvents": "type instanceId",
    }[stream]
    async with (
        SimulatedCluster(name="north") as north,
        world.hub.socket(world.admin) as socket,
    ):
        north.apply(model_deployment("late"))
        await socket.subscribe(f"subscription {{ {stream}(includeInitial: false) {{ {selection} }} }}")
        await socket.is_quiet()
        await join(world, north)
        value = await socket.next()
        (event, *_) = value.get("events", [value])
        while event["type"] == "STALE":  # known by its name before its first list
            value = await socket.next()
            (event, *_) = value.get("events", [value])
        assert (event["type"], event["instanceId"]) == ("ADDED", "north")
