"""One change to many subscribers: company that is found, lost and found again, and what is left at the end.

Company is found across transports: every cohort here has members by WebSocket and by SSE.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice, pairwise
from typing import Any

import pytest

from auth.accounts import ensure_user, grant_role, list_accounts, revoke_role
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from cluster.changes import MAX_TOMBSTONES
from cluster.store import Store
from hub.demo.load import churn, populate
from hub.demo.resources import model_deployments
from schema.sockets import STALLED_AFTER
from tests.support.hub import GraphqlSocket
from tests.support.live import cohorts, until_cohorts, until_nothing_is_held, view_of
from tests.support.replaying import FIELDS, TRANSPORTS, Client, Transport, a_client, answer
from tests.support.resources import deployment
from tests.support.surface import World
from tests.support.waiting import until

GROUP = "airunway.ai"
NAMESPACES = ("ml-team", "team-b")
LONG = 50 * "x"
ALIASES = " ".join(f"a{number}{LONG}: id b{number}{LONG}: phase" for number in range(25))
LARGE = f"""
subscription {{
  deploymentEvents {{
    type instanceId deploymentId
    deployment {{ {FIELDS} {ALIASES} }}
  }}
}}"""
"""Messages of some 4 KB, with as many aliases as are allowed."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def clients(
    stack: AsyncExitStack,
    world: World,
    count: int,
    *,
    token: str | None = None,
    by: Sequence[Transport] = TRANSPORTS,
    **options: Any,
) -> list[Client]:
    """By these transports in turn."""
    return [
        await stack.enter_async_context(a_client(world.hub, token or world.admin, by=transport, **options))
        for transport in islice(cycle(by), count)
    ]


def held(world: World) -> dict[str, Any]:
    return {
        f"{cluster.name}/{each['metadata']['namespace']}/{each['metadata']['name']}": each["metadata"]
        for cluster in (world.east, world.west)
        for each in cluster.objects(model_deployments(GROUP))
    }


def versions(found: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(key, each["resourceVersion"]) for key, each in found.items()}


async def in_step(world: World, *readers: Client, token: str | None = None, within: float = 30.0) -> None:
    """All readers end up with what a query answers, once that is what the clusters hold."""

    async def up_to_date() -> bool:
        return versions(await answer(world.hub, world.admin)) == versions(held(world))

    await until(up_to_date)
    expected = await answer(world.hub, token or world.admin)
    for reader in readers:
        await reader.until(
            lambda reader=reader: (
                {  # type: ignore[misc]
                    key: {name: each[name] for name in FIELDS.split()}
                    for key, each in reader.replay.shown.items()
                }
                == expected
            ),
            within=within,
        )


async def regrant(world: World, name: str, scope: Scope) -> str:
    """The person is a viewer there from now on, and nowhere else; the grant's id."""
    with world.hub.running.database.entered():
        user_id = await ensure_user(Person(Provider.DEMO, name))
        granted = await grant_role(user_id, Role.VIEWER, scope, granted_by=None)
        for account in await list_accounts():
            for grant in account.grants:
                if account.id == user_id and grant.id != granted.id:
                    await revoke_role(grant.id)
    return granted.id


async def test_those_who_ask_the_same_are_answered_together_and_leave_nothing(
    world: World, stack: AsyncExitStack
) -> None:
    keys = populate(world.east, count=40, namespaces=NAMESPACES)
    early = await clients(stack, world, 10)
    await in_step(world, *early)
    load = asyncio.create_task(churn(world.east, keys=keys, rate=200, seconds=1))
    late = await clients(stack, world, 10)
    other = await clients(stack, world, 2, filter={"unhealthy": True})
    await load
    await in_step(world, *early, *late)
    await until_cohorts(world.hub, 20, 2)
    for reader in early[:5]:
        reader.abort()
    for reader in (*early[5:], *other):
        await reader.complete()
    await until_cohorts(world.hub, 10)
    await stack.aclose()
    await until_nothing_is_held(world.hub)


@pytest.mark.parametrize("by", TRANSPORTS)
async def test_a_reader_who_stalls_holds_up_nobody_and_misses_nothing(
    world: World, stack: AsyncExitStack, by: Transport
) -> None:
    keys = populate(world.east, count=100, namespaces=NAMESPACES)
    healthy = await clients(stack, world, 3, query=LARGE)
    stalling = await clients(stack, world, 3, query=LARGE, by=[by])
    await in_step(world, *healthy, *stalling)
    await until_cohorts(world.hub, 6)
    for reader in stalling:
        reader.reading.clear()
    await churn(world.east, keys=keys, rate=400, seconds=2)
    for namespace, name in keys[:30]:
        world.east.delete(model_deployments(GROUP), namespace, name)
    await in_step(world, *healthy)
    assert len(cohorts(world.hub)) > 1
    heard = [reader.replay.count for reader in stalling]
    for reader in stalling:
        reader.reading.set()
    await in_step(world, *stalling)
    for reader, before in zip(stalling, heard, strict=True):
        assert reader.replay.count - before < 800, "what came twice to the same deployment is told once"
    await until_cohorts(world.hub, 6)


async def test_a_reader_who_takes_nothing_is_dropped_with_all_that_it_had(
    world: World, stack: AsyncExitStack
) -> None:
    """Slow because the 15 seconds are the promise."""
    keys = populate(world.east, count=100, namespaces=NAMESPACES)
    stalling = await clients(stack, world, 4, query=LARGE)
    await in_step(world, *stalling)
    for reader in stalling:
        reader.reading.clear()

    async def full() -> bool:
        return all(cohort.stalled for cohort in cohorts(world.hub))

    churning = asyncio.create_task(churn(world.east, keys=keys, rate=400, seconds=3))
    await until(full)
    since = time.monotonic()
    await churning
    view = view_of(world.hub)

    async def dropped() -> bool:
        return len(view.connections) == 0

    await until(dropped, within=STALLED_AFTER + 5)
    assert not cohorts(world.hub), "at once"
    assert len(view.quota) == 0
    assert time.monotonic() - since > STALLED_AFTER - 1


