"""The real API server of the tests: what they rely on it for. Slow: each cluster takes 5 s to come and go."""

from functools import partial
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.apiserver import UNCACHED_WATCHES, ApiServer
from tests.support.kubectl import API_GROUPS, Refused, deployments, model_deployment
from tests.support.waiting import until

pytestmark = pytest.mark.envtest

DISAGGREGATED: dict[str, Any] = {
    "serving": {"mode": "disaggregated"},
    "scaling": {"prefill": {"gpu": {"count": 1}}, "decode": {"gpu": {"count": 2}}},
}


async def test_is_kubernetes_1_37(api_server: ApiServer) -> None:
    version = await api_server.kubectl.get("/version")

    assert version["gitVersion"].startswith("v1.37.")
    assert (version["major"], version["minor"]) == ("1", "37")


@pytest.mark.parametrize("fresh_api_server", [()], indirect=True)
async def test_every_group_has_its_crds(fresh_api_server: ApiServer) -> None:
    kubectl = fresh_api_server.kubectl
    for group in API_GROUPS:
        await kubectl.install_crds(group)

        created = await kubectl.post(
            deployments("default", group=group), model_deployment("qwen", group=group)
        )
        provider = {
            "apiVersion": f"{group}/v1alpha1",
            "kind": "InferenceProviderConfig",
            "metadata": {"name": "kaito"},
        }
        await kubectl.post(f"/apis/{group}/v1alpha1/inferenceproviderconfigs", provider)

        assert created["spec"]["engine"]["enablePrefixCaching"] is True
    await kubectl.delete_crds("airunway.ai")
    with pytest.raises(Refused, match="404"):
        await kubectl.get(deployments())
    assert (await kubectl.get(deployments(group="kubeairunway.ai")))["items"]


async def test_defaults_are_filled_in(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    manifest = model_deployment("qwen", scaling={}, resources={"gpu": {"count": 1}})

    spec = (await kubectl.post(deployments(await kubectl.create_namespace()), manifest))["spec"]

    assert spec["scaling"] == {"replicas": 1}
    assert spec["resources"]["gpu"] == {"count": 1, "type": "nvidia.com/gpu"}


async def test_fields_of_providers_and_routes_are_kept(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    provider = {"name": "dynamo", "overrides": {"spec": {"anything": [1, "two"]}}}
    gateway = {"httpRouteRef": {"name": "route"}}
    manifest = model_deployment("qwen", provider=provider, gateway=gateway, unknown=True)

    spec = (await kubectl.post(deployments(await kubectl.create_namespace()), manifest))["spec"]

    assert spec["provider"] == provider
    assert spec["gateway"] == gateway
    assert "unknown" not in spec


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"engine": {"type": "tgi"}}, "spec.engine.type"),
        ({"model": {"servedName": "x"}}, "spec.model.id"),
        ({"scaling": {"replicas": -1}}, "spec.scaling.replicas"),
        (DISAGGREGATED | {"resources": {"gpu": {"count": 1}}}, "spec.resources.gpu"),
        (DISAGGREGATED | {"scaling": {"prefill": {"gpu": {"count": 1}}}}, "spec.scaling"),
    ],
)
async def test_what_is_not_valid_is_refused(api_server: ApiServer, spec: dict[str, Any], field: str) -> None:
    kubectl = api_server.kubectl
    namespace = await kubectl.create_namespace()

    with pytest.raises(Refused) as refusal:
        await kubectl.post(deployments(namespace), model_deployment("qwen", **spec))

    assert refusal.value.status == 422
    assert field in [cause["field"] for cause in refusal.value.body["details"]["causes"]]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("spec.model.id", {"model": {"id": "other/model"}}),
        ("spec.model.source", {"model": {"source": "custom"}}),
        ("spec.model.storage.volumes", {"model": {"storage": None}}),
        ("spec.engine.type", {"engine": {"type": "sglang"}}),
        ("spec.engine.type", {"engine": None}),
        ("spec.provider.name", {"provider": {"name": "kaito"}}),
        ("spec.serving.mode", {"serving": {"mode": "aggregated"}}),
    ],
)
async def test_what_is_immutable_stays(api_server: ApiServer, field: str, change: dict[str, Any]) -> None:
    kubectl = api_server.kubectl
    namespace = await kubectl.create_namespace()
    volumes = [{"name": "cache", "size": "100Gi"}]
    model = {"id": "Qwen/Qwen3-0.6B", "source": "huggingface", "storage": {"volumes": volumes}}
    manifest = model_deployment("qwen", model=model, provider={"name": "dynamo"}, **DISAGGREGATED)
    await kubectl.post(deployments(namespace), manifest)

    with pytest.raises(Refused, match="immutable") as refusal:
        await kubectl.patch(deployments(namespace, "qwen"), {"spec": change})

    assert refusal.value.status == 422
    assert [cause["field"] for cause in refusal.value.body["details"]["causes"]] == [field]
    await kubectl.patch(deployments(namespace, "qwen"), {"spec": {"scaling": {"decode": {"replicas": 3}}}})


