"""The controller of a simulated cluster: takes every ModelDeployment through its life, whoever made it."""

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec

from hub.demo.cluster import SimulatedCluster
from hub.demo.lives import SCHEDULING, STEPS, WARNINGS, Fate, Stage, pod_manifest, pod_status
from hub.demo.nodes import Scheduler, gpus_of
from hub.demo.objects import Json, Key
from hub.demo.recorder import EventRecorder
from hub.demo.reports import accepted, pods_of, provider_of, reported
from hub.demo.resources import PODS, Resource
from hub.demo.schemas import at
from hub.demo.status import StatusError


class Life(msgspec.Struct):
    """Where a pod is, and since when by the loop's clock."""

    stage: Stage
    since: float
    restarts: int = 0


class Controller:
    """Reconciles: looks at what there is and takes the steps that are due."""

    def __init__(
        self,
        *,
        cluster: SimulatedCluster,
        deployments: Resource,
        scheduler: Scheduler,
        fate_of: Callable[[Key], Fate],
        pace: float,
    ) -> None:
        self._cluster = cluster
        self._deployments = deployments
        self._scheduler = scheduler
        self._fate_of = fate_of
        self._pace = pace
        """Seconds that a step takes: from creation to Running there are four."""
        self._events = EventRecorder(cluster=cluster)
        self._lives: dict[str, Life] = {}
        self._seen: dict[str, float] = {}
        self._finalizer = f"{deployments.group}/provider-cleanup"

    async def run(self) -> None:
        """Reconcile until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            self.reconcile(clock())
            await asyncio.sleep(min(self._pace / 3, 0.5))

    def settle(self, now: float) -> None:
        """Live through the past, so that what is there at `now` has long reached its stage."""
        for step in range(30, 0, -1):
            self.reconcile(now - step * self._pace)

    def reconcile(self, now: float) -> None:
        """Every step that is due at a moment, for all deployments and pods."""
        if self._cluster.store.collection(self._deployments) is None:
            return
        deployments = {body["metadata"]["uid"]: body for body in self._cluster.objects(self._deployments)}
        pods: dict[str, list[Json]] = {uid: [] for uid in deployments}
        for pod in self._cluster.objects(PODS):
            owner = _owner_of(pod)
            if owner in pods:
                pods[owner].append(pod)
            elif owner:
                self._remove_pod(pod)
        for uid, deployment in deployments.items():
            try:
                self._reconcile(deployment, pods[uid], now)
            except StatusError as refused:  # such as a name that is too long for its pods
                self._patch(deployment, {"status": {"message": refused.message}})
        self._seen = {uid: since for uid, since in self._seen.items() if uid in deployments}
        self._scheduler.shrink()

    def _reconcile(self, deployment: Json, pods: list[Json], now: float) -> None:
        metadata = deployment["metadata"]
        age = now - self._seen.setdefault(metadata["uid"], now)
        if "deletionTimestamp" in metadata:
            self._terminate(deployment, pods, now)
        elif metadata.get("annotations", {}).get(f"{self._deployments.group}/reconcile-paused") == "true":
            return
        elif not at(deployment, "status.phase"):
            self._accept(deployment)
        elif age >= self._pace:
            self._match_pods(deployment, pods)
            for pod in pods:
                self._advance(pod, self._fate_of((metadata["namespace"], metadata["name"])), now)
            self._report(deployment, pods)

    def _accept(self, deployment: Json) -> None:
        metadata = deployment["metadata"]
        finalizers = [*metadata.get("finalizers", ()), self._finalizer]
        self._patch(deployment, {"metadata": {"finalizers": finalizers}})
        self._patch(deployment, {"status": accepted(deployment)})

    def _match_pods(self, deployment: Json, pods: list[Json]) -> None:
        """Create the pods that are missing and remove those that are too many."""
        wanted = pods_of(deployment)
        for pod in tuple(pods):
            if pod["metadata"]["name"] not in wanted:
                self._remove_pod(pod)
                pods.remove(pod)
        for name in wanted.keys() - {pod["metadata"]["name"] for pod in pods}:
            provider, group = provider_of(deployment), self._deployments.group
            manifest = pod_manifest(deployment, name=name, provider=provider, group=group, gpus=wanted[name])
            pods.append(self._cluster.apply(manifest))

    def _advance(self, pod: Json, fate: Fate, now: float) -> None:
        """Take a pod to its next stage, if that is due."""
        uid = pod["metadata"]["uid"]
        life = self._lives.setdefault(uid, Life(Stage.UNSCHEDULED, now))
        if life.stage in SCHEDULING:
            if now - life.since >= SCHEDULING[life.stage] * self._pace:
                self._schedule(pod, life, now)
        elif (step := STEPS.get((fate, life.stage))) and now - life.since >= step[1] * self._pace:
            self._enter(pod, life, step[0], now)

    def _schedule(self, pod: Json, life: Life, now: float) -> None:
        node = self._scheduler.place(gpus_of(pod))
        if node is None:
            self._events.record(pod, "Warning", "FailedScheduling", self._scheduler.refusal())
            self._enter(pod, life, Stage.UNSCHEDULABLE, now)
            return
        pod["spec"]["nodeName"] = node
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._events.record(pod, "Normal", "Scheduled", f"Successfully assigned {name} to {node}")
        self._enter(pod, life, Stage.CREATING, now)

    def _enter(self, pod: Json, life: Life, stage: Stage, now: float) -> None:
        life.restarts += stage is Stage.CRASHED
        life.stage, life.since = stage, now
        container = pod["spec"]["containers"][0]
        status = pod_status(stage, container, restarts=life.restarts)
        if started := at(pod, "status.startTime"):
            status["startTime"] = started
        pod["status"] = status
        pod["metadata"].pop("resourceVersion")
        self._cluster.apply(pod)
        if stage in WARNINGS:
            reason, message = WARNINGS[stage]
            words = {"container": container["name"], "image": container["image"]}
            message = message.format(pod=pod["metadata"]["name"], **words)
            self._events.record(pod, "Warning", reason, message)

    def _report(self, deployment: Json, pods: list[Json]) -> None:
        """Write the status that the pods' stages amount to."""
        stages = Counter(self._lives[pod["metadata"]["uid"]].stage for pod in pods)
        self._patch(deployment, {"status": reported(deployment, stages, self._scheduler.refusal)})

    def _terminate(self, deployment: Json, pods: list[Json], now: float) -> None:
        """Terminating for a while, then the pods go, then the object."""
        uid = deployment["metadata"]["uid"]
        if at(deployment, "status.phase") != "Terminating":
            self._seen[uid] = now
            message = "Waiting for the provider to remove its resources"
            self._patch(deployment, {"status": {"phase": "Terminating", "message": message}})
        elif now - self._seen[uid] >= 2 * self._pace:
            for pod in pods:
                self._remove_pod(pod)
            finalizers = deployment["metadata"].get("finalizers", ())
            others = [finalizer for finalizer in finalizers if finalizer != self._finalizer]
            self._patch(deployment, {"metadata": {"finalizers": others}})

    def _remove_pod(self, pod: Json) -> None:
        metadata = pod["metadata"]
        self._lives.pop(metadata["uid"], None)
        self._events.forget(pod)
        self._cluster.delete(PODS, metadata["namespace"], metadata["name"])

    def _patch(self, deployment: Json, patch: Json) -> None:
        metadata = deployment["metadata"]
        self._cluster.patch(self._deployments, metadata["namespace"], metadata["name"], patch)


def _owner_of(pod: Json) -> str:
    """The owner's uid; empty for a pod that somebody made by hand."""
    references = pod["metadata"].get("ownerReferences", ())
    return str(references[0]["uid"]) if references else ""
