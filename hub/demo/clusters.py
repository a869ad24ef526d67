"""The demo's three clusters."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hub.demo.cluster import SimulatedCluster
from hub.demo.lives import Fate
from hub.demo.nodes import NodePool
from hub.demo.scenario import Character, Model, Scenario

NAMESPACES = ("default", "kube-system", "airunway-system", "data-science", "ml-team", "team-b")

PROD_EAST = Character(
    name="prod-east",
    pools=(
        NodePool("prod-east-system", count=2),
        NodePool("prod-east-h100", count=3, gpus=8, product="NVIDIA-H100-80GB-HBM3", grows=True),
    ),
    models=(
        Model(
            name="llama-3-1-8b", namespace="ml-team", model_id="meta-llama/Llama-3.1-8B-Instruct", replicas=2
        ),
        Model(name="qwen3-32b", namespace="ml-team", model_id="Qwen/Qwen3-32B", engine="sglang", gpus=2),
        Model(
            name="deepseek-r1-llama-70b",
            namespace="ml-team",
            model_id="deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
            engine="trtllm",
            gpus=2,
            prefill=1,
        ),
        Model(
            name="mistral-small",
            namespace="team-b",
            model_id="mistralai/Mistral-Small-3.2-24B-Instruct-2506",
            provider="kuberay",
        ),
        Model(
            name="gemma-3-4b",
            namespace="team-b",
            model_id="google/gemma-3-4b-it",
            engine="llamacpp",
            provider="kaito",
        ),
        Model(
            name="bge-m3",
            namespace="data-science",
            model_id="BAAI/bge-m3",
            provider="vllm",
        ),
        Model(
            name="qwen2-5-coder",
            namespace="data-science",
            model_id="Qwen/Qwen2.5-Coder-14B-Instruct",
            provider="llmd",
        ),
    ),
)
"""Healthy and always up; another node comes when the GPUs run out, so that a deployment always starts."""

PROD_WEST = Character(
    name="prod-west",
    pools=(
        NodePool("prod-west-system", count=1),
        NodePool("prod-west-a100", count=2, gpus=4, product="NVIDIA-A100-SXM4-40GB"),
    ),
    models=(
        Model(name="phi-4", namespace="ml-team", model_id="microsoft/phi-4", provider="kaito"),
        Model(
            name="mixtral-8x7b",
            namespace="ml-team",
            model_id="mistralai/Mixtral-8x7B-Instruct-v0.1",
            provider="kuberay",
            gpus=2,
            fate=Fate.CRASH_LOOP,
        ),
        Model(
            name="llama-3-1-405b",
            namespace="team-b",
            model_id="meta-llama/Llama-3.1-405B-Instruct",
            engine="trtllm",
            gpus=8,
        ),
        Model(
            name="qwen2-5-vl",
            namespace="team-b",
            model_id="Qwen/Qwen2.5-VL-7B-Instruct",
            engine="sglang",
            fate=Fate.IMAGE_PULL,
        ),
        Model(name="granite-3-3-8b", namespace="default", model_id="ibm-granite/granite-3.3-8b-instruct"),
    ),
    failing=0.5,
)
"""Crash loops, images that can't be pulled, and a model that is too large for its nodes."""

RETAIL_EDGE = Character(
    name="retail-edge",
    group="kubeairunway.ai",
    pools=(NodePool("retail-edge-l4", count=2, gpus=2, product="NVIDIA-L4"),),
    models=(
        Model(
            name="llama-3-2-3b",
            namespace="ml-team",
            model_id="meta-llama/Llama-3.2-3B-Instruct",
            engine="llamacpp",
            provider="kaito",
        ),
        Model(
            name="qwen2-5-0-5b", namespace="default", model_id="Qwen/Qwen2.5-0.5B-Instruct", provider="vllm"
        ),
    ),
    up=60.0,
    down=20.0,
)
"""Goes away and comes back, and still has the older API group."""

CHARACTERS = (PROD_EAST, PROD_WEST, RETAIL_EDGE)


@asynccontextmanager
async def demo_clusters(
    *, characters: Sequence[Character] = CHARACTERS, seed: int = 0, pace: float = 1.5
) -> AsyncIterator[Sequence[SimulatedCluster]]:
    """The clusters with their lives going on. `pace` is the seconds that one step of a life takes."""
    async with AsyncExitStack() as stack:
        clusters = []
        for character in characters:
            cluster = SimulatedCluster(
                name=character.name, groups=(character.group,), namespaces=NAMESPACES, seed=seed
            )
            await stack.enter_async_context(cluster)
            await stack.enter_async_context(
                Scenario(cluster=cluster, character=character, seed=seed, pace=pace)
            )
            clusters.append(cluster)
        yield clusters


def _empty(directory: Path) -> None:
    """An earlier start's files would name clusters that are gone."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob("*.kubeconfig"):
        left.unlink()


async def write_kubeconfigs(clusters: Sequence[SimulatedCluster], directory: Path) -> None:
    """`NAME.kubeconfig` for each cluster, into a directory that then holds no other."""
    await asyncio.to_thread(_empty, directory)
    for cluster in clusters:
        await asyncio.to_thread(cluster.write_kubeconfig, directory / f"{cluster.name}.kubeconfig")