async def test_sockets_that_vanish_while_answers_are_made_disturb_nobody(
    world: World, stack: AsyncExitStack
) -> None:
    populate(world.east, count=600, namespaces=NAMESPACES)
    await in_step(world)
    vanishing = await clients(stack, world, 8, query=LARGE)
    staying = await clients(stack, world, 2, query=LARGE)
    for number, reader in enumerate(vanishing):
        await reader.until(lambda reader=reader, number=number: reader.replay.count > 20 * number)  # type: ignore[misc]
        reader.abort()
    await in_step(world, *staying)
    await until_cohorts(world.hub, 2)


@pytest.mark.parametrize("by", TRANSPORTS)
async def test_rights_that_shrink_while_the_answer_is_under_way(
    world: World, stack: AsyncExitStack, by: Transport
) -> None:
    token = await world.hub.token("somebody", Role.VIEWER)
    populate(world.east, count=600, namespaces=NAMESPACES)
    await in_step(world)
    (reader,) = await clients(stack, world, 1, token=token, query=LARGE, by=[by])
    await reader.until(lambda: reader.replay.count > 0)
    reader.reading.clear()
    grant_id = await regrant(world, "somebody", Scope("east", ("team-b",)))

    async def shrunk() -> bool:
        return len(await answer(world.hub, token)) == 300

    await until(shrunk)
    reader.reading.set()
    await in_step(world, reader, token=token)
    assert {each["namespace"] for each in reader.replay.shown.values()} == {"team-b"}
    with world.hub.running.database.entered():
        await revoke_role(grant_id)
    await reader.until(lambda: bool(reader.errors), within=5)
    (error,) = reader.errors
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("FORBIDDEN", "ROLE_REVOKED")
    await until_cohorts(world.hub)


@pytest.mark.parametrize("by", TRANSPORTS)
async def test_rights_that_grow_are_shown_without_subscribing_anew(
    world: World, stack: AsyncExitStack, by: Transport
) -> None:
    token = await world.hub.token("somebody")
    populate(world.east, count=20, namespaces=NAMESPACES)
    await in_step(world)
    silent = await clients(stack, world, 1, token=token, by=[by])
    admins = await clients(stack, world, 1)
    await in_step(world, *admins)
    assert silent[0].replay.count == 0
    await regrant(world, "somebody", Scope("east", ("team-b",)))
    await silent[0].until(lambda: silent[0].replay.live == {"east": True}, within=5)
    await in_step(world, *silent, token=token)
    assert len(silent[0].replay.shown) == 10
    await until_cohorts(world.hub, 1, 1)


@pytest.mark.parametrize("by", TRANSPORTS)
async def test_who_is_behind_the_tombstones_is_told_and_nobody_else_is(
    world: World, stack: AsyncExitStack, by: Transport
) -> None:
    keys = populate(world.east, count=100, namespaces=NAMESPACES)
    healthy = await clients(stack, world, 1)
    (stalled,) = await clients(stack, world, 1, query=LARGE, by=[by])
    await in_step(world, *healthy, stalled)
    stalled.reading.clear()
    await churn(world.east, keys=keys, rate=400, seconds=1)
    await in_step(world, *healthy)
    store = world.hub.running.manager.feeds["east"]
    assert isinstance(store, Store)  # its watch is idle: writing it directly is faster than a server could
    for start in range(0, MAX_TOMBSTONES + 1_000, 500):
        with store.batch():
            for number in range(start, start + 500):
                store.apply_deployment(deployment(f"brief-{number}"), api_group=GROUP)
                store.remove_deployment(deployment(f"brief-{number}"))
        await asyncio.sleep(0.01)
    stalled.reading.set()
    await stalled.until(lambda: bool(stalled.errors))
    (error,) = stalled.errors
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert error["extensions"]["reason"] == "SLOW_CONSUMER"
    await in_step(world, *healthy)
    await until_cohorts(world.hub, 1)


async def test_summaries_are_shared_however_late_somebody_comes(world: World, stack: AsyncExitStack) -> None:
    sockets: list[GraphqlSocket] = []
    async with asyncio.TaskGroup() as readers:
        for number in range(1, 4):
            socket = await stack.enter_async_context(world.hub.socket(world.admin))
            sockets.append(await socket.subscribe("subscription { deploymentSummaryEvents { total } }"))
            readers.create_task(until_told(socket, 30))
            populate(world.east, count=10 * number, namespaces=NAMESPACES)
            await asyncio.sleep(0.3)  # they come at moments of their own
    await until_cohorts(world.hub, 3)
    for model in range(3):
        world.east.delete(model_deployments(GROUP), NAMESPACES[0], f"model-{2 * model:05}")
    await asyncio.gather(*(until_told(socket, 27) for socket in sockets))


async def until_told(socket: GraphqlSocket, total: int) -> None:
    """Until a summary has this total; no two come within the same second."""
    told: list[tuple[float, int]] = []
    while not told or told[-1][1] != total:
        summary = await socket.next()
        told.append((time.monotonic(), summary["total"]))
    assert all(later[0] - earlier[0] > 0.7 for earlier, later in pairwise(told)), told
