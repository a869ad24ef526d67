"""What goes on in a simulated cluster: its character, the controller at work, and things that happen."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Self
from zlib import crc32

import msgspec

from hub.demo.cluster import SimulatedCluster
from hub.demo.controller import Controller
from hub.demo.lives import Fate
from hub.demo.nodes import NodePool, Scheduler
from hub.demo.objects import Json, Key
from hub.demo.resources import PODS, model_deployments, provider_configs
from hub.demo.status import StatusError

PROVIDERS: Mapping[str, Sequence[str]] = {
    "dynamo": ("vllm", "sglang", "trtllm"),
    "kaito": ("vllm", "llamacpp"),
    "kuberay": ("vllm",),
    "llmd": ("vllm",),
    "vllm": ("vllm",),
}
"""The inference providers and the engines that each can run."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that is there from the beginning."""

    name: str
    namespace: str
    model_id: str
    engine: str = "vllm"
    provider: str = "dynamo"
    gpus: int = 1
    """Of one replica."""
    replicas: int = 1
    prefill: int = 0
    """Replicas for prefill; not 0 makes it disaggregated, `replicas` being those for decode."""
    fate: Fate = Fate.HEALTHY

    def manifest(self, group: str) -> Json:
        gpu = {"count": self.gpus}
        spec: Json = {"model": {"id": self.model_id, "servedName": self.model_id.rpartition("/")[2]}}
        spec |= {"engine": {"type": self.engine}, "provider": {"name": self.provider}}
        if self.prefill:
            roles = {"prefill": {"replicas": self.prefill, "gpu": gpu}}
            roles["decode"] = {"replicas": self.replicas, "gpu": gpu}
            spec |= {"serving": {"mode": "disaggregated"}, "scaling": roles}
        else:
            spec |= {"serving": {"mode": "aggregated"}, "scaling": {"replicas": self.replicas}}
            spec["resources"] = {"gpu": gpu}
        metadata = {"name": self.name, "namespace": self.namespace}
        return {
            "apiVersion": f"{group}/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": metadata,
            "spec": spec,
        }


class Character(msgspec.Struct, frozen=True, kw_only=True):
    """What one simulated cluster is like."""

    name: str
    group: str = "airunway.ai"
    pools: tuple[NodePool, ...]
    models: tuple[Model, ...] = ()
    failing: float = 0.0
    """The share of other people's deployments that fail."""
    up: float = 0.0
    """Seconds between outages; 0 is always up."""
    down: float = 0.0
    """Seconds that an outage lasts."""


class Scenario:
    """One cluster's life: `async with Scenario(…)` lets it go on until the block ends."""

    def __init__(
        self, *, cluster: SimulatedCluster, character: Character, seed: int = 0, pace: float = 1.5
    ) -> None:
        self._cluster = cluster
        self._character = character
        self._pace = pace
        self._random = Random(f"{character.name}/{seed}")
        self._deployments = model_deployments(character.group)
        self._fates: dict[Key, Fate] = {}
        self._evaluations = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._controller = Controller(
            cluster=cluster,
            deployments=self._deployments,
            scheduler=Scheduler(cluster=cluster, pools=character.pools),
            fate_of=self._fate_of,
            pace=pace,
        )
        self._furnish()

    async def __aenter__(self) -> Self:
        self._controller.settle(asyncio.get_running_loop().time())
        name = self._character.name
        self._tasks = [
            asyncio.create_task(self._controller.run(), name=f"controller of {name}"),
            asyncio.create_task(self._churn(), name=f"churn of {name}"),
        ]
        if self._character.up:
            self._tasks.append(asyncio.create_task(self._outages(), name=f"outages of {name}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _furnish(self) -> None:
        providers = provider_configs(self._character.group)
        for name, engines in PROVIDERS.items():
            listed = [
                {"name": engine, "servingModes": ["aggregated"], "gpuSupport": True} for engine in engines
            ]
            config: Json = {"apiVersion": providers.api_version, "kind": providers.kind}
            config |= {"metadata": {"name": name}, "spec": {"capabilities": {"engines": listed}}}
            self._cluster.apply(config | {"status": {"ready": True, "version": "0.9.0"}})
        for model in self._character.models:
            self._fates[model.namespace, model.name] = model.fate
            self._cluster.apply(model.manifest(self._character.group))

    def _fate_of(self, key: Key) -> Fate:
        """Given for the character's own models; for others drawn from their name, so always the same."""
        if key in self._fates:
            return self._fates[key]
        draw = crc32("/".join(key).encode()) / 2**32
        if draw >= self._character.failing:
            return Fate.HEALTHY
        return Fate.CRASH_LOOP if draw < self._character.failing / 2 else Fate.IMAGE_PULL

    async def _outages(self) -> None:
        while True:
            await asyncio.sleep(self._character.up)
            await self._cluster.stop()
            await asyncio.sleep(self._character.down)
            await self._cluster.start()

    async def _churn(self) -> None:
        while True:
            await asyncio.sleep(self._pace * self._random.uniform(7, 13))
            with suppress(StatusError):  # what it would happen to was deleted by somebody
                self.happen()

    def happen(self) -> None:
        """One thing, to one of the character's own models: nobody else's is ever touched."""
        happening = self._random.choice([self._scale, self._scale, self._restart, self._evaluate])
        happening()

    def _own(self) -> Model | None:
        """A healthy model of the character's that is there and runs on its own terms."""
        collection = self._cluster.registry.served(self._deployments)
        candidates = [
            model
            for model in self._character.models
            if model.fate is Fate.HEALTHY
            and not model.prefill
            and collection.get(model.namespace, model.name)
        ]
        return self._random.choice(candidates) if candidates else None

    def _scale(self) -> None:
        if model := self._own():
            replicas = self._random.randint(1, model.replicas + 2)
            patch = {"spec": {"scaling": {"replicas": replicas}}}
            self._cluster.patch(self._deployments, model.namespace, model.name, patch)

    def _restart(self) -> None:
        if model := self._own():
            pod = f"{model.name}-server-0"
            if self._cluster.registry.served(PODS).get(model.namespace, pod):
                self._cluster.delete(PODS, model.namespace, pod)

    def _evaluate(self) -> None:
        """An evaluation job's model comes, and goes the next time."""
        namespace, name = "data-science", f"nightly-eval-{self._evaluations}"
        if self._cluster.registry.served(self._deployments).get(namespace, name):
            self._cluster.delete(self._deployments, namespace, name)
            return
        self._evaluations += 1
        name = f"nightly-eval-{self._evaluations}"
        self._fates[namespace, name] = Fate.HEALTHY
        model = Model(name=name, namespace=namespace, model_id="Qwen/Qwen2.5-7B-Instruct", provider="vllm")
        self._cluster.apply(model.manifest(self._character.group))
