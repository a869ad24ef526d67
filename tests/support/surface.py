"""Hubs over simulated clusters for tests of the GraphQL surface, and what these wait for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from auth.permissions import Role
from hub.demo.cluster import SimulatedCluster
from models.url import DatabaseUrl
from schema.limits import DEFAULT_LIMITS, Limits
from tests.support.hub import HubUnderTest, running
from tests.support.waiting import until

INSTANCE = "query ($id: ID!) { instance(id: $id) { status } }"


@dataclass(frozen=True)
class World:
    """A hub over two clusters, `east` and `west`, with an admin's token."""

    hub: HubUnderTest
    east: SimulatedCluster
    west: SimulatedCluster
    admin: str


@asynccontextmanager
async def a_world(
    folder: Path,
    *,
    database: DatabaseUrl | None = None,
    demo: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[World]:
    """Both clusters are empty and CONNECTED."""
    async with AsyncExitStack() as stack:
        east = await stack.enter_async_context(SimulatedCluster(name="east"))
        west = await stack.enter_async_context(SimulatedCluster(name="west"))
        hub = await stack.enter_async_context(running(folder, database=database, demo=demo, limits=limits))
        world = World(hub, east, west, await hub.token("admin", Role.ADMIN))
        for cluster in (east, west):
            await join(world, cluster)
        yield world


async def join(world: World, cluster: SimulatedCluster) -> None:
    """The cluster becomes an instance under its own name."""
    cluster.write_kubeconfig(world.hub.credentials / f"{cluster.name}.kubeconfig")
    await until_status(world, cluster.name, "CONNECTED")


async def until_status(world: World, instance_id: str, *statuses: str) -> None:
    async def stands() -> bool:
        answer = await world.hub.data(world.admin, INSTANCE, {"id": instance_id})
        return answer["instance"] is not None and answer["instance"]["status"] in statuses

    await until(stands)


async def until_ids(world: World, *ids: str, token: str | None = None) -> None:
    """Until these are all deployments that the token shows (else the admin's)."""

    async def shows() -> bool:
        answer = await world.hub.data(token or world.admin, "{ deployments(first: 1000) { nodes { id } } }")
        return {node["id"] for node in answer["deployments"]["nodes"]} == set(ids)

    await until(shows)
