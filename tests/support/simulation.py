"""A simulated cluster for every test that needs an API server on loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.demo.cluster import SimulatedCluster


@pytest.fixture
async def simulated_cluster() -> AsyncIterator[SimulatedCluster]:
    """Empty but for its namespaces (default, kube-system, ml-team, team-b) and the CRDs of airunway.ai."""
    async with SimulatedCluster(name="simulated") as cluster:
        yield cluster


def model_deployment(
    name: str, *, namespace: str = "ml-team", group: str = "airunway.ai", **spec: Any
) -> dict[str, Any]:
    """A valid ModelDeployment; keywords replace fields of its spec."""
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"id": "Qwen/Qwen2.5-0.5B-Instruct"},
            "engine": {"type": "vllm"},
            "resources": {"gpu": {"count": 1}},
            **spec,
        },
    }
