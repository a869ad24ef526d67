"""Whatever happens to the clusters and between, a subscriber's replayed state ends equal to the clusters'.

Hypothesis makes up histories: changes and faults on two simulated clusters, and readers who stop and go on.
At the end of each, when all faults are over, three have to agree for every subscriber: the state that its
events add up to, the answer to the same query by the same person, and the objects of the simulated servers.

`make soak` tries many times as many (tests/support/examples.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from auth.permissions import Role, Scope
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import AnyFault, CutMidLine, GoneInStream, GoneOnContinue, Refuse, Silence, Slow, Verb
from hub.demo.resources import PODS, model_deployments
from schema.view import View
from tests.support.examples import examples
from tests.support.replaying import Client, Json, a_client, answer
from tests.support.simulation import model_deployment
from tests.support.surface import World, until_status
from tests.support.waiting import until

GROUP = "airunway.ai"
MODELS = model_deployments(GROUP)
PLURAL = "modeldeployments"
WATCHES = frozenset({Verb.WATCH})
NAMES = ("llama", "mistral", "qwen")
NAMESPACES = ("ml-team", "team-b")
BACKGROUND = 520
"""Deployments of `west` that nothing happens to: more than one page of a list."""

PEOPLE = {
    "admin": (Role.ADMIN, Scope()),
    "ml-team": (Role.DEPLOYER, Scope("east", ("ml-team",))),
    "team-b": (Role.VIEWER, Scope(None, ("team-b",))),
    "west": (Role.VIEWER, Scope("west")),
}
FILTERS: tuple[Json, ...] = (
    {},
    {"phases": ["RUNNING"]},
    {"phases": ["PENDING", "DEPLOYING"], "namespaces": ["ml-team", "team-b"]},
    {"unhealthy": True},
    {"instanceIds": ["east"], "unhealthy": False},
    {"search": "llama", "phases": ["RUNNING", "FAILED"]},
)


@dataclass(frozen=True)
class Asked:
    """A subscription."""

    person: str
    filter: Json
    initial: bool


@dataclass(frozen=True)
class Step:
    """Something that happens to one of the clusters."""

    kind: str
    cluster: str
    namespace: str
    name: str
    phase: str
    pause: float
    """Seconds until the next step: none leaves the hub no time between."""


subscriptions = st.builds(
    Asked, person=st.sampled_from(sorted(PEOPLE)), filter=st.sampled_from(FILTERS), initial=st.booleans()
)


class History:
    """The clusters, and all that can happen to them by name."""

    numbers = count(1)

    def __init__(self, world: World) -> None:
        self.clusters = {"east": world.east, "west": world.west}

    async def happen(self, step: Step) -> None:
        cluster = self.clusters[step.cluster]
        happening: Callable[[SimulatedCluster, Step], Awaitable[None] | None] = STEPS[step.kind]
        waiting = happening(cluster, step)
        if waiting is not None:
            await waiting
        await asyncio.sleep(step.pause)

    async def mend(self) -> None:
        """All is well again."""
        for cluster in self.clusters.values():
            cluster.faults.clear()
            await cluster.start()
            cluster.crds.install(GROUP)

    def held(self) -> dict[str, tuple[str, str]]:
        """What there is, by the hub's ids: uid and version."""
        return {
            f"{instance_id}/{metadata['namespace']}/{metadata['name']}": (
                metadata["uid"],
                metadata["resourceVersion"],
            )
            for instance_id, cluster in self.clusters.items()
            for metadata in (each["metadata"] for each in cluster.objects(MODELS))
        }

    def furnish(self) -> None:
        """Anew as at the beginning of every history: some deployments, and no pods."""
        for cluster in self.clusters.values():
            for resource in (MODELS, PODS):
                for namespace in NAMESPACES:
                    for each in cluster.objects(resource, namespace):
                        cluster.delete(resource, namespace, each["metadata"]["name"])
            for name in NAMES[:2]:
                for namespace in NAMESPACES:
                    _apply(cluster, Step("apply", cluster.name, namespace, name, "Running", 0))
        present = {each["metadata"]["name"] for each in self.clusters["west"].objects(MODELS, "default")}
        for number in range(BACKGROUND):
            if (name := f"background-{number:03}") not in present:
                self.clusters["west"].apply(model_deployment(name, namespace="default"))


