"""`python -m hub serve` over a real API server: what people do there, and what they are told."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.apiserver import ApiServer
from tests.support.followers import View, following, true_state
from tests.support.hub_process import ServedHub
from tests.support.instances import CREATE, DELETE, an_instance, until_instance
from tests.support.kubectl import HUB_RULES, Json, deployments, model_deployment
from tests.support.timetable import Timetable

pytestmark = pytest.mark.envtest

GPU = {"count": 2, "type": "amd.com/gpu"}
EVERYTHING: Mapping[str, Any] = {
    "model": {
        "id": "meta-llama/Llama-3.1-8B-Instruct",
        "source": "HUGGINGFACE",
        "servedName": "llama",
        "volumes": [
            {
                "name": "weights",
                "claimName": "llama-weights",
                "mountPath": "/models",
                "purpose": "MODEL_CACHE",
                "readOnly": True,
                "size": "100Gi",
                "storageClassName": "fast",
                "accessMode": "READ_WRITE_MANY",
            }
        ],
    },
    "engine": {
        "type": "VLLM",
        "image": "vllm/vllm-openai:v1",
        "contextLength": 8192,
        "trustRemoteCode": True,
        "enablePrefixCaching": False,
        "enforceEager": True,
        "args": [{"name": "max-num-seqs", "value": "64"}],
        "extraArgs": ["--disable-log-requests"],
    },
    "provider": "dynamo",
    "env": [{"name": "HF_HOME", "value": "/models"}],
    "image": "ghcr.io/example/llama:1",
    "huggingFaceTokenSecret": "hf-token",
    "gateway": {"enabled": True, "modelName": "llama-8b"},
    "nodeSelector": [{"key": "pool", "value": "gpu"}],
    "tolerations": [
        {"key": "gpu", "operator": "EQUAL", "value": "a100", "effect": "NO_EXECUTE", "tolerationSeconds": 60}
    ],
    "labels": [{"key": "team", "value": "ml"}],
}
EVERYTHING_WRITTEN: Json = {
    "model": {
        "id": "meta-llama/Llama-3.1-8B-Instruct",
        "source": "huggingface",
        "servedName": "llama",
        "storage": {
            "volumes": [
                {
                    "name": "weights",
                    "claimName": "llama-weights",
                    "mountPath": "/models",
                    "purpose": "modelCache",
                    "readOnly": True,
                    "size": "100Gi",
                    "storageClassName": "fast",
                    "accessMode": "ReadWriteMany",
                }
            ]
        },
    },
    "engine": {
        "type": "vllm",
        "image": "vllm/vllm-openai:v1",
        "contextLength": 8192,
        "trustRemoteCode": True,
        "enablePrefixCaching": False,
        "enforceEager": True,
        "args": {"max-num-seqs": "64"},
        "extraArgs": ["--disable-log-requests"],
    },
    "provider": {"name": "dynamo"},
    "env": [{"name": "HF_HOME", "value": "/models"}],
    "image": "ghcr.io/example/llama:1",
    "secrets": {"huggingFaceToken": "hf-token"},
    "gateway": {"enabled": True, "modelName": "llama-8b"},
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [
        {"key": "gpu", "operator": "Equal", "value": "a100", "effect": "NoExecute", "tolerationSeconds": 60}
    ],
}
AGGREGATED = {"mode": "AGGREGATED", "replicas": 3, "resources": {"gpu": GPU, "memory": "32Gi", "cpu": "8"}}
AGGREGATED_WRITTEN: Json = {
    "serving": {"mode": "aggregated"},
    "scaling": {"replicas": 3},
    "resources": {"gpu": GPU, "memory": "32Gi", "cpu": "8"},
}
ROLE = {"replicas": 2, "gpu": GPU, "memory": "64Gi"}
DISAGGREGATED = {"mode": "DISAGGREGATED", "prefill": ROLE, "decode": ROLE, "resources": {"cpu": "8"}}
DISAGGREGATED_WRITTEN: Json = {
    "serving": {"mode": "disaggregated"},
    "scaling": {"prefill": ROLE, "decode": ROLE, "replicas": 1},  # the cluster's own default
    "resources": {"cpu": "8"},
}


@pytest.mark.parametrize(
    ("asked", "written"), [(AGGREGATED, AGGREGATED_WRITTEN), (DISAGGREGATED, DISAGGREGATED_WRITTEN)]
)
async def test_a_deployment_lives_and_dies(
    hub_process: ServedHub,
    api_server: ApiServer,
    timetable: Timetable,
    asked: Mapping[str, Any],
    written: Json,
) -> None:
    hub, kubectl = hub_process, api_server.kubectl
    namespace = await kubectl.create_namespace()
    name, path = f"{namespace}/llama", deployments(namespace, "llama")
    began = time.monotonic()
    async with an_instance(hub, api_server.kubeconfig()) as instance_id:
        timetable.note("kubeconfig copied → CONNECTED", since=began)
        target = {"instanceId": instance_id, "namespace": namespace, "name": "llama"}
        view = View(token=hub.admin, instance_id=instance_id, namespaces=[namespace])
        async with following(hub, view) as (follower,):
            await follower.heard("SYNCED")

            dry = {"input": {**target, **EVERYTHING, **asked, "dryRun": True}}
            assert (await hub.data(hub.deployer, CREATE, dry))["createDeployment"]["deployment"]["uid"]
            assert await true_state(kubectl, namespace=namespace) == {}

            began = time.monotonic()
            create = {"input": {**target, **EVERYTHING, **asked}}
            created = (await hub.data(hub.deployer, CREATE, create))["createDeployment"]
            timetable.note("createDeployment → its answer", since=began)
            added = await follower.heard("ADDED", name, uid=created["deployment"]["uid"])
            timetable.note("createDeployment → ADDED", since=began, until=added.at)
            real = await kubectl.get(path)
            assert real["spec"] == EVERYTHING_WRITTEN | written
            assert real["metadata"]["labels"] == {
                "team": "ml",
                "app.kubernetes.io/managed-by": "kubeairunway-hub",
            }
            author = {"hub.airunway.ai/created-by": created["deployment"]["createdByName"]}
            assert real["metadata"]["annotations"] == author
            assert created["warnings"] == []

            # As a provider does, which has to clean up before the deployment may go.
            await kubectl.patch(path, {"metadata": {"finalizers": ["airunway.ai/provider"]}})
            began = time.monotonic()
            await kubectl.patch(f"{path}/status", {"status": {"phase": "Running"}})
            running = await follower.heard("MODIFIED", name, phase="RUNNING")
            timetable.note("status patched → MODIFIED", since=began, until=running.at)

            began = time.monotonic()
            deleted = (await hub.data(hub.deployer, DELETE, {"input": target}))["deleteDeployment"]
            terminating = await follower.heard("MODIFIED", name, phase="TERMINATING")
            timetable.note("deleteDeployment → TERMINATING", since=began, until=terminating.at)
            assert deleted == {
                "deletedDeploymentId": f"{instance_id}/{name}",
                "deployment": {"phase": "TERMINATING"},
            }
            await follower.ends_as(await true_state(kubectl, namespace=namespace))

            began = time.monotonic()
            await kubectl.patch(path, {"metadata": {"finalizers": None}})
            gone = await follower.heard("DELETED", name, phase="TERMINATING")
            timetable.note("finalizer removed → DELETED", since=began, until=gone.at)
            await follower.ends_as({})


async def test_pods_move_the_phase(
    hub_process: ServedHub, api_server: ApiServer, timetable: Timetable
) -> None:
    hub, kubectl = hub_process, api_server.kubectl
    namespace = await kubectl.create_namespace()
    node, pods = f"node-of-{namespace}", f"/api/v1/namespaces/{namespace}/pods"
    await kubectl.create_node(node)
    async with an_instance(hub, api_server.kubeconfig()) as instance_id:
        view = View(token=hub.admin, instance_id=instance_id, namespaces=[namespace])
        running_ones = View(
            token=hub.admin, instance_id=instance_id, namespaces=[namespace], phases=["RUNNING"]
        )
        async with following(hub, view, running_ones) as (follower, runs):
            name = f"{namespace}/llama"
            await kubectl.post(deployments(namespace), model_deployment("llama"))
            await follower.heard("ADDED", name, phase="PENDING")
            reported = {"phase": "Deploying", "replicas": {"desired": 1, "ready": 0, "available": 0}}
            await kubectl.patch(f"{deployments(namespace, 'llama')}/status", {"status": reported})
            await follower.heard("MODIFIED", name, phase="DEPLOYING")

            async def moves(phase: str, act: str, since: float) -> None:
                event = await follower.heard("MODIFIED", name, since=since, phase=phase)
                timetable.note(f"pod {act} → {phase}", since=since, until=event.at)

            began = time.monotonic()
            await kubectl.create_pod(namespace, "llama-0", labels={"airunway.ai/deployment": "llama"})
            await moves("PENDING", "created, unscheduled", began)

            began = time.monotonic()
            binding = {"metadata": {"name": "llama-0"}, "target": {"kind": "Node", "name": node}}
            await kubectl.post(f"{pods}/llama-0/binding", binding)
            await moves("DEPLOYING", "bound", began)

            began = time.monotonic()
            status = f"{pods}/llama-0/status"
            back_off = {"waiting": {"reason": "CrashLoopBackOff"}}
            await kubectl.patch(status, {"status": _pod_status(ready=False, state=back_off)})
            await moves("FAILED", "in CrashLoopBackOff", began)

            began = time.monotonic()
            await kubectl.patch(status, {"status": _pod_status(ready=True, state={"running": {}})})
            await moves("DEPLOYING", "ready, its deployment not", began)
            complete = {"replicas": {"desired": 1, "ready": 1, "available": 1}}
            await kubectl.patch(f"{deployments(namespace, 'llama')}/status", {"status": complete})
            await moves("RUNNING", "and its deployment ready", began)
            await runs.heard("ADDED", name, phase="RUNNING")

            began = time.monotonic()
            incomplete = {"phase": "Pending", "replicas": {"ready": 0, "available": 0}}
            await kubectl.patch(f"{deployments(namespace, 'llama')}/status", {"status": incomplete})
            await kubectl.delete(f"{pods}/llama-0", gracePeriodSeconds="0")
            await moves("PENDING", "deleted", began)
            await runs.heard("DELETED", name)
            await follower.ends_as(await true_state(kubectl, namespace=namespace))
            await runs.ends_as({})


def _pod_status(*, ready: bool, state: Json) -> Json:
    container = {"name": "main", "image": "i", "imageID": "i", "restartCount": 1}
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [container | {"ready": ready, "state": state}],
    }


async def test_a_limited_credential(hub_process: ServedHub, api_server: ApiServer) -> None:
    hub, kubectl = hub_process, api_server.kubectl
    mine, also_mine, other = sorted([await kubectl.create_namespace() for _ in range(3)])
    for namespace in (mine, also_mine, other):
        await kubectl.post(deployments(namespace), model_deployment("qwen"))
    token = await kubectl.limited_token(mine, also_mine)
    config = api_server.kubeconfig(user={"token": token}, namespaces=[mine, also_mine])
    async with an_instance(hub, config) as instance_id:
        found = await until_instance(hub, hub.deployer, instance_id, namespaces=[mine, also_mine])
        assert (found["status"], found["statusReason"], found["nodeCount"]) == ("CONNECTED", None, None)
        async with following(hub, View(token=hub.deployer, instance_id=instance_id)) as (follower,):
            await follower.heard("SYNCED")
            assert set(follower.shown) == {f"{mine}/qwen", f"{also_mine}/qwen"}
            here = {"instanceId": instance_id, "namespace": also_mine, "name": "new", "model": {"id": "m"}}
            await hub.data(hub.deployer, CREATE, {"input": here})
            await follower.heard("ADDED", f"{also_mine}/new")
            await hub.data(hub.deployer, DELETE, {"input": {k: here[k] for k in list(here)[:3]}})
            await follower.heard("DELETED", f"{also_mine}/new")

            there = {"input": here | {"namespace": other}}
            [told] = (await hub.ask(hub.deployer, CREATE, there))["errors"]
            [told_in_full] = (await hub.ask(hub.admin, CREATE, there))["errors"]
            for error in (told, told_in_full):
                assert error["extensions"]["code"] == "KUBERNETES_ERROR"
                assert (error["extensions"]["status"], error["extensions"]["reason"]) == (403, "Forbidden")
            assert f"system:serviceaccount:{mine}:hub-" in told_in_full["message"]
            assert "serviceaccount" not in str(told)
            assert told["message"] == "The hub may not do this on the cluster; an administrator can see why."


async def test_a_credential_that_may_not_read_pods(hub_process: ServedHub, api_server: ApiServer) -> None:
    hub, kubectl = hub_process, api_server.kubectl
    mine = await kubectl.create_namespace()
    await kubectl.post(deployments(mine), model_deployment("qwen"))
    token = await kubectl.limited_token(mine, rules=HUB_RULES[:1])
    config = api_server.kubeconfig(user={"token": token}, namespaces=[mine])
    async with an_instance(hub, config, status="DEGRADED") as instance_id:
        found = await until_instance(hub, hub.admin, instance_id, status="DEGRADED")
        assert f"may not list and watch pods in {mine} (403)" in found["statusReason"]
        found = await until_instance(hub, hub.deployer, instance_id, deploymentCount=1)
        assert found["statusReason"] == "Some of what this cluster holds can't be read."
        async with following(hub, View(token=hub.deployer, instance_id=instance_id)) as (follower,):
            await follower.heard("SYNCED")
            here = {"instanceId": instance_id, "namespace": mine, "name": "new", "model": {"id": "m"}}
            await hub.data(hub.deployer, CREATE, {"input": here})
            await follower.ends_as(await true_state(kubectl, namespace=mine))
