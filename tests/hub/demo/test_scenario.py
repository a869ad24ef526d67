"""The demo's clusters: their characters, what happens in them, and the promises about prod-east."""

from pathlib import Path
from typing import Any

import aiohttp
import yaml

from hub.demo.cluster import SimulatedCluster
from hub.demo.clusters import PROD_EAST, PROD_WEST, RETAIL_EDGE, demo_clusters, write_kubeconfigs
from hub.demo.nodes import NodePool
from hub.demo.resources import NAMESPACES, NODES, PODS, model_deployments
from hub.demo.scenario import Character, Scenario
from tests.support.kubectl import Kubectl, Refused, deployments
from tests.support.simulation import model_deployment
from tests.support.waiting import until

MODELS = model_deployments()


def phases(cluster: SimulatedCluster, group: str = "airunway.ai") -> dict[str, str]:
    return {
        body["metadata"]["name"]: body["status"]["phase"]
        for body in cluster.objects(model_deployments(group))
    }


async def test_the_clusters_have_lived_before_anybody_looks() -> None:
    async with demo_clusters() as (east, west, edge):
        assert set(phases(east).values()) == {"Running"}
        assert phases(west) == {
            "granite-3-3-8b": "Running",
            "llama-3-1-405b": "Pending",
            "mixtral-8x7b": "Failed",
            "phi-4": "Running",
            "qwen2-5-vl": "Failed",
        }
        assert set(phases(edge, RETAIL_EDGE.group).values()) == {"Running"}
        assert east.objects(MODELS, "ml-team")
        for cluster in (east, west, edge):
            names = {body["metadata"]["name"] for body in cluster.objects(NAMESPACES)}
            assert {"ml-team", "team-b", "data-science", "default", "kube-system"} <= names
            assert all(pod["metadata"]["labels"] for pod in cluster.objects(PODS))


async def test_each_cluster_has_a_kubeconfig_of_its_name(tmp_path: Path) -> None:
    async with demo_clusters() as clusters:
        await write_kubeconfigs(clusters, tmp_path / "credentials")
        for cluster in clusters:
            path = tmp_path / "credentials" / f"{cluster.name}.kubeconfig"
            config = yaml.safe_load(path.read_text())
            assert config["clusters"][0]["cluster"]["server"] == cluster.url


async def test_on_prod_east_a_deployment_runs_within_30_s_and_goes_within_30() -> None:
    """Slow (10 s): it is the real pace that is promised, with all GPUs taken by somebody else."""
    async with demo_clusters(characters=[PROD_EAST]) as (east,), aiohttp.ClientSession() as session:
        kubectl = Kubectl(session=session, url=east.url, token=east.token)
        greedy = model_deployment("greedy", scaling={"replicas": 30}, resources={"gpu": {"count": 8}})
        east.apply(greedy)
        await kubectl.post(deployments("ml-team"), model_deployment("llama"))
        path = deployments("ml-team", "llama")

        async def running() -> bool:
            return bool((await kubectl.get(path)).get("status", {}).get("phase") == "Running")

        async def gone() -> bool:
            try:
                await kubectl.get(path)
            except Refused as refusal:
                return refusal.status == 404
            return False

        await until(running, within=30)
        await kubectl.delete(path)
        await until(gone, within=30)


async def test_things_happen_to_the_characters_own_models_alone() -> None:
    cluster = SimulatedCluster(namespaces=("default", "ml-team", "team-b", "data-science"))
    scenario = Scenario(cluster=cluster, character=PROD_EAST)
    mine = cluster.apply(model_deployment("mine"))
    version = cluster.store.version
    for _ in range(50):
        scenario.happen()
    assert cluster.get(MODELS, "ml-team", "mine") == mine
    assert cluster.store.version > version


async def test_the_same_seed_is_the_same_life() -> None:
    lives = [_specifications(seed) for seed in (1, 1, 2)]
    assert lives[0] == lives[1] != lives[2]


def _specifications(seed: int) -> list[dict[str, Any]]:
    cluster = SimulatedCluster(namespaces=("default", "ml-team", "team-b", "data-science"), seed=seed)
    scenario = Scenario(cluster=cluster, character=PROD_EAST, seed=seed)
    for _ in range(20):
        scenario.happen()
    return [body["spec"] | {"uid": body["metadata"]["uid"]} for body in cluster.objects(MODELS)]


async def test_a_cluster_goes_away_and_comes_back() -> None:
    character = Character(name="edge", pools=(NodePool("l4", count=1, gpus=2),), up=0.3, down=0.3)
    async with demo_clusters(characters=[character], pace=0.1) as (edge,), aiohttp.ClientSession() as session:

        async def reachable() -> bool:
            try:
                async with session.get(f"{edge.url}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        async def refused() -> bool:
            return not await reachable()

        for condition in (reachable, refused, reachable):
            await until(condition)


async def test_elsewhere_some_of_what_people_deploy_fails() -> None:
    async with demo_clusters(characters=[PROD_WEST], pace=0.02) as (west,):
        west.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "spare"}} | _spare(100))
        for index in range(12):
            west.apply(model_deployment(f"mine-{index}"))

        async def decided() -> bool:
            found = [phase for name, phase in phases_or_new(west).items() if name.startswith("mine")]
            return set(found) == {"Running", "Failed"}

        await until(decided, within=60)
        assert len(west.objects(NODES)) >= 3


def phases_or_new(cluster: SimulatedCluster) -> dict[str, str]:
    return {
        body["metadata"]["name"]: body.get("status", {}).get("phase", "") for body in cluster.objects(MODELS)
    }


def _spare(gpus: int) -> dict[str, Any]:
    return {"status": {"allocatable": {"nvidia.com/gpu": str(gpus)}}}
