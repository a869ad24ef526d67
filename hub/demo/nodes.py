"""The machines of a simulated cluster: which pods fit on them."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from hub.demo.cluster import SimulatedCluster
from hub.demo.objects import Json, timestamp
from hub.demo.resources import NODES, PODS

GPU = "nvidia.com/gpu"


class NodePool(msgspec.Struct, frozen=True):
    """Nodes of one kind."""

    name: str
    count: int
    gpus: int = 0
    product: str = ""
    """As in the label nvidia.com/gpu.product."""
    grows: bool = False
    """A node is added when a pod fits on none, and removed when its last pod is gone."""


class Scheduler:
    """Finds nodes for pods by their GPUs; everything else there is plenty of."""

    def __init__(self, *, cluster: SimulatedCluster, pools: Sequence[NodePool]) -> None:
        self._cluster = cluster
        self._pools = pools
        self._added: set[str] = set()
        """Nodes that came because their pool grows."""
        for pool in pools:
            for index in range(pool.count):
                cluster.apply(_node(pool, index))

    def place(self, gpus: int) -> str | None:
        """A node with so many free GPUs, the fullest first; None if there is none."""
        used = self._used()
        free: dict[str, int] = {
            node["metadata"]["name"]: int(node["status"]["allocatable"].get(GPU, 0))
            - used[node["metadata"]["name"]]
            for node in self._cluster.objects(NODES)
        }
        fitting = [name for name in free if free[name] >= gpus]
        if fitting:
            return min(fitting, key=lambda name: (free[name], name))
        return self._grow(gpus)

    def refusal(self) -> str:
        """Why nothing was found, in the scheduler's words."""
        count = len(self._cluster.objects(NODES))
        return (
            f"0/{count} nodes are available: {count} Insufficient {GPU}. preemption: 0/{count} nodes are "
            f"available: {count} No preemption victims found for incoming pod."
        )

    def shrink(self) -> None:
        """Remove the added nodes that no pod is on."""
        used = {pod["spec"].get("nodeName") for pod in self._cluster.objects(PODS)}
        for name in self._added - used:
            self._cluster.delete(NODES, "", name)
        self._added &= used

    def _grow(self, gpus: int) -> str | None:
        names = {node["metadata"]["name"] for node in self._cluster.objects(NODES)}
        for pool in self._pools:
            if pool.grows and pool.gpus >= gpus:
                index = next(index for index in range(len(names) + 1) if _node_name(pool, index) not in names)
                name = str(self._cluster.apply(_node(pool, index))["metadata"]["name"])
                self._added.add(name)
                return name
        return None

    def _used(self) -> Counter[str]:
        used: Counter[str] = Counter()
        for pod in self._cluster.objects(PODS):
            if node := pod["spec"].get("nodeName"):
                used[node] += gpus_of(pod)
        return used


def gpus_of(pod: Json) -> int:
    containers = pod["spec"]["containers"]
    return sum(int(container["resources"]["limits"].get(GPU, 0)) for container in containers)


def _node_name(pool: NodePool, index: int) -> str:
    return f"{pool.name}-{index}"


def _node(pool: NodePool, index: int) -> Json:
    name = _node_name(pool, index)
    capacity = {"cpu": "96", "memory": "768Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    if pool.gpus:
        capacity[GPU] = str(pool.gpus)
        labels["nvidia.com/gpu.product"] = pool.product
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": timestamp()}
    return {
        "apiVersion": NODES.api_version,
        "kind": NODES.kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [ready],
            "nodeInfo": {"kubeletVersion": "v1.37.2", "osImage": "Ubuntu 24.04 LTS", "architecture": "amd64"},
        },
    }