async def test_status_is_apart_from_spec(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    path = deployments(await kubectl.create_namespace(), "qwen")
    await kubectl.post(
        path.removesuffix("/qwen"), model_deployment("qwen") | {"status": {"phase": "Running"}}
    )

    created = await kubectl.get(path)
    reported = await kubectl.patch(
        f"{path}/status", {"status": {"phase": "Failed"}, "spec": {"image": "ignored"}}
    )

    assert "status" not in created
    assert reported["status"] == {"phase": "Failed"}
    assert reported["metadata"]["generation"] == 1


async def test_dry_run_stores_nothing(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    namespace = await kubectl.create_namespace()

    answer = await kubectl.post(deployments(namespace), model_deployment("qwen"), dryRun="All")

    assert answer["metadata"]["uid"]
    assert (await kubectl.get(deployments(namespace)))["items"] == []


async def test_pods_are_made_and_reported_by_hand(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    namespace = await kubectl.create_namespace()
    await kubectl.create_node(f"node-of-{namespace}")
    path = f"/api/v1/namespaces/{namespace}/pods"

    await kubectl.create_pod(namespace, "qwen-0", labels={"app": "qwen"}, node=f"node-of-{namespace}", gpus=2)
    await kubectl.patch(f"{path}/qwen-0/status", {"status": {"phase": "Running"}})

    (pod,) = (await kubectl.get(path, labelSelector="app=qwen"))["items"]
    assert pod["status"]["phase"] == "Running"
    node = await kubectl.get(f"/api/v1/nodes/node-of-{namespace}")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert "taints" not in node["spec"]


async def test_limited_token_is_limited(api_server: ApiServer) -> None:
    kubectl = api_server.kubectl
    mine, other = await kubectl.create_namespace(), await kubectl.create_namespace()
    limited = kubectl.with_token(await kubectl.limited_token(mine))

    assert (await limited.get(deployments(mine)))["items"] == []
    await limited.post(deployments(mine), model_deployment("qwen"))
    for path in (deployments(), deployments(other), "/api/v1/nodes"):
        with pytest.raises(Refused) as refusal:
            await limited.get(path)
        assert refusal.value.status == 403


async def test_kubeconfigs_name_their_namespaces(api_server: ApiServer) -> None:
    admin = yaml.safe_load(api_server.kubeconfig())
    limited = yaml.safe_load(
        api_server.kubeconfig(user={"tokenFile": "token"}, namespaces=["ml-team", "team-b"])
    )

    assert admin["users"][0]["user"].keys() == {"client-certificate-data", "client-key-data"}
    assert admin["clusters"][0]["cluster"]["server"] == api_server.url
    assert [context["context"]["namespace"] for context in limited["contexts"]] == ["ml-team", "team-b"]
    assert limited["current-context"] == "ml-team"


@pytest.mark.parametrize("fresh_api_server", [[UNCACHED_WATCHES]], indirect=True)
async def test_compaction_makes_old_versions_gone(fresh_api_server: ApiServer) -> None:
    kubectl = fresh_api_server.kubectl
    await kubectl.install_crds()
    first = await kubectl.post(deployments("default"), model_deployment("first"))
    version = first["metadata"]["resourceVersion"]
    await kubectl.post(deployments("default"), model_deployment("second"))
    (added,) = await kubectl.watch(deployments(), resourceVersion=version)
    await kubectl.delete(deployments("default", "second"))

    revision = await fresh_api_server.compact()
    (gone,) = await kubectl.watch(deployments(), resourceVersion=version)

    assert added["object"]["metadata"]["name"] == "second"
    assert revision > int(version)
    assert (gone["type"], gone["object"]["code"], gone["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_restart_keeps_data_address_and_trust(fresh_api_server: ApiServer) -> None:
    kubectl, url, before = fresh_api_server.kubectl, fresh_api_server.url, fresh_api_server.kubeconfig()
    await kubectl.install_crds()
    created = await kubectl.post(deployments("default"), model_deployment("qwen"))
    account = kubectl.with_token(await kubectl.limited_token("default"))

    await fresh_api_server.kill()
    with pytest.raises(aiohttp.ClientConnectorError):
        await kubectl.get("/version")
    await fresh_api_server.restart()
    await until(partial(account.answers, deployments("default")))

    assert (fresh_api_server.url, fresh_api_server.kubeconfig()) == (url, before)
    assert (await account.get(deployments("default", "qwen")))["metadata"] == created["metadata"]
    version = created["metadata"]["resourceVersion"]
    (gone,) = await kubectl.watch(deployments(), resourceVersion=version)
    assert gone["object"]["code"] == 410


async def test_static_tokens_end_with_a_restart(fresh_api_server: ApiServer) -> None:
    kubectl = fresh_api_server.kubectl
    old, new = kubectl.with_token("old-token"), kubectl.with_token("new-token")

    await fresh_api_server.restart(tokens={"old-token": "hub"})
    assert "gitVersion" in await old.get("/version")
    await fresh_api_server.restart(tokens={"new-token": "hub"})

    assert "gitVersion" in await new.get("/version")
    with pytest.raises(Refused) as refusal:
        await old.get("/version")
    assert refusal.value.status == 401
