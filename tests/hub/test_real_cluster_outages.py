"""`python -m hub serve` while a real API server goes wrong: open subscriptions end in the true state."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.health import NOT_INSTALLED
from tests.support.apiserver import UNCACHED_WATCHES, ApiServer
from tests.support.followers import Follower, Version, View, following, true_state
from tests.support.hub_process import ServedHub
from tests.support.instances import CREATE, an_instance, until_instance
from tests.support.kubectl import Json, Kubectl, Refused, deployments, model_deployment
from tests.support.timetable import Timetable
from tests.support.wire import Wire, wire_to

pytestmark = pytest.mark.envtest

GONE = ("ml-team/leaves", "team-b/leaves")
"""What `_change_everything` deletes for good."""


@dataclass(frozen=True)
class Scene:
    """A cluster with `_seeded` deployments behind a wire, and who looks at it meanwhile."""

    server: ApiServer
    wire: Wire
    instance_id: str
    everything: Follower
    running: Follower
    """By its filter: what is RUNNING."""
    limited: Follower
    """By the person's rights: what is in team-b."""

    @property
    def followers(self) -> Sequence[Follower]:
        return (self.everything, self.running, self.limited)

    async def all_end_in_the_true_state(self, *, group: str = "airunway.ai") -> float:
        """When the last one did."""
        true = await true_state(self.server.kubectl, group=group)
        return max([await follower.ends_as(true) for follower in self.followers])


@asynccontextmanager
async def a_scene(hub: ServedHub, server: ApiServer, *, config: str | None = None) -> AsyncIterator[Scene]:
    async with wire_to(server.url) as (wire, address):
        config = (config or server.kubeconfig()).replace(server.url, address)
        async with an_instance(hub, config) as instance_id:
            everything = View(token=hub.admin, instance_id=instance_id)
            running = View(token=hub.admin, instance_id=instance_id, phases=["RUNNING"])
            limited = View(token=hub.limited, instance_id=instance_id, allowed=["team-b"])
            async with following(hub, everything, running, limited) as followers:
                scene = Scene(server, wire, instance_id, *followers)
                for follower in followers:
                    await follower.heard("SYNCED")
                await scene.all_end_in_the_true_state()
                yield scene


@pytest.fixture
async def seeded(fresh_api_server: ApiServer) -> ApiServer:
    kubectl = fresh_api_server.kubectl
    await kubectl.install_crds()
    for namespace in ("ml-team", "team-b"):
        await kubectl.create_namespace(namespace)
    await _seed(kubectl)
    return fresh_api_server


async def _seed(kubectl: Kubectl, *, group: str = "airunway.ai") -> None:
    for namespace in ("ml-team", "team-b"):
        for name in ("stays", "leaves", "returns", "runs", "stops"):
            manifest = model_deployment(name, group=group)
            await kubectl.post(deployments(namespace, group=group), manifest)
        for name in ("leaves", "returns", "stops"):
            await _report(kubectl, namespace, name, "Running", group=group)


async def _change_everything(kubectl: Kubectl) -> None:
    """In both namespaces: deletions, another object under an old name, a new one, phases that change."""
    for namespace in ("ml-team", "team-b"):
        for name in ("leaves", "returns"):
            await kubectl.delete(deployments(namespace, name))
        for name in ("returns", "arrives"):
            await kubectl.post(deployments(namespace), model_deployment(name))
        await _report(kubectl, namespace, "runs", "Running")
        await _report(kubectl, namespace, "arrives", "Running")
        await _report(kubectl, namespace, "stops", "Failed")


async def _report(
    kubectl: Kubectl, namespace: str, name: str, phase: str, *, group: str = "airunway.ai"
) -> None:
    await kubectl.patch(f"{deployments(namespace, name, group=group)}/status", {"status": {"phase": phase}})


async def _missed_deletions_are_told(scene: Scene, since: float) -> None:
    for name in GONE:
        await scene.everything.heard("DELETED", name, since=since)
        await scene.running.heard("DELETED", name, since=since)
    for namespace in ("ml-team", "team-b"):
        name = f"{namespace}/returns"
        gone = await scene.everything.heard("DELETED", name, since=since)
        back = await scene.everything.heard("ADDED", name, since=since)
        assert gone.version is not None
        assert back.version is not None
        assert gone.at <= back.at
        assert gone.version.uid != back.version.uid
        await scene.running.heard("DELETED", f"{namespace}/stops", since=since)  # it left the filter
    await scene.limited.heard("DELETED", "team-b/leaves", since=since)
    assert all(event.name is None or event.name.startswith("team-b/") for event in scene.limited.events)


