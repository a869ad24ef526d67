"""The life of a pod: its stages, and what it looks like in each."""

from enum import StrEnum
from typing import Any

from hub.demo.objects import Json, timestamp
from hub.demo.schemas import at

_CONTAINERS = {"dynamo": "main", "kaito": "model", "kuberay": "ray-worker", "llmd": "vllm", "vllm": "vllm"}
_IMAGES = {
    "vllm": "vllm/vllm-openai:v0.14.1",
    "sglang": "lmsysorg/sglang:v0.5.9",
    "trtllm": "nvcr.io/nvidia/tensorrt-llm/release:1.2.0",
    "llamacpp": "ghcr.io/ggml-org/llama.cpp:server-cuda",
}


class Fate(StrEnum):
    """What becomes of a deployment's pods."""

    HEALTHY = "HEALTHY"
    CRASH_LOOP = "CRASH_LOOP"
    IMAGE_PULL = "IMAGE_PULL"


class Stage(StrEnum):
    UNSCHEDULED = "UNSCHEDULED"
    UNSCHEDULABLE = "UNSCHEDULABLE"
    """The scheduler tried and found no node."""
    CREATING = "CREATING"
    STARTING = "STARTING"
    READY = "READY"
    CRASHED = "CRASHED"
    PULL_FAILED = "PULL_FAILED"
    PULL_WAITING = "PULL_WAITING"


STEPS: dict[tuple[Fate, Stage], tuple[Stage, float]] = {
    (Fate.HEALTHY, Stage.CREATING): (Stage.STARTING, 1),
    (Fate.HEALTHY, Stage.STARTING): (Stage.READY, 1),
    (Fate.HEALTHY, Stage.CRASHED): (Stage.STARTING, 1),
    (Fate.HEALTHY, Stage.PULL_FAILED): (Stage.CREATING, 1),
    (Fate.HEALTHY, Stage.PULL_WAITING): (Stage.CREATING, 1),
    (Fate.CRASH_LOOP, Stage.CREATING): (Stage.STARTING, 1),
    (Fate.CRASH_LOOP, Stage.STARTING): (Stage.CRASHED, 2),
    (Fate.CRASH_LOOP, Stage.READY): (Stage.CRASHED, 1),
    (Fate.CRASH_LOOP, Stage.CRASHED): (Stage.STARTING, 20),
    (Fate.IMAGE_PULL, Stage.CREATING): (Stage.PULL_FAILED, 1),
    (Fate.IMAGE_PULL, Stage.PULL_FAILED): (Stage.PULL_WAITING, 1),
    (Fate.IMAGE_PULL, Stage.PULL_WAITING): (Stage.PULL_FAILED, 20),
}
"""Where a pod goes from a stage, and after how many paces; from the others it goes nowhere by itself."""

SCHEDULING = {Stage.UNSCHEDULED: 1, Stage.UNSCHEDULABLE: 10}
"""After how many paces a pod without a node is (again) looked at."""

FAILED_STAGES = frozenset({Stage.CRASHED, Stage.PULL_FAILED, Stage.PULL_WAITING})

WARNINGS: dict[Stage, tuple[str, str]] = {
    Stage.CRASHED: ("BackOff", "Back-off restarting failed container {container} in pod {pod}"),
    Stage.PULL_FAILED: ("Failed", 'Failed to pull image "{image}": not found'),
    Stage.PULL_WAITING: ("Failed", "Error: ImagePullBackOff"),
}
"""The Warning events of a stage: reason and message."""


def pod_manifest(deployment: Json, *, name: str, provider: str, group: str, gpus: int) -> Json:
    """A pod as the provider would make it: labels and container by its own habits."""
    owner = deployment["metadata"]
    engine = at(deployment, "spec.engine.type") or "vllm"
    image = at(deployment, "spec.engine.image") or _IMAGES[engine]
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container: Json = {"name": _CONTAINERS.get(provider, "server"), "image": image}
    container["resources"] = {"limits": limits, "requests": limits}
    reference = {"kind": "ModelDeployment", "name": owner["name"], "uid": owner["uid"], "controller": True}
    reference["apiVersion"] = deployment["apiVersion"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["namespace"],
            "labels": _labels(owner["name"], provider, group),
            "ownerReferences": [reference],
        },
        "spec": {"containers": [container]},
        "status": pod_status(Stage.UNSCHEDULED, container, restarts=0),
    }


def _labels(name: str, provider: str, group: str) -> dict[str, str]:
    managed = {"app.kubernetes.io/managed-by": provider, f"{group}/model-deployment": name}
    match provider:
        case "dynamo":
            return managed | {"nvidia.com/dynamo-graph-deployment-name": name}
        case "kaito":
            return managed | {"kaito.sh/workspace": name}
        case "kuberay":
            return managed | {"ray.io/cluster": f"{name}-raycluster-x7k2p"}
        case _:
            return managed | {"app.kubernetes.io/instance": name}


def pod_status(stage: Stage, container: Json, *, restarts: int) -> Json:
    """The status of a pod with one container at a stage."""
    if stage is Stage.UNSCHEDULED:
        return {"phase": "Pending"}
    if stage is Stage.UNSCHEDULABLE:
        unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        return {"phase": "Pending", "conditions": [unschedulable]}
    running = stage in (Stage.STARTING, Stage.READY, Stage.CRASHED)
    ready = "True" if stage is Stage.READY else "False"
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Initialized", "status": "True"}]
    conditions += [{"type": "ContainersReady", "status": ready}, {"type": "Ready", "status": ready}]
    status: Json = {"name": container["name"], "image": container["image"], "restartCount": restarts}
    status |= {"ready": stage is Stage.READY, "started": stage is Stage.READY}
    status["state"] = _container_state(stage, container["image"])
    if stage is Stage.CRASHED:
        exited = {"exitCode": 1, "reason": "Error", "message": "torch.OutOfMemoryError: CUDA out of memory"}
        status["lastState"] = {"terminated": exited}
    phase = "Running" if running else "Pending"
    return {
        "phase": phase,
        "startTime": timestamp(),
        "conditions": conditions,
        "containerStatuses": [status],
    }


def _container_state(stage: Stage, image: str) -> dict[str, Any]:
    match stage:
        case Stage.CREATING:
            return {"waiting": {"reason": "ContainerCreating"}}
        case Stage.CRASHED:
            message = "back-off 40s restarting failed container"
            return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        case Stage.PULL_FAILED:
            return {"waiting": {"reason": "ErrImagePull", "message": f"{image}: not found"}}
        case Stage.PULL_WAITING:
            message = f'Back-off pulling image "{image}"'
            return {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        case _:
            return {"running": {"startedAt": timestamp()}}