# ------------------------------------------------------------ what can happen


def _apply(cluster: SimulatedCluster, step: Step) -> None:
    body = model_deployment(step.name, namespace=step.namespace)
    ready = int(step.phase == "Running")
    status = {"phase": step.phase, "replicas": {"desired": 1, "ready": ready, "available": ready}}
    labels = {"revision": str(next(History.numbers))}
    cluster.apply({**body, "metadata": {**body["metadata"], "labels": labels}, "status": status})


def _there(cluster: SimulatedCluster, step: Step) -> bool:
    return _serves(cluster) and any(
        each["metadata"]["name"] == step.name for each in cluster.objects(MODELS, step.namespace)
    )


def _serves(cluster: SimulatedCluster) -> bool:
    return MODELS in cluster.store.resources


def _apply_if_served(cluster: SimulatedCluster, step: Step) -> None:
    if _serves(cluster):
        _apply(cluster, step)


def _delete(cluster: SimulatedCluster, step: Step) -> None:
    if _there(cluster, step):
        cluster.delete(MODELS, step.namespace, step.name)


def _recreate(cluster: SimulatedCluster, step: Step) -> None:
    if _there(cluster, step):
        cluster.recreate(MODELS, step.namespace, step.name)


def _pod(cluster: SimulatedCluster, step: Step) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}} if step.phase == "Failed" else {"running": {}}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{step.name}-0",
                "namespace": step.namespace,
                "labels": {"airunway.ai/deployment": step.name},
            },
            "spec": {"nodeName": "gpu-1", "containers": [{"name": "main", "image": "vllm"}]},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(step.phase == "Running")}],
                "containerStatuses": [
                    {"name": "main", "ready": False, "restartCount": 0, "image": "", "imageID": ""}
                    | {"state": waiting}
                ],
            },
        }
    )


def _compact(cluster: SimulatedCluster, _: Step) -> None:
    """410 on connect, wherever a watch has to be opened anew."""
    cluster.compact()
    cluster.faults.inject(CutMidLine(resource=PLURAL, count=1))


def _remove_crds(cluster: SimulatedCluster, _: Step) -> None:
    if _serves(cluster):
        cluster.crds.remove(GROUP)


def _fault(*faults: AnyFault) -> Callable[[SimulatedCluster, Step], None]:
    def happen(cluster: SimulatedCluster, _: Step) -> None:
        for fault in faults:
            cluster.faults.inject(fault)

    return happen


STEPS: Mapping[str, Callable[[SimulatedCluster, Step], Awaitable[None] | None]] = {
    "apply": _apply_if_served,
    "delete": _delete,
    "recreate": _recreate,
    "pod": _pod,
    "compact": _compact,
    "remove CRDs": _remove_crds,
    "install CRDs": lambda cluster, _: cluster.crds.install(GROUP),
    "stop": lambda cluster, _: cluster.stop(),
    "start": lambda cluster, _: cluster.start(),
    "410 on connect": _fault(
        Refuse(status=410, verbs=WATCHES, count=1), CutMidLine(resource=PLURAL, count=1)
    ),
    "410 in stream": _fault(GoneInStream(resource=PLURAL, count=1)),
    "410 on continue": _fault(
        GoneOnContinue(resource=PLURAL, count=1), GoneInStream(resource=PLURAL, count=1)
    ),
    "cut": _fault(CutMidLine(count=1)),
    "silence": _fault(Silence(seconds=0.2)),
    "slow": _fault(Slow(delay=0.05, seconds=0.3)),
    "503": _fault(Refuse(status=503, seconds=0.2), CutMidLine(resource=PLURAL, count=1)),
    "403": _fault(Refuse(status=403, resource=PLURAL, seconds=0.1), CutMidLine(resource=PLURAL, count=1)),
}
CHANGES = ("apply", "delete", "recreate", "pod")
steps = st.builds(
    Step,
    kind=st.one_of(st.sampled_from(CHANGES), st.sampled_from(CHANGES), st.sampled_from(sorted(STEPS))),
    cluster=st.sampled_from(("east", "west")),
    namespace=st.sampled_from(NAMESPACES),
    name=st.sampled_from(NAMES),
    phase=st.sampled_from(("Pending", "Deploying", "Running", "Failed")),
    pause=st.sampled_from((0.0, 0.0, 0.01, 0.05, 0.15)),
)


