"""Many deployments and many events, for benchmarks."""

import asyncio
import itertools
import time
from collections.abc import Sequence

import msgspec

from hub.demo.cluster import SimulatedCluster
from hub.demo.objects import Json, Key
from hub.demo.registry import Part
from hub.demo.resources import model_deployments

_TICK = 0.005
"""Seconds between bursts of events."""

_BURST = 50
"""Events at once at the most, so that watches are written to even when the load falls behind its rate."""


class Achieved(msgspec.Struct, frozen=True):
    """What a load amounted to."""

    events: int
    seconds: float


def populate(
    cluster: SimulatedCluster, *, count: int, namespaces: Sequence[str], group: str = "airunway.ai"
) -> list[Key]:
    """Create so many running deployments of 4 KB each, spread over the namespaces; their keys."""
    names = itertools.cycle(namespaces)
    keys: list[Key] = []
    for index in range(count):
        key = (next(names), f"model-{index:05}")
        cluster.apply(_deployment(key, group))
        keys.append(key)
    return keys


async def churn(
    cluster: SimulatedCluster, *, keys: Sequence[Key], rate: float, seconds: float, group: str = "airunway.ai"
) -> Achieved:
    """Change deployments in turn at so many events a second.

    Each sets `status.message` to the moment of the change, `time.monotonic_ns()`, which every process of the
    machine shares: a reader's clock minus it is the event's lag.
    """
    deployments = model_deployments(group)
    turn = itertools.cycle(keys)
    begin, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        due = int(elapsed * rate) - sent
        for _ in range(min(due, _BURST)):
            old = cluster.registry.get(deployments, *next(turn))
            body = old.read()
            body["status"]["message"] = str(time.monotonic_ns())
            cluster.registry.update(deployments, old, body, part=Part.STATUS)
            sent += 1
        await asyncio.sleep(0 if due > _BURST else _TICK)
    return Achieved(sent, time.monotonic() - begin)


def _deployment(key: Key, group: str) -> Json:
    namespace, name = key
    conditions = [
        {"type": type_, "status": "True", "reason": type_, "lastTransitionTime": "2026-11-25T08:00:00Z"}
        for type_ in ("Validated", "EngineSelected", "ProviderSelected", "ResourceCreated", "Ready")
    ]
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 2_400}
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "benchmark"},
            "annotations": annotations,
        },
        "spec": {
            "model": {"id": "meta-llama/Llama-3.1-8B-Instruct", "servedName": "llama"},
            "provider": {"name": "dynamo"},
            "engine": {"type": "vllm", "contextLength": 32_768, "args": {"gpu-memory-utilization": "0.9"}},
            "scaling": {"replicas": 2},
            "resources": {"gpu": {"count": 1}, "memory": "64Gi", "cpu": "8"},
        },
        "status": {
            "phase": "Running",
            "observedGeneration": 1,
            "provider": {"name": "dynamo", "resourceName": name, "selectedReason": "asked for"},
            "engine": {"type": "vllm"},
            "replicas": {"desired": 2, "ready": 2, "available": 2},
            "endpoint": {"service": name, "port": 8000},
            "conditions": conditions,
        },
    }