async def test_the_api_server_is_killed_and_comes_back(
    hub_process: ServedHub, seeded: ApiServer, timetable: Timetable
) -> None:
    """What is deleted right before the kill, and after the restart unseen by the hub, is told as DELETED."""
    hub = hub_process
    async with a_scene(hub, seeded) as scene:
        began = time.monotonic()
        scene.wire.cut()
        await seeded.kubectl.delete(deployments("ml-team", "stays"))
        await seeded.kill()
        scene.wire.mend()
        for follower in scene.followers:
            stale = await follower.heard("STALE", since=began)
        timetable.note("API server killed → STALE", since=began, until=stale.at)
        found = await until_instance(hub, hub.admin, scene.instance_id, status="DISCONNECTED")
        assert "Check what lies between hub and cluster" in found["statusReason"]
        found = await until_instance(hub, hub.limited, scene.instance_id)
        assert found["statusReason"] == "The cluster can't be reached."
        assert await scene.everything.queried() == scene.everything.shown  # stale, and not gone

        scene.wire.cut()
        await seeded.restart()
        await _change_everything(seeded.kubectl)
        restarted = time.monotonic()
        scene.wire.mend()
        for follower in scene.followers:
            synced = await follower.heard("SYNCED", since=restarted)
            assert follower.events[-1] is synced, "the differences come before it"
        timetable.note("API server back → SYNCED, all differences told", since=restarted, until=synced.at)
        await _missed_deletions_are_told(scene, began)
        await scene.everything.heard("DELETED", "ml-team/stays", since=began)
        await scene.all_end_in_the_true_state()
        await until_instance(hub, hub.admin, scene.instance_id, status="CONNECTED")


@pytest.mark.parametrize("fresh_api_server", [[UNCACHED_WATCHES]], indirect=True)
async def test_etcd_is_compacted_while_the_network_is_cut(
    hub_process: ServedHub, seeded: ApiServer, timetable: Timetable
) -> None:
    hub = hub_process
    async with a_scene(hub, seeded) as scene:
        cut = time.monotonic()
        scene.wire.cut()
        await _change_everything(seeded.kubectl)
        await seeded.compact()
        mended = time.monotonic()
        scene.wire.mend()
        await _missed_deletions_are_told(scene, cut)
        reached = await scene.all_end_in_the_true_state()
        timetable.note("network back after a compaction → true state", since=mended, until=reached)
        assert any("the watch of deployments goes on after: 410" in each.event for each in hub.records())
        await until_instance(hub, hub.admin, scene.instance_id, status="CONNECTED")
        for follower in scene.followers:
            assert not any(event.type == "STALE" for event in follower.events)  # it was caught up at once


async def test_the_crd_goes_and_comes_back(
    hub_process: ServedHub, seeded: ApiServer, timetable: Timetable
) -> None:
    hub = hub_process
    async with a_scene(hub, seeded) as scene:
        shown = set(scene.everything.shown)
        began = time.monotonic()
        await seeded.kubectl.delete_crds()
        deleted = [await scene.everything.heard("DELETED", name, since=began) for name in sorted(shown)]
        timetable.note("CRD deleted → all DELETED", since=began, until=max(event.at for event in deleted))
        found = await until_instance(hub, hub.limited, scene.instance_id, apiGroup=None)
        timetable.note("CRD deleted → the instance says so", since=began)
        assert (found["status"], found["statusReason"]) == ("CONNECTED", NOT_INSTALLED)
        for follower in scene.followers:
            await follower.ends_as({})
        refused = await _create(hub, scene.instance_id, "new")
        assert refused["errors"][0]["extensions"]["code"] == "INSTANCE_UNAVAILABLE"
        assert refused["errors"][0]["extensions"]["reason"] == NOT_INSTALLED

        await seeded.kubectl.install_crds()
        installed = time.monotonic()
        await _seed(seeded.kubectl)
        added = await scene.everything.heard("ADDED", "team-b/stops", since=installed)
        timetable.note("CRD installed, ten created → the last ADDED", since=installed, until=added.at)
        await scene.all_end_in_the_true_state()
        await until_instance(hub, hub.admin, scene.instance_id, status="CONNECTED", apiGroup="airunway.ai")