# ------------------------------------------------------------ the test


@pytest.fixture(scope="module")
async def tokens(shared_world: World) -> Mapping[str, str]:
    return {name: await shared_world.hub.token(name, role, scope) for name, (role, scope) in PEOPLE.items()}


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    asked=st.lists(subscriptions, min_size=2, max_size=4),
    history=st.lists(steps, min_size=5, max_size=25),
    stalls=st.integers(min_value=0, max_value=24),
)
async def test_every_replayed_state_ends_as_the_clusters_are(
    shared_world: World, tokens: Mapping[str, str], asked: list[Asked], history: list[Step], stalls: int
) -> None:
    clusters = History(shared_world)
    clusters.furnish()
    await settled(shared_world, clusters)
    async with AsyncExitStack() as stack:
        before = [await answer(shared_world.hub, tokens[each.person], **each.filter) for each in asked]
        clients = [
            await stack.enter_async_context(
                a_client(
                    shared_world.hub,
                    tokens[each.person],
                    filter=each.filter or None,
                    includeInitial=each.initial,
                )
            )
            for each in asked
        ]
        await subscribed(shared_world, len(asked))
        for number, step in enumerate(history):
            if number == stalls:  # one of them looks away for the rest of the history
                clients[0].reading.clear()
            await clusters.happen(step)
        await clusters.mend()
        clients[0].reading.set()
        await settled(shared_world, clusters)
        for each, client, known in zip(asked, clients, before, strict=True):
            await agrees(client, shared_world, tokens[each.person], each, known)


async def agrees(client: Client, world: World, token: str, asked: Asked, before: Mapping[str, Json]) -> None:
    """The replayed state is what a query answers, but for what was there before where that isn't told.

    Asked again and again: pods and just installed CRDs may take a moment longer than deployments.
    """
    untold = {} if asked.initial else before
    shown = client.replay.shown
    expected: Mapping[str, Json] = {}

    async def agree() -> bool:
        nonlocal expected
        expected = await answer(world.hub, token, **asked.filter)
        return (
            all(client.replay.live.values())
            and shown.items() <= expected.items()
            and all(key in shown or untold.get(key) == each for key, each in expected.items())
        )

    try:
        await until(agree)
    except TimeoutError:
        pytest.fail(f"{asked}: {shown} {client.replay.live} instead of {expected}; {client.errors}")


async def settled(world: World, clusters: History) -> None:
    """The hub is connected to both clusters and its own answer is what they hold."""
    for instance_id in clusters.clusters:
        await until_status(world, instance_id, "CONNECTED")

    async def agree() -> bool:
        found = await answer(world.hub, world.admin)
        return {key: (each["uid"], each["resourceVersion"]) for key, each in found.items()} == clusters.held()

    await until(agree)


async def subscribed(world: World, count: int) -> None:
    """Who asks for no initial state is told of what comes from now on."""

    async def all_are() -> bool:
        return sum(len(cohort.members) for cohort in _view(world).fanout._all()) == count

    await until(all_are)


def _view(world: World) -> View:
    for route in world.hub.running.app.routes:
        if isinstance(route, Route) and isinstance(view := route.endpoint, View):
            return view
    raise AssertionError("nothing is served at /graphql")
