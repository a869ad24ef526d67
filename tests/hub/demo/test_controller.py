"""Lives of models, step by step on a clock of the test's own: the pace is one second."""

from collections.abc import Callable
from typing import Any

import pytest

from hub.demo.cluster import SimulatedCluster
from hub.demo.controller import Controller
from hub.demo.lives import Fate
from hub.demo.nodes import NodePool, Scheduler
from hub.demo.objects import Key
from hub.demo.resources import EVENTS, NODES, PODS, model_deployments
from tests.support.simulation import model_deployment

Json = dict[str, Any]
MODELS = model_deployments()


class Driver:
    """A cluster whose controller lives through as many seconds as the test wants."""

    def __init__(self, *pools: NodePool, fate_of: Callable[[Key], Fate]) -> None:
        self.cluster = SimulatedCluster()
        scheduler = Scheduler(cluster=self.cluster, pools=pools)
        self._controller = Controller(
            cluster=self.cluster, deployments=MODELS, scheduler=scheduler, fate_of=fate_of, pace=1.0
        )
        self._now = 0.0
        self.phases: list[str] = []
        """Each reported phase of ml-team/llama, once in a row."""

    def live(self, seconds: float) -> None:
        end = self._now + seconds
        while self._now < end:
            self._now += 0.5
            self._controller.reconcile(self._now)
            if (stored := self.cluster.registry.served(MODELS).get("ml-team", "llama")) is not None:
                phase = stored.read()["status"]["phase"]
                if self.phases[-1:] != [phase]:
                    self.phases.append(phase)

    @property
    def llama(self) -> Json:
        return self.cluster.get(MODELS, "ml-team", "llama")

    def pods(self) -> list[Json]:
        return self.cluster.objects(PODS, "ml-team")

    def warnings(self) -> set[str]:
        events = self.cluster.objects(EVENTS, "ml-team")
        return {event["reason"] for event in events if event["type"] == "Warning"}


def driver(*pools: NodePool, fate: Fate = Fate.HEALTHY) -> Driver:
    return Driver(*(pools or (NodePool("gpu", count=1, gpus=8, product="H100"),)), fate_of=lambda _: fate)


def test_a_model_goes_from_pending_to_running() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    assert driven.phases == ["Pending", "Deploying", "Running"]
    status = driven.llama["status"]
    assert status["replicas"] == {"desired": 1, "ready": 1, "available": 1}
    assert status["endpoint"] == {"service": "llama", "port": 8000}
    assert status["observedGeneration"] == driven.llama["metadata"]["generation"]
    assert status["provider"]["name"] == "kaito"
    assert "message" not in status
    (pod,) = driven.pods()
    assert pod["spec"]["nodeName"] == "gpu-0"
    assert pod["metadata"]["labels"]["kaito.sh/workspace"] == "llama"
    assert pod["status"]["containerStatuses"][0]["ready"]


def test_nothing_is_written_once_all_is_well() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    version = driven.cluster.store.version
    driven.live(60)
    assert driven.cluster.store.version == version


def test_a_deletion_is_terminating_then_gone_with_its_pods() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    driven.cluster.delete(MODELS, "ml-team", "llama")
    driven.live(5)
    assert driven.phases[-1] == "Terminating"
    assert driven.cluster.objects(MODELS) == []
    assert driven.pods() == []
    assert driven.cluster.objects(EVENTS) == []


def test_replicas_follow_the_specification() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    for replicas in (3, 1, 0):
        driven.cluster.patch(MODELS, "ml-team", "llama", {"spec": {"scaling": {"replicas": replicas}}})
        driven.live(6)
        assert driven.llama["status"]["replicas"]["ready"] == replicas == len(driven.pods())
    assert driven.phases == ["Pending", "Deploying", "Running", "Pending"]


def test_a_disaggregated_model_has_pods_of_both_roles() -> None:
    driven = driver()
    roles = {"prefill": {"gpu": {"count": 1}}, "decode": {"replicas": 2, "gpu": {"count": 2}}}
    manifest = model_deployment("llama", serving={"mode": "disaggregated"}, scaling=roles)
    del manifest["spec"]["resources"]
    driven.cluster.apply(manifest)
    driven.live(6)
    names = [pod["metadata"]["name"] for pod in driven.pods()]
    assert names == ["llama-decode-0", "llama-decode-1", "llama-prefill-0"]
    assert driven.phases[-1] == "Running"


