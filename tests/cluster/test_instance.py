"""One watched instance through everything that an API server can do to it, and its status meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cluster.feed import InstanceFeed
from cluster.health import NOT_INSTALLED
from cluster.types import Phase
from hub.demo.api import ApiSettings
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import (
    CutMidLine,
    GoneInStream,
    GoneOnContinue,
    Hang,
    Refuse,
    Silence,
    Slow,
    Verb,
)
from hub.demo.resources import model_deployments
from tests.support.fleets import FAST, Watched, credential, has, names, seen, stands, watched
from tests.support.simulation import model_deployment
from tests.support.waiting import until

MODELS = model_deployments()
PLURAL = "modeldeployments"
WATCHES = frozenset({Verb.WATCH})
LISTS = frozenset({Verb.LIST})
CONNECTED = stands("CONNECTED", live=True)


@pytest.fixture
async def instance(simulated_cluster: SimulatedCluster) -> AsyncIterator[Watched]:
    """Connected, with one deployment."""
    simulated_cluster.apply(model_deployment("llama"))
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, CONNECTED)
        yield found


async def _goes_on(cluster: SimulatedCluster, instance: Watched) -> None:
    """What happens next is seen, and the store is of now."""
    cluster.apply(model_deployment("next"))
    await seen(instance.store, has("ml-team/llama", "ml-team/next"))
    await seen(instance.store, CONNECTED)


def _never_stale(instance: Watched) -> bool:
    """Whether it stayed live from the first time that it was."""
    lives = [state.live for state in instance.states]
    return all(lives[lives.index(True) :])


# ------------------------------------------------------------ connecting


async def test_a_sound_cluster(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
    await seen(instance.store, lambda feed: feed.state.node_count == 1)
    state = instance.store.state
    assert (state.kubernetes_version, state.api_group) == ("v1.37.2", "airunway.ai")
    assert (state.reason, state.public_reason) == (None, None)
    assert state.synced_at is not None
    assert state.last_seen_at is not None
    assert state.endpoint == simulated_cluster.url
    assert instance.store.known_namespaces() == ("default", "kube-system", "ml-team", "team-b")
    assert names(instance.store) == ["ml-team/llama"]


async def test_a_namespace_comes_and_goes(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})
    await seen(instance.store, lambda feed: "new" in (feed.known_namespaces() or ()))


async def test_pods_are_joined(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(_pod("llama-0", deployment="llama", phase="Running"))
    await seen(instance.store, lambda feed: _llama(feed).phase is Phase.DEPLOYING)
    assert [pod.metadata.name for pod in _llama(instance.store).pods or ()] == ["llama-0"]


async def test_one_list_and_one_watch_a_resource(simulated_cluster: SimulatedCluster) -> None:
    """Counted as faults that change nothing."""
    kinds = (PLURAL, "pods", "namespaces", "customresourcedefinitions")
    counts = {
        (kind, verb): simulated_cluster.faults.inject(Slow(delay=0, resource=kind, verbs=frozenset({verb})))
        for kind in kinds
        for verb in (Verb.LIST, Verb.WATCH)
    }
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, CONNECTED)
    assert {key: injected.strikes for key, injected in counts.items()} == dict.fromkeys(counts, 1)


# ------------------------------------------------------------ faults that nobody notices


async def test_410_in_the_stream(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.faults.inject(GoneInStream(count=1, resource=PLURAL))
    await _goes_on(simulated_cluster, instance)
    assert _never_stale(instance)


async def test_410_on_connect(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.faults.inject(Refuse(status=410, verbs=WATCHES, count=1, resource=PLURAL))
    simulated_cluster.faults.inject(CutMidLine(count=1, resource=PLURAL))
    await _goes_on(simulated_cluster, instance)
    assert _never_stale(instance)


async def test_410_on_continue(simulated_cluster: SimulatedCluster) -> None:
    for number in range(501):
        simulated_cluster.apply(model_deployment(f"model-{number}"))
    simulated_cluster.faults.inject(GoneOnContinue(count=1, resource=PLURAL))
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, CONNECTED)
        assert len(names(found.store)) == 501
        assert {state.status for state in found.states} <= {"CONNECTING", "CONNECTED"}


async def test_a_cut_in_the_middle_of_a_line(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.faults.inject(CutMidLine(count=1, resource=PLURAL))
    await _goes_on(simulated_cluster, instance)
    assert _never_stale(instance)


async def test_silence_is_cut_and_the_watch_goes_on(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    timing = msgspec.structs.replace(FAST, silence=0.3)
    async with watched(credential(simulated_cluster.kubeconfig()), timing=timing) as found:
        await seen(found.store, CONNECTED)
        silence = simulated_cluster.faults.inject(Silence(resource=PLURAL))
        opened = simulated_cluster.faults.inject(Slow(delay=0, resource=PLURAL, verbs=WATCHES))

        async def opened_anew() -> bool:
            return opened.strikes > 1

        await until(opened_anew)
        silence.clear()
        await _goes_on(simulated_cluster, found)
        assert _never_stale(found)


async def test_nine_megabytes(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.bloat(MODELS, "ml-team", "llama")
    await _goes_on(simulated_cluster, instance)
    assert _never_stale(instance)


async def test_slow_answers(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.faults.inject(Slow(delay=0.2))
    simulated_cluster.apply(model_deployment("llama"))
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, CONNECTED)
        assert found.states[0].status == "CONNECTING"
        assert {state.status for state in found.states} == {"CONNECTING", "CONNECTED"}


# ------------------------------------------------------------ faults that are shown


async def test_refused_connections(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    await simulated_cluster.stop()
    await seen(instance.store, stands("DISCONNECTED", live=False))
    assert "connection is refused" in (instance.store.state.reason or "")
    assert instance.store.state.public_reason == "The cluster can't be reached."
    assert names(instance.store) == ["ml-team/llama"]
    await simulated_cluster.start()
    await _goes_on(simulated_cluster, instance)


async def test_a_server_that_hangs(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.faults.inject(Hang())
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, stands("DISCONNECTED", live=False))
        assert "didn't answer within 0.5 s" in (found.store.state.reason or "")
        simulated_cluster.faults.clear()
        await seen(found.store, CONNECTED)


async def test_401(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    injected = simulated_cluster.faults.inject(Refuse(status=401))
    await seen(instance.store, stands("ERROR"))
    assert "renew the kubeconfig" in (instance.store.state.reason or "")
    injected.clear()
    await _goes_on(simulated_cluster, instance)


async def test_403(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    injected = simulated_cluster.faults.inject(Refuse(status=403, resource=PLURAL))
    simulated_cluster.faults.inject(CutMidLine(count=1, resource=PLURAL))
    await seen(instance.store, stands("ERROR", live=False))
    assert "may not list and watch deployments" in (instance.store.state.reason or "")
    injected.clear()
    await _goes_on(simulated_cluster, instance)


@pytest.mark.parametrize("status", [429, 503])
async def test_an_overloaded_server_is_asked_again_when_it_says(
    instance: Watched, simulated_cluster: SimulatedCluster, status: int
) -> None:
    injected = simulated_cluster.faults.inject(
        Refuse(status=status, retry_after=1, resource=PLURAL, verbs=WATCHES | LISTS, count=2)
    )
    simulated_cluster.faults.inject(CutMidLine(count=1, resource=PLURAL))
    await seen(instance.store, stands("DEGRADED", live=False))
    assert f"answers {status} for deployments" in (instance.store.state.reason or "")
    await _goes_on(simulated_cluster, instance)
    assert injected.strikes == 2


async def test_pods_that_cant_be_read(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    injected = simulated_cluster.faults.inject(Refuse(status=403, resource="pods"))
    async with watched(credential(simulated_cluster.kubeconfig())) as found:
        await seen(found.store, stands("DEGRADED", live=True))
        assert "may not list and watch pods" in (found.store.state.reason or "")
        assert _llama(found.store).pods is None
        injected.clear()
        await seen(found.store, CONNECTED)
        assert _llama(found.store).pods == ()


async def test_an_object_that_cant_be_shown(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    odd = {"status": {"replicas": {"ready": "three"}}}
    simulated_cluster.patch(MODELS, "ml-team", "llama", odd)
    await seen(instance.store, stands("DEGRADED", live=True))
    assert "ml-team/llama" in (instance.store.state.reason or "")
    simulated_cluster.patch(MODELS, "ml-team", "llama", {"status": {"replicas": None}})
    await _goes_on(simulated_cluster, instance)


async def test_deleted_and_created_anew_during_an_outage(
    instance: Watched, simulated_cluster: SimulatedCluster
) -> None:
    old = _llama(instance.store).uid
    await simulated_cluster.stop()
    await seen(instance.store, stands("DISCONNECTED"))
    new = simulated_cluster.recreate(MODELS, "ml-team", "llama")["metadata"]["uid"]
    simulated_cluster.compact()
    await simulated_cluster.start()
    await seen(instance.store, CONNECTED)
    assert old != _llama(instance.store).uid == new


async def test_what_was_deleted_during_an_outage_is_a_change(
    instance: Watched, simulated_cluster: SimulatedCluster
) -> None:
    await simulated_cluster.stop()
    await seen(instance.store, stands("DISCONNECTED"))
    before = instance.store.head
    simulated_cluster.delete(MODELS, "ml-team", "llama")
    await simulated_cluster.start()
    await seen(instance.store, CONNECTED)
    assert [(each.name, each.deleted) for each in instance.store.changes(before)] == [("llama", True)]


# ------------------------------------------------------------ API groups


async def test_a_crd_goes_and_comes_back(instance: Watched, simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.crds.remove("airunway.ai")
    await seen(instance.store, lambda feed: feed.state.reason == NOT_INSTALLED)
    await seen(instance.store, CONNECTED)
    assert (names(instance.store), instance.store.state.api_group) == ([], None)
    simulated_cluster.crds.install("airunway.ai")
    simulated_cluster.apply(model_deployment("llama"))
    await seen(instance.store, has("ml-team/llama"))
    await _goes_on(simulated_cluster, instance)


async def test_the_newest_group_wins_as_soon_as_it_comes() -> None:
    async with SimulatedCluster(groups=("kubefoundry.kubefoundry.ai",)) as cluster:
        cluster.apply(model_deployment("old", group="kubefoundry.kubefoundry.ai"))
        async with watched(credential(cluster.kubeconfig())) as found:
            await seen(found.store, has("ml-team/old"))
            cluster.crds.install("kubeairunway.ai")
            cluster.apply(model_deployment("new", group="kubeairunway.ai"))
            await seen(found.store, has("ml-team/new"))
            await seen(found.store, CONNECTED)
            assert found.store.state.api_group == "kubeairunway.ai"


async def test_groups_are_found_without_the_right_to_watch_crds() -> None:
    async with SimulatedCluster(groups=()) as cluster:
        cluster.faults.inject(Refuse(status=403, resource="customresourcedefinitions"))
        async with watched(credential(cluster.kubeconfig())) as found:
            await seen(found.store, CONNECTED)
            assert found.store.state.public_reason == NOT_INSTALLED
            cluster.crds.install("airunway.ai")
            await seen(found.store, lambda feed: feed.state.api_group == "airunway.ai")
            await seen(found.store, CONNECTED)


# ------------------------------------------------------------ limited credentials


async def test_a_limited_credential_watches_its_namespaces(simulated_cluster: SimulatedCluster) -> None:
    for namespace in ("ml-team", "team-b", "default"):
        simulated_cluster.apply(model_deployment("llama", namespace=namespace))
    spaces = frozenset({"ml-team", "team-b"})
    token = simulated_cluster.tokens.issue(namespaces=spaces)
    limited = credential(simulated_cluster.kubeconfig(token=token, namespaces=sorted(spaces)))
    async with watched(limited) as found:
        await seen(found.store, CONNECTED)
        assert names(found.store) == ["ml-team/llama", "team-b/llama"]
        assert found.store.known_namespaces() == ("ml-team", "team-b")
        assert found.store.state.node_count is None
        simulated_cluster.delete(MODELS, "team-b", "llama")
        await seen(found.store, has("ml-team/llama"))


async def test_what_a_limited_credential_may_not_read_is_asked_for_quietly(
    simulated_cluster: SimulatedCluster,
) -> None:
    token = simulated_cluster.tokens.issue(namespaces=frozenset({"ml-team"}))
    limited = credential(simulated_cluster.kubeconfig(token=token, namespaces=["ml-team"]))
    async with watched(limited) as found:
        await seen(found.store, CONNECTED)
        asked = simulated_cluster.faults.inject(Slow(delay=0, resource="namespaces"))

        async def asked_thrice() -> bool:
            return asked.strikes >= 3

        await until(asked_thrice)
        assert {state.status for state in found.states} == {"CONNECTING", "CONNECTED"}
        assert _never_stale(found)


async def test_a_namespace_that_it_may_not_read_is_named(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    token = simulated_cluster.tokens.issue(namespaces=frozenset({"ml-team"}))
    limited = credential(simulated_cluster.kubeconfig(token=token, namespaces=["ml-team", "team-b"]))
    async with watched(limited) as found:
        await seen(found.store, stands("DEGRADED", live=True))
        await seen(found.store, has("ml-team/llama"))
        assert "deployments in team-b" in (found.store.state.reason or "")
        assert "team-b" not in (found.store.state.public_reason or "")


async def test_a_credential_without_any_rights_and_namespaces(simulated_cluster: SimulatedCluster) -> None:
    token = simulated_cluster.tokens.issue(namespaces=frozenset())
    async with watched(credential(simulated_cluster.kubeconfig(token=token))) as found:
        await seen(found.store, stands("ERROR", live=False))
        assert "may not list and watch deployments" in (found.store.state.reason or "")


async def test_a_credential_that_is_given_the_cluster_takes_it(simulated_cluster: SimulatedCluster) -> None:
    simulated_cluster.apply(model_deployment("llama", namespace="team-b"))
    injected = simulated_cluster.faults.inject(Refuse(status=403, resource=PLURAL))
    config = simulated_cluster.kubeconfig(namespaces=["ml-team"])
    async with watched(credential(config)) as found:
        await seen(found.store, lambda feed: "deployments in ml-team" in (feed.state.reason or ""))
        injected.clear()
        await seen(found.store, has("team-b/llama"))
        await seen(found.store, CONNECTED)


# ------------------------------------------------------------ credentials that change by themselves


async def test_a_rotated_token_file_needs_no_restart(
    simulated_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    token_file = tmp_path / "token"
    token_file.write_text(simulated_cluster.token)
    config = simulated_cluster.kubeconfig()
    config["users"][0]["user"] = {"tokenFile": "token"}
    async with watched(credential(config, directory=tmp_path)) as found:
        await seen(found.store, CONNECTED)
        simulated_cluster.tokens.revoke(simulated_cluster.token)
        token_file.write_text(simulated_cluster.tokens.issue() + "\n")
        simulated_cluster.faults.inject(CutMidLine(count=1, resource=PLURAL))
        await _goes_on(simulated_cluster, found)
        assert _never_stale(found)


async def test_a_token_file_that_vanishes_is_an_error_until_it_is_back(
    simulated_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    token_file = tmp_path / "token"
    token_file.write_text(simulated_cluster.token)
    config = simulated_cluster.kubeconfig()
    config["users"][0]["user"] = {"tokenFile": "token"}
    async with watched(credential(config, directory=tmp_path)) as found:
        await seen(found.store, CONNECTED)
        token_file.unlink()
        await seen(found.store, stands("ERROR"))
        token_file.write_text(simulated_cluster.token)
        await _goes_on(simulated_cluster, found)


async def test_bookmarks_keep_a_quiet_watch_from_being_cut() -> None:
    settings = ApiSettings(bookmark_interval=0.1)
    timing = msgspec.structs.replace(FAST, silence=0.5)
    async with SimulatedCluster(settings=settings) as cluster:
        opened = cluster.faults.inject(Slow(delay=0, resource=PLURAL, verbs=WATCHES))
        async with watched(credential(cluster.kubeconfig()), timing=timing) as found:
            await seen(found.store, CONNECTED)
            started = found.store.state.last_seen_at
            assert started is not None
            await seen(
                found.store,
                lambda feed: (feed.state.last_seen_at or started).timestamp() > started.timestamp() + 1,
            )
            assert opened.strikes == 1


def _llama(feed: InstanceFeed) -> Any:
    found = feed.get("ml-team", "llama")
    assert found is not None
    return found


def _pod(name: str, *, deployment: str, phase: str) -> dict[str, Any]:
    labels = {"airunway.ai/deployment": deployment}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ml-team", "labels": labels},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "vllm"}]},
        "status": {"phase": phase},
    }