async def test_the_newest_api_group_wins(
    hub_process: ServedHub, fresh_api_server: ApiServer, timetable: Timetable
) -> None:
    hub, kubectl = hub_process, fresh_api_server.kubectl
    for namespace in ("ml-team", "team-b"):
        await kubectl.create_namespace(namespace)
    groups = ("kubefoundry.kubefoundry.ai", "kubeairunway.ai", "airunway.ai")
    async with an_instance(hub, fresh_api_server.kubeconfig()) as instance_id:
        view = View(token=hub.admin, instance_id=instance_id)
        async with following(hub, view) as (follower,):
            await follower.heard("SYNCED")
            for group in groups:
                await kubectl.install_crds(group)
                installed = time.monotonic()
                await until_instance(hub, hub.admin, instance_id, apiGroup=group, status="CONNECTED")
                timetable.note(f"{group} served → apiGroup", since=installed)
                await follower.ends_as({})
                await _seed(kubectl, group=group)
                assert "errors" not in await _create(hub, instance_id, "by-the-hub")
                await follower.ends_as(await true_state(kubectl, group=group))
            removed = time.monotonic()
            await kubectl.delete_crds("airunway.ai")
            await until_instance(hub, hub.admin, instance_id, apiGroup="kubeairunway.ai")
            timetable.note("newest CRD deleted → the older group", since=removed)
            await follower.ends_as(await true_state(kubectl, group="kubeairunway.ai"))


async def _create(hub: ServedHub, instance_id: str, name: str, namespace: str = "ml-team") -> Json:
    target = {"instanceId": instance_id, "namespace": namespace, "name": name, "model": {"id": "m"}}
    return await hub.ask(hub.deployer, CREATE, {"input": target})


async def test_a_token_is_rotated(hub_process: ServedHub, seeded: ApiServer, timetable: Timetable) -> None:
    """The API server takes the new token alone from then on; the hub is never told but by the file."""
    hub, kubectl, token = hub_process, seeded.kubectl, hub_process.credentials / "rotated-token"
    await _make_admin(kubectl, "hub")
    token.write_text("old-token")
    await seeded.restart(tokens={"old-token": "hub"})
    config = seeded.kubeconfig(user={"tokenFile": token.name})
    async with a_scene(hub, seeded, config=config) as scene:
        token.write_text("new-token\n")
        began = time.monotonic()
        scene.wire.cut()
        await seeded.restart(tokens={"new-token": "hub"})
        with pytest.raises(Refused, match="401"):
            await kubectl.with_token("old-token").get(deployments())
        await _change_everything(kubectl)
        mended = time.monotonic()
        scene.wire.mend()
        await _missed_deletions_are_told(scene, began)
        reached = await scene.all_end_in_the_true_state()
        timetable.note("old token dead, new one in its file → true state", since=mended, until=reached)
        assert not any(f"instance {scene.instance_id} is ERROR" in each.event for each in hub.records())

        await seeded.restart(tokens={"newest-token": "hub"})
        found = await until_instance(hub, hub.admin, scene.instance_id, status="ERROR")
        assert "renew the kubeconfig" in found["statusReason"]
        token.write_text("newest-token")
        renewed = time.monotonic()
        await until_instance(hub, hub.admin, scene.instance_id, status="CONNECTED")
        timetable.note("after a refusal: new token in its file → CONNECTED", since=renewed)
        await scene.all_end_in_the_true_state()