def test_a_model_that_fits_nowhere_stays_pending_and_says_so() -> None:
    driven = driver(NodePool("gpu", count=2, gpus=4))
    driven.cluster.apply(model_deployment("llama", resources={"gpu": {"count": 8}}))
    driven.live(30)
    assert driven.phases == ["Pending"]
    assert driven.llama["status"]["message"].startswith(
        "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
    )
    assert driven.warnings() == {"FailedScheduling"}
    driven.cluster.delete(MODELS, "ml-team", "llama")
    driven.cluster.apply(model_deployment("small", resources={"gpu": {"count": 4}}))
    driven.live(6)
    assert driven.cluster.get(MODELS, "ml-team", "small")["status"]["phase"] == "Running"


def test_a_growing_pool_gets_a_node_for_what_fits_nowhere_and_loses_it_again() -> None:
    driven = driver(NodePool("gpu", count=1, gpus=2, grows=True))
    driven.cluster.apply(model_deployment("llama", scaling={"replicas": 4}))
    driven.live(6)
    assert driven.phases[-1] == "Running"
    assert len(driven.cluster.objects(NODES)) == 2
    driven.cluster.delete(MODELS, "ml-team", "llama")
    driven.live(6)
    assert [node["metadata"]["name"] for node in driven.cluster.objects(NODES)] == ["gpu-0"]


@pytest.mark.parametrize(
    ("fate", "reason", "warning"),
    [(Fate.CRASH_LOOP, "CrashLoopBackOff", "BackOff"), (Fate.IMAGE_PULL, "ImagePullBackOff", "Failed")],
)
def test_a_model_fails_by_its_fate(fate: Fate, reason: str, warning: str) -> None:
    driven = driver(fate=fate)
    driven.cluster.apply(model_deployment("llama"))
    driven.live(10)
    assert driven.phases == ["Pending", "Deploying", "Failed"]
    (container,) = driven.pods()[0]["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == reason
    assert driven.warnings() == {warning}


def test_a_crash_loop_goes_on_and_counts_its_restarts() -> None:
    driven = driver(fate=Fate.CRASH_LOOP)
    driven.cluster.apply(model_deployment("llama"))
    driven.live(60)
    assert driven.phases == ["Pending", "Deploying", "Failed"]
    assert driven.pods()[0]["status"]["containerStatuses"][0]["restartCount"] >= 3
    (event,) = [event for event in driven.cluster.objects(EVENTS) if event["reason"] == "BackOff"]
    assert event["count"] >= 3


def test_a_deleted_pod_is_made_anew() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    before = driven.pods()[0]["metadata"]["uid"]
    driven.cluster.delete(PODS, "ml-team", "llama-server-0")
    driven.live(6)
    assert driven.pods()[0]["metadata"]["uid"] != before
    assert driven.phases == ["Pending", "Deploying", "Running", "Pending", "Deploying", "Running"]


def test_a_paused_deployment_is_left_alone() -> None:
    driven = driver()
    manifest = model_deployment("llama") | {"status": {"phase": "Pending"}}
    manifest["metadata"]["annotations"] = {"airunway.ai/reconcile-paused": "true"}
    driven.cluster.apply(manifest)
    driven.live(6)
    assert driven.pods() == []


def test_a_pod_made_by_hand_is_left_alone() -> None:
    driven = driver()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": "ml-team"}}
    driven.cluster.apply(pod | {"spec": {"containers": []}})
    driven.live(6)
    assert [each["metadata"]["name"] for each in driven.pods()] == ["mine"]


def test_a_deployment_that_cannot_have_pods_says_why_and_hinders_nobody() -> None:
    driven = driver()
    driven.cluster.apply(model_deployment("a" * 250))
    driven.cluster.apply(model_deployment("llama"))
    driven.live(6)
    assert driven.phases[-1] == "Running"
    assert "is invalid" in driven.cluster.get(MODELS, "ml-team", "a" * 250)["status"]["message"]
