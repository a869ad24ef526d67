"""The simulated cluster's outer face: its port, kubeconfig, outages and direct methods."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
import yaml

from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import Hang
from hub.demo.resources import NAMESPACES, model_deployments
from hub.demo.status import StatusError
from tests.support.simulation import model_deployment

MODELS = model_deployments()


async def test_a_kubeconfig_says_where_the_cluster_is_and_who_may_ask(
    simulated_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    path = simulated_cluster.write_kubeconfig(tmp_path / "prod-east.kubeconfig")
    config = yaml.safe_load(path.read_text())
    server = config["clusters"][0]["cluster"]["server"]
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{server}/version") as answer:
        assert (await answer.json())["gitVersion"] == "v1.37.2"
    assert path.stat().st_mode & 0o077 == 0


async def test_an_outage_refuses_connections_and_keeps_port_and_data(
    simulated_cluster: SimulatedCluster,
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    url = simulated_cluster.url
    await simulated_cluster.stop()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/readyz")
        await simulated_cluster.start()
        async with session.get(f"{url}/readyz") as answer:
            assert await answer.text() == "ok"
    assert simulated_cluster.get(MODELS, "ml-team", "llama")["metadata"]["name"] == "llama"


async def test_the_same_name_and_seed_is_the_same_cluster() -> None:
    first, second = (SimulatedCluster(name="prod-east", seed=1) for _ in range(2))
    other = SimulatedCluster(name="prod-west", seed=1)
    uids = [
        cluster.get(NAMESPACES, "", "kube-system")["metadata"]["uid"] for cluster in (first, second, other)
    ]
    assert uids[0] == uids[1] != uids[2]


async def test_apply_keeps_the_rules_of_the_api(simulated_cluster: SimulatedCluster) -> None:
    created = simulated_cluster.apply(model_deployment("llama") | {"status": {"phase": "Running"}})
    assert created["status"] == {"phase": "Running"}
    assert created["metadata"]["generation"] == 1
    scaled = simulated_cluster.apply(model_deployment("llama", scaling={"replicas": 2}))
    assert scaled["metadata"]["generation"] == 2
    assert scaled["metadata"]["uid"] == created["metadata"]["uid"]
    with pytest.raises(StatusError, match="immutable"):
        simulated_cluster.apply(model_deployment("llama", model={"id": "another/model"}))


async def test_nothing_is_left_when_it_ends() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        async with SimulatedCluster() as cluster:
            headers = {"Authorization": f"Bearer {cluster.token}"}
            url = cluster.url + MODELS.path()
            watching = await session.get(url, params={"watch": "true"}, headers=headers)
            cluster.faults.inject(Hang(seconds=60))
            hanging = asyncio.create_task(session.get(url, headers=headers))
            while not cluster.requests.get("list modeldeployments"):  # noqa: ASYNC110 - the server tells no client
                await asyncio.sleep(0.01)
        with pytest.raises(aiohttp.ClientError):
            await hanging
        with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
            await watching.read()
    assert asyncio.all_tasks() == before


async def test_history_is_bounded() -> None:
    cluster = SimulatedCluster(history=10)
    first = int(cluster.apply(model_deployment("llama"))["metadata"]["resourceVersion"])
    for replicas in range(1, 31):
        cluster.patch(MODELS, "ml-team", "llama", {"spec": {"scaling": {"replicas": replicas}}})
    collection = cluster.registry.served(MODELS)
    assert len(collection.since(cluster.store.version - 10)) == 10
    with pytest.raises(StatusError, match="too old resource version"):
        collection.since(first)
