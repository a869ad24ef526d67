"""Finding the API group of AI Runway, and finding it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import pytest

from cluster.client import Client, open_client
from cluster.discovery import concerns_deployments, look_out, served_group
from cluster.errors import ApiError, Unreachable
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import Refuse, Verb
from hub.demo.resources import API_GROUPS, CRDS
from tests.support.fleets import FAST, credential


@pytest.fixture
async def bare_cluster() -> AsyncIterator[SimulatedCluster]:
    async with SimulatedCluster(groups=()) as cluster:
        yield cluster


@pytest.fixture
async def client(bare_cluster: SimulatedCluster) -> AsyncIterator[Client]:
    async with open_client(credential(bare_cluster.kubeconfig()), timing=FAST) as opened:
        yield opened


async def test_the_newest_group_wins(bare_cluster: SimulatedCluster, client: Client) -> None:
    assert await served_group(client) is None
    for group in reversed(API_GROUPS):
        bare_cluster.crds.install(group)
        assert await served_group(client) == group


async def test_a_group_without_model_deployments_is_passed_over(
    bare_cluster: SimulatedCluster, client: Client
) -> None:
    bare_cluster.crds.install("airunway.ai")
    bare_cluster.crds.install("kubeairunway.ai")
    bare_cluster.delete(CRDS, "", "modeldeployments.airunway.ai")
    assert await served_group(client) == "kubeairunway.ai"


async def test_not_known_is_not_none(bare_cluster: SimulatedCluster, client: Client) -> None:
    bare_cluster.faults.inject(Refuse(status=503, verbs=frozenset({Verb.DISCOVER})))
    with pytest.raises(ApiError):
        await served_group(client)
    await bare_cluster.stop()
    with pytest.raises(Unreachable):
        await served_group(client)


async def test_a_hint_leads_to_a_look_at_once(bare_cluster: SimulatedCluster, client: Client) -> None:
    changed = asyncio.Event()
    timing = msgspec.structs.replace(FAST, discovery_first=60, discovery=60)
    async with aclosing(look_out(client, changed=changed, timing=timing)) as looks:
        assert await anext(looks) is None
        bare_cluster.crds.install("airunway.ai")
        changed.set()
        assert await asyncio.wait_for(anext(looks), 2) == "airunway.ai"


async def test_looks_go_on_after_an_error(bare_cluster: SimulatedCluster, client: Client) -> None:
    bare_cluster.faults.inject(Refuse(status=500, verbs=frozenset({Verb.DISCOVER}), count=1))
    async with aclosing(look_out(client, changed=asyncio.Event(), timing=FAST)) as looks:
        assert isinstance(await anext(looks), ApiError)
        assert await asyncio.wait_for(anext(looks), 2) is None


async def test_looking_ends_when_cancelled_in_the_moment_of_a_hint(client: Client) -> None:
    """asyncio.wait_for of Python 3.11 loses such a cancellation, and the instance would never end."""
    changed, looked = asyncio.Event(), asyncio.Event()
    timing = msgspec.structs.replace(FAST, discovery_first=60, discovery=60)

    async def look() -> None:
        async for _ in look_out(client, changed=changed, timing=timing):
            looked.set()

    looking = asyncio.create_task(look())
    await asyncio.wait_for(looked.wait(), 5)
    await asyncio.sleep(0)  # from the answer into the wait for the next look
    changed.set()
    looking.cancel()
    await asyncio.wait([looking], timeout=2)
    assert looking.cancelled()


def test_which_crds_matter() -> None:
    assert concerns_deployments("modeldeployments.airunway.ai")
    assert not concerns_deployments("inferenceproviderconfigs.airunway.ai")