async def _make_admin(kubectl: Kubectl, user: str) -> None:
    binding: Mapping[str, object] = {
        "metadata": {"name": user},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    await kubectl.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", dict(binding))


async def test_the_credential_is_replaced(
    hub_process: ServedHub, api_server: ApiServer, timetable: Timetable
) -> None:
    """By one that may less, on the same cluster, and by the first one again."""
    hub, kubectl = hub_process, api_server.kubectl
    kept, lost = [await kubectl.create_namespace() for _ in range(2)]
    for namespace in (kept, lost):
        await kubectl.post(deployments(namespace), model_deployment("llama"))
    token = await kubectl.limited_token(kept)
    limited = api_server.kubeconfig(user={"token": token}, namespaces=[kept])
    async with an_instance(hub, api_server.kubeconfig()) as instance_id:
        file = hub.credentials / f"{instance_id}.kubeconfig"
        view = View(token=hub.admin, instance_id=instance_id, namespaces=[kept, lost])
        async with following(hub, view) as (follower,):
            await follower.heard("SYNCED")
            await follower.ends_as(await _both(kubectl, kept, lost))

            began = time.monotonic()
            _replace(file, limited)
            gone = await follower.heard("DELETED", f"{lost}/llama", since=began)
            timetable.note("credential replaced by a limited one → DELETED", since=began, until=gone.at)
            await until_instance(hub, hub.admin, instance_id, status="CONNECTED", namespaces=[kept])
            await kubectl.post(deployments(kept), model_deployment("next"))
            await follower.heard("ADDED", f"{kept}/next", since=began)
            await follower.ends_as(await true_state(kubectl, namespace=kept))
            assert not any(event.name == f"{kept}/llama" for event in follower.events if event.at > began)

            began = time.monotonic()
            _replace(file, api_server.kubeconfig())
            back = await follower.heard("ADDED", f"{lost}/llama", since=began)
            timetable.note("credential replaced by the first → ADDED", since=began, until=back.at)
            await follower.ends_as(await _both(kubectl, kept, lost))


async def _both(kubectl: Kubectl, *namespaces: str) -> Mapping[str, Version]:
    states = [await true_state(kubectl, namespace=namespace) for namespace in namespaces]
    return {name: version for state in states for name, version in state.items()}


def _replace(file: Path, text: str) -> None:
    """At once, as careful programs do."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


async def test_a_dead_cluster_beside_a_living_one_of_another_group(
    hub_process: ServedHub, api_server: ApiServer, fresh_api_server: ApiServer, timetable: Timetable
) -> None:
    hub, group = hub_process, "kubeairunway.ai"
    await fresh_api_server.kubectl.install_crds(group)
    await fresh_api_server.kubectl.post(
        deployments("default", group=group), model_deployment("old", group=group)
    )
    namespace = await api_server.kubectl.create_namespace()
    async with (
        an_instance(hub, api_server.kubeconfig()) as living,
        an_instance(hub, fresh_api_server.kubeconfig()) as dying,
    ):
        await until_instance(hub, hub.admin, living, apiGroup="airunway.ai")
        await until_instance(hub, hub.admin, dying, apiGroup=group)
        views = (
            View(token=hub.admin, instance_id=living, namespaces=[namespace]),
            View(token=hub.admin, instance_id=dying),
        )
        async with following(hub, *views) as (alive, dead):
            for follower in (alive, dead):
                await follower.heard("SYNCED")
            await fresh_api_server.kill()
            await dead.heard("STALE")
            await until_instance(hub, hub.admin, dying, status="DISCONNECTED")
            for number in range(10):
                began = time.monotonic()
                assert "errors" not in await _create(hub, living, f"model-{number}", namespace)
                added = await alive.heard("ADDED", f"{namespace}/model-{number}")
                assert added.at - began < 2
            timetable.note("beside a dead cluster: createDeployment → ADDED", since=began, until=added.at)
            reconciled = {"status": {"observedGeneration": 1}}
            await api_server.kubectl.patch(f"{deployments(namespace, 'model-0')}/status", reconciled)
            await alive.heard("MODIFIED", f"{namespace}/model-0")
            refused = await _create(hub, dying, "new", "default")
            assert refused["errors"][0]["extensions"]["code"] == "INSTANCE_UNAVAILABLE"
            assert refused["errors"][0]["extensions"]["status"] == "DISCONNECTED"

            for token, told in ((hub.admin, "refused"), (hub.deployer, "The cluster can't be reached.")):
                answer = await hub.data(token, SOURCES, {"ids": [living, dying]})
                sources = {each["instanceId"]: each for each in answer["deployments"]["sources"]}
                assert sources[living] == {
                    "instanceId": living,
                    "status": "CONNECTED",
                    "stale": False,
                    "error": None,
                }
                assert (sources[dying]["status"], sources[dying]["stale"]) == ("DISCONNECTED", True)
                assert told in sources[dying]["error"]
                stale = {(n["name"], n["instanceId"]): n["stale"] for n in answer["deployments"]["nodes"]}
                assert stale["old", dying] is True
                assert stale["model-0", living] is False
            assert "STALE" not in {event.type for event in alive.events}
            await alive.ends_as(await true_state(api_server.kubectl, namespace=namespace))

            began = time.monotonic()
            await fresh_api_server.restart()
            restarted = time.monotonic()
            synced = await dead.heard("SYNCED", since=began)
            timetable.note("API server back, no network trouble → SYNCED", since=restarted, until=synced.at)
            await dead.ends_as(await true_state(fresh_api_server.kubectl, group=group))


SOURCES = """
query ($ids: [ID!]) {
  deployments(filter: { instanceIds: $ids }, first: 1000) {
    nodes { name instanceId stale }
    sources { instanceId status stale error }
  }
}"""
