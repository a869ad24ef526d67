"""The same against a real API server: what a simulated one could only imitate."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from cluster.health import NOT_INSTALLED
from tests.support.apiserver import UNCACHED_WATCHES, ApiServer
from tests.support.fleets import (
    FAST,
    Snapshots,
    Watched,
    credential,
    has,
    running_fleet,
    seen,
    stands,
    watched,
)
from tests.support.kubectl import Kubectl, Refused, deployments, model_deployment
from tests.support.waiting import until

pytestmark = pytest.mark.envtest

TIMING = msgspec.structs.replace(FAST, answer=10, deadline=5)
CONNECTED = stands("CONNECTED", live=True)


@pytest.fixture
async def instance(fresh_api_server: ApiServer) -> AsyncIterator[Watched]:
    """Connected by an embedded client certificate, with ml-team/llama."""
    kubectl = fresh_api_server.kubectl
    await kubectl.install_crds()
    await kubectl.create_namespace("ml-team")
    await kubectl.post(deployments("ml-team"), model_deployment("llama"))
    async with watched(credential(fresh_api_server.kubeconfig()), timing=TIMING) as found:
        await seen(found.store, CONNECTED, within=20)
        await seen(found.store, has("ml-team/llama"))
        yield found


async def test_writes_go_through_and_come_back_by_the_watch(api_server: ApiServer) -> None:
    namespace = await api_server.kubectl.create_namespace()
    async with running_fleet(Snapshots(credential(api_server.kubeconfig())), timing=TIMING) as fleet:
        feed = fleet.feeds["simulated"]
        await seen(feed, CONNECTED, within=20)
        manifest = model_deployment("llama")
        created, warnings = await fleet.create_deployment(
            instance_id="simulated", namespace=namespace, manifest=manifest, dry_run=False
        )
        assert warnings == ()
        await seen(feed, lambda feed: feed.get(namespace, "llama") is not None)
        await api_server.kubectl.create_pod(namespace, "llama-0", labels={"airunway.ai/deployment": "llama"})
        await seen(feed, lambda feed: bool((found := feed.get(namespace, "llama")) and found.pods))
        await fleet.delete_deployment(
            instance_id="simulated", namespace=namespace, name="llama", uid=created.uid, dry_run=False
        )
        await seen(feed, lambda feed: feed.get(namespace, "llama") is None)


async def test_a_limited_service_account(api_server: ApiServer) -> None:
    mine, other = [await api_server.kubectl.create_namespace() for _ in range(2)]
    for namespace in (mine, other):
        await api_server.kubectl.post(deployments(namespace), model_deployment("llama"))
    token = await api_server.kubectl.limited_token(mine)
    limited = credential(api_server.kubeconfig(user={"token": token}, namespaces=[mine]))
    async with watched(limited, timing=TIMING) as found:
        await seen(found.store, CONNECTED, within=20)
        await seen(found.store, has(f"{mine}/llama"))
        assert found.store.known_namespaces() == (mine,)
        assert found.store.state.node_count is None
        assert found.store.state.kubernetes_version == "v1.37.2"


async def test_a_token_file_is_rotated_and_the_old_token_dies(api_server: ApiServer, tmp_path: Path) -> None:
    """Slow: the API server accepts a deleted account's token for ten more seconds."""
    kubectl = api_server.kubectl
    namespace = await kubectl.create_namespace()
    old = await kubectl.limited_token(namespace)
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    [account] = [each["metadata"]["name"] for each in (await kubectl.get(accounts))["items"]]
    (tmp_path / "token").write_text(old)
    config = api_server.kubeconfig(user={"tokenFile": "token"}, namespaces=[namespace])
    async with watched(credential(config, directory=tmp_path), timing=TIMING) as found:
        await seen(found.store, CONNECTED, within=20)
        (tmp_path / "token").write_text(await kubectl.limited_token(namespace) + "\n")
        await kubectl.delete(f"{accounts}/{account}")
        await until(partial(_is_refused, kubectl.with_token(old), namespace), within=30)
        probed = found.store.state.last_seen_at
        await seen(found.store, lambda feed: feed.state.last_seen_at != probed)
        assert found.store.state.status == "CONNECTED"
        assert "ERROR" not in {state.status for state in found.states}


async def _is_refused(kubectl: Kubectl, namespace: str) -> bool:
    try:
        await kubectl.get(deployments(namespace))
    except Refused as refusal:
        return refusal.status == 401
    return False


async def test_an_outage_ends_in_the_true_state(instance: Watched, fresh_api_server: ApiServer) -> None:
    """After the restart every earlier version is 410 Gone."""
    await fresh_api_server.kill()
    await seen(instance.store, stands("DISCONNECTED", live=False), within=20)
    await fresh_api_server.restart()
    await fresh_api_server.kubectl.delete(deployments("ml-team", "llama"))
    await fresh_api_server.kubectl.post(deployments("ml-team"), model_deployment("next"))
    await seen(instance.store, has("ml-team/next"), within=20)
    await seen(instance.store, CONNECTED, within=20)


@pytest.mark.parametrize("fresh_api_server", [[UNCACHED_WATCHES]], indirect=True)
async def test_a_compaction_is_survived(instance: Watched, fresh_api_server: ApiServer) -> None:
    for number in range(3):
        await fresh_api_server.kubectl.post(deployments("ml-team"), model_deployment(f"model-{number}"))
    await fresh_api_server.compact()
    await fresh_api_server.kubectl.delete(deployments("ml-team", "llama"))
    await seen(instance.store, has(*(f"ml-team/model-{number}" for number in range(3))), within=20)
    await seen(instance.store, CONNECTED, within=20)


async def test_the_crd_goes_and_comes_back(instance: Watched, fresh_api_server: ApiServer) -> None:
    await fresh_api_server.kubectl.delete_crds()
    await seen(instance.store, lambda feed: feed.state.reason == NOT_INSTALLED, within=20)
    await seen(instance.store, has())
    await fresh_api_server.kubectl.install_crds()
    await fresh_api_server.kubectl.post(deployments("ml-team"), model_deployment("again"))
    await seen(instance.store, has("ml-team/again"), within=20)
    await seen(instance.store, CONNECTED, within=20)
