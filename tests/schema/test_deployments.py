"""Deployments through the surface: every field, creating with all of the input, deleting, `node`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from auth.permissions import Role, Scope
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import Refuse, Silence, Verb
from hub.demo.resources import PODS, model_deployments
from tests.support.fleets import seen
from tests.support.hub import running
from tests.support.simulation import model_deployment
from tests.support.surface import World, until_ids
from tests.support.waiting import until

MODELS = model_deployments()

EVERYTHING = """query ($instanceId: ID! = "east", $namespace: String! = "ml-team", $name: String! = "llama") {
  deployment(instanceId: $instanceId, namespace: $namespace, name: $name) {
    __typename id instanceId instance { id } namespace name uid modelId servedName engine engineName provider
    mode phase message stale replicas { desired ready available } gpuCount gpuType image contextLength
    endpoint { service port url modelName } conditions { type status reason message lastTransitionTime }
    labels { key value } createdAt createdByName resourceVersion generation
    pods { uid name phase ready nodeName startedAt
      containers { name state ready restartCount reason message exitCode } } } }"""

CREATE = """mutation ($input: CreateDeploymentInput!) {
  createDeployment(input: $input) {
    warnings deployment { id uid phase createdByName labels { key value } } } }"""
DELETE = """mutation ($input: DeleteDeploymentInput!) {
  deleteDeployment(input: $input) { deletedDeploymentId deployment { uid phase } } }"""
TARGET = {"instanceId": "east", "namespace": "ml-team", "name": "llama"}


async def found(world: World, token: str | None = None, **variables: str) -> dict[str, Any]:
    answer = await world.hub.data(token or world.admin, EVERYTHING, variables)
    deployment: dict[str, Any] = answer["deployment"]
    return deployment


def error_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    (error,) = answer["errors"]
    assert error["extensions"].pop("requestId")
    return {"message": error["message"], **error["extensions"]}


# ------------------------------------------------------------------ reading


async def test_a_deployment_nobody_has_reconciled_yet(world: World) -> None:
    body = world.east.apply(model_deployment("llama"))
    await until_ids(world, "east/ml-team/llama")
    assert await found(world) == {
        "__typename": "Deployment",
        "id": "east/ml-team/llama",
        "instanceId": "east",
        "instance": {"id": "east"},
        "namespace": "ml-team",
        "name": "llama",
        "uid": body["metadata"]["uid"],
        "modelId": "Qwen/Qwen2.5-0.5B-Instruct",
        "servedName": None,
        "engine": "VLLM",
        "engineName": "vllm",
        "provider": None,
        "mode": "AGGREGATED",
        "phase": "PENDING",
        "message": None,
        "stale": True,  # no controller has seen it
        "replicas": {"desired": 1, "ready": 0, "available": 0},
        "gpuCount": 1,
        "gpuType": "nvidia.com/gpu",
        "image": None,
        "contextLength": None,
        "endpoint": None,
        "conditions": [],
        "labels": [],
        "createdAt": body["metadata"]["creationTimestamp"],
        "createdByName": None,
        "resourceVersion": body["metadata"]["resourceVersion"],
        "generation": 1,
        "pods": [],
    }


async def test_a_running_deployment_shows_what_its_controllers_and_pods_report(world: World) -> None:
    body = model_deployment(
        "llama",
        model={"id": "meta/llama", "servedName": "chat"},
        engine={"contextLength": 8192},
        scaling={"replicas": 2},
        resources={"gpu": {"count": 4, "type": "amd.com/gpu"}},
    )
    body["metadata"]["labels"] = {"team": "ml", "app": "chat"}
    body["status"] = {
        "phase": "Running",
        "message": "all is well",
        "observedGeneration": 1,
        "provider": {"name": "dynamo", "selectedReason": "it fits"},
        "engine": {"type": "sglang"},
        "replicas": {"desired": 2, "ready": 2, "available": 1},
        "endpoint": {"service": "llama-frontend", "port": 8000},
        "image": {"requested": "sglang:1", "resolved": "sglang@sha256:abc"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Up",
                "message": "Two replicas",
                "lastTransitionTime": "2026-11-02T08:00:00Z",
            },
            {"type": "GatewayReady", "status": "odd"},
        ],
    }
    world.east.apply(body)
    pod = world.east.apply(a_pod("llama-0"))
    await until_ids(world, "east/ml-team/llama")

    async def joined() -> bool:
        return bool((await found(world))["pods"])

    await until(joined)
    deployment = await found(world)
    for field in ("uid", "createdAt", "resourceVersion", "instance", "instanceId", "__typename"):
        deployment.pop(field)
    assert deployment == {
        "id": "east/ml-team/llama",
        "namespace": "ml-team",
        "name": "llama",
        "modelId": "meta/llama",
        "servedName": "chat",
        "engine": "SGLANG",
        "engineName": "sglang",
        "provider": "dynamo",
        "mode": "AGGREGATED",
        "phase": "RUNNING",
        "message": "all is well",
        "stale": False,
        "replicas": {"desired": 2, "ready": 2, "available": 1},
        "gpuCount": 8,
        "gpuType": "amd.com/gpu",
        "image": "sglang@sha256:abc",
        "contextLength": 8192,
        "endpoint": {
            "service": "llama-frontend",
            "port": 8000,
            "url": "http://llama-frontend.ml-team.svc:8000",
            "modelName": "chat",
        },
        "conditions": [
            {
                "type": "Ready",
                "status": "TRUE",
                "reason": "Up",
                "message": "Two replicas",
                "lastTransitionTime": "2026-11-02T08:00:00Z",
            },
            {
                "type": "GatewayReady",
                "status": "UNKNOWN",
                "reason": None,
                "message": None,
                "lastTransitionTime": None,
            },
        ],
        "labels": [{"key": "app", "value": "chat"}, {"key": "team", "value": "ml"}],
        "createdByName": None,
        "generation": 1,
        "pods": [
            {
                "uid": pod["metadata"]["uid"],
                "name": "llama-0",
                "phase": "RUNNING",
                "ready": False,
                "nodeName": "gpu-1",
                "startedAt": "2026-11-02T08:00:00Z",
                "containers": [
                    {
                        "name": "fetch",
                        "state": "TERMINATED",
                        "ready": True,
                        "restartCount": 0,
                        "reason": "Completed",
                        "message": None,
                        "exitCode": 0,
                    },
                    {
                        "name": "main",
                        "state": "RUNNING",
                        "ready": True,
                        "restartCount": 2,
                        "reason": None,
                        "message": None,
                        "exitCode": None,
                    },
                    {
                        "name": "sidecar",
                        "state": "WAITING",
                        "ready": False,
                        "restartCount": 0,
                        "reason": "ContainerCreating",
                        "message": "soon",
                        "exitCode": None,
                    },
                ],
            }
        ],
    }


def a_pod(name: str) -> dict[str, Any]:
    waiting = {"reason": "ContainerCreating", "message": "soon"}
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {"name": name, "namespace": "ml-team", "labels": {"app.kubernetes.io/instance": "llama"}},
        "spec": {"nodeName": "gpu-1"},
        "status": {
            "phase": "Running",
            "startTime": "2026-11-02T08:00:00Z",
            "conditions": [{"type": "Ready", "status": "False"}],
            "initContainerStatuses": [
                {
                    "name": "fetch",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"terminated": {"reason": "Completed", "exitCode": 0}},
                }
            ],
            "containerStatuses": [
                {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {}}},
                {"name": "sidecar", "ready": False, "restartCount": 0, "state": {"waiting": waiting}},
            ],
        },
    }


async def test_words_that_the_hub_does_not_know_are_null(world: World) -> None:
    body = model_deployment("llama")
    body["status"] = {"phase": "Sleeping", "engine": {"type": "mlx"}, "gateway": {"endpoint": "https://g/x"}}
    world.east.apply(body)
    await until_ids(world, "east/ml-team/llama")
    deployment = await found(world)
    assert (deployment["engine"], deployment["engineName"]) == (None, "mlx")
    assert deployment["phase"] == "PENDING"
    assert deployment["endpoint"] == {
        "service": None,
        "port": None,
        "url": "https://g/x",
        "modelName": "Qwen/Qwen2.5-0.5B-Instruct",
    }


async def test_pods_that_may_not_be_read_are_null_not_empty(world: World) -> None:
    world.east.faults.inject(Refuse(resource="pods", status=403))
    world.east.apply(model_deployment("llama"))
    await until_ids(world, "east/ml-team/llama")
    feed = world.hub.running.manager.feeds["east"]
    await world.east.stop()
    await seen(feed, lambda current: not current.state.live)
    await world.east.start()
    # DEGRADED comes first for pods that the outage kept away, then for good for those that are forbidden.
    await seen(feed, lambda current: all(each.pods is None for each in current.by_name("ml-team")))
    assert (await found(world))["pods"] is None
    # The other watches may take a moment longer to be back.
    await seen(feed, lambda current: current.state.status == "DEGRADED")
    assert (await found(world))["pods"] is None


async def test_an_instance_that_never_answered_is_unavailable(tmp_path: Path) -> None:
    async with SimulatedCluster(name="east") as east, running(tmp_path) as hub:
        await east.stop()
        east.write_kubeconfig(hub.credentials / "east.kubeconfig")
        admin, viewer = await hub.token("admin", Role.ADMIN), await hub.token("viewer", Role.VIEWER)
        query = '{ instance(id: "east") { status statusReason deploymentCount namespaces } }'

        async def disconnected() -> bool:
            instance = (await hub.data(admin, query))["instance"]
            return instance is not None and instance["status"] != "CONNECTING"

        await until(disconnected)
        shown = (await hub.data(viewer, query))["instance"]
        assert (shown["deploymentCount"], shown["namespaces"]) == (None, None)
        assert "127.0.0.1" not in shown["statusReason"]
        for token in (admin, viewer):
            error = error_of(await hub.ask(token, EVERYTHING))
            assert (error["code"], error["instanceId"]) == ("INSTANCE_UNAVAILABLE", "east")
            assert error["status"] == "DISCONNECTED"
            assert error["reason"]
            assert "127.0.0.1" not in error["reason"] + error["message"]
        listed = await hub.data(viewer, "{ deployments { totalCount sources { instanceId stale error } } }")
        assert listed["deployments"]["totalCount"] == 0
        (source,) = listed["deployments"]["sources"]
        assert (source["instanceId"], source["stale"]) == ("east", True)
        assert source["error"]
        error = error_of(await hub.ask(admin, CREATE, {"input": {**TARGET, "model": {"id": "m"}}}))
        assert (error["code"], error["status"]) == ("INSTANCE_UNAVAILABLE", "DISCONNECTED")
        # Who may not see the place is told what they are told of any other.
        other = await hub.token("other", Role.VIEWER, Scope("west"))
        assert (await hub.data(other, EVERYTHING))["deployment"] is None


async def test_an_outage_leaves_what_was_seen_and_marks_it_stale(world: World) -> None:
    body = model_deployment("llama")
    body["status"] = {"observedGeneration": 1}
    world.east.apply(body)
    await until_ids(world, "east/ml-team/llama")
    assert (await found(world))["stale"] is False
    await world.east.stop()
    feed = world.hub.running.manager.feeds["east"]
    await seen(feed, lambda current: current.state.status == "DISCONNECTED")
    assert (await found(world))["stale"] is True
    assert await found(world, name="other") is None  # it was synced: there is none, as far as is known
    for query, variables in ((CREATE, {**TARGET, "model": {"id": "m"}}), (DELETE, TARGET)):
        error = error_of(await world.hub.ask(world.admin, query, {"input": variables}))
        assert (error["code"], error["status"]) == ("INSTANCE_UNAVAILABLE", "DISCONNECTED")
    await world.east.start()
    await seen(feed, lambda current: current.state.live)
    assert (await found(world))["stale"] is False


async def test_node_finds_every_kind_and_nothing_that_is_not_ones_own(world: World) -> None:
    world.east.apply(model_deployment("llama"))
    await until_ids(world, "east/ml-team/llama")
    query = """query ($id: ID!) { node(id: $id) {
      __typename id ... on User { displayName } ... on Instance { status } ... on Deployment { phase } } }"""
    me = (await world.hub.data(world.admin, "{ viewer { id } }"))["viewer"]["id"]
    expected = {
        me: {"__typename": "User", "id": me, "displayName": "admin"},
        "east": {"__typename": "Instance", "id": "east", "status": "CONNECTED"},
        "east/ml-team/llama": {
            "__typename": "Deployment",
            "id": "east/ml-team/llama",
            "phase": "PENDING",
        },
    }
    for id_, node in expected.items():
        assert (await world.hub.data(world.admin, query, {"id": id_}))["node"] == node
    other = await world.hub.token("other", Role.VIEWER, Scope("west"))
    strange = ["usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "grt_x", "", "/", "//", "a/b", "a/b/c/d", "west/x/y"]
    for id_ in [*expected, *strange]:
        assert (await world.hub.data(other, query, {"id": id_}))["node"] is None


# ------------------------------------------------------------------ creating

AGGREGATED = {
    "model": {
        "id": "meta-llama/Llama-3.1-8B-Instruct",
        "source": "HUGGINGFACE",
        "servedName": "chat",
        "volumes": [
            {
                "name": "cache",
                "mountPath": "/cache",
                "purpose": "MODEL_CACHE",
                "readOnly": False,
                "size": "100Gi",
                "storageClassName": "fast",
                "accessMode": "READ_WRITE_MANY",
            },
            {"name": "data", "claimName": "my.claim", "readOnly": True, "purpose": "CUSTOM"},
        ],
    },
    "engine": {
        "type": "VLLM",
        "image": "vllm/vllm-openai:v0.9",
        "contextLength": 8192,
        "trustRemoteCode": False,
        "enablePrefixCaching": False,
        "enforceEager": True,
        "args": [{"name": "max-num-seqs", "value": "16"}, {"name": "dtype", "value": "bfloat16"}],
        "extraArgs": ["--seed", "1"],
    },
    "provider": "kuberay",
    "mode": "AGGREGATED",
    "replicas": 0,
    "resources": {"gpu": {"count": 2, "type": "amd.com/gpu"}, "memory": "64Gi", "cpu": "8"},
    "image": "legacy:1",
    "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "EMPTY", "value": ""}],
    "huggingFaceTokenSecret": "hf-token",
    "gateway": {"enabled": True, "modelName": "chat-gw"},
    "nodeSelector": [{"key": "pool", "value": "gpu"}],
    "tolerations": [
        {
            "key": "gpu",
            "operator": "EQUAL",
            "value": "yes",
            "effect": "NO_EXECUTE",
            "tolerationSeconds": 60,
        },
        {"operator": "EXISTS"},
    ],
    "labels": [{"key": "team", "value": "ml"}],
}
AGGREGATED_SPEC = {
    "model": {
        "id": "meta-llama/Llama-3.1-8B-Instruct",
        "source": "huggingface",
        "servedName": "chat",
        "storage": {
            "volumes": [
                {
                    "name": "cache",
                    "mountPath": "/cache",
                    "purpose": "modelCache",
                    "readOnly": False,
                    "size": "100Gi",
                    "storageClassName": "fast",
                    "accessMode": "ReadWriteMany",
                },
                {"name": "data", "claimName": "my.claim", "readOnly": True, "purpose": "custom"},
            ]
        },
    },
    "engine": {
        "type": "vllm",
        "image": "vllm/vllm-openai:v0.9",
        "contextLength": 8192,
        "trustRemoteCode": False,
        "enablePrefixCaching": False,
        "enforceEager": True,
        "args": {"max-num-seqs": "16", "dtype": "bfloat16"},
        "extraArgs": ["--seed", "1"],
    },
    "provider": {"name": "kuberay"},
    "serving": {"mode": "aggregated"},
    "scaling": {"replicas": 0},
    "resources": {"gpu": {"count": 2, "type": "amd.com/gpu"}, "memory": "64Gi", "cpu": "8"},
    "image": "legacy:1",
    "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "EMPTY", "value": ""}],
    "secrets": {"huggingFaceToken": "hf-token"},
    "gateway": {"enabled": True, "modelName": "chat-gw"},
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [
        {
            "key": "gpu",
            "operator": "Equal",
            "value": "yes",
            "effect": "NoExecute",
            "tolerationSeconds": 60,
        },
        {"operator": "Exists"},
    ],
}
DISAGGREGATED = {
    "model": {"id": "m", "source": "CUSTOM"},
    "engine": {"type": "TRTLLM"},
    "mode": "DISAGGREGATED",
    "prefill": {"replicas": 2, "gpu": {"count": 1}, "memory": "16Gi"},
    "decode": {"replicas": 3, "gpu": {"count": 2, "type": "nvidia.com/gpu"}},
}
DISAGGREGATED_SPEC = {
    "model": {"id": "m", "source": "custom"},
    "engine": {"type": "trtllm", "enablePrefixCaching": True},
    "serving": {"mode": "disaggregated"},
    "scaling": {
        "replicas": 1,  # the cluster's default
        "prefill": {
            "replicas": 2,
            "gpu": {"count": 1, "type": "nvidia.com/gpu"},
            "memory": "16Gi",
        },
        "decode": {"replicas": 3, "gpu": {"count": 2, "type": "nvidia.com/gpu"}},
    },
}


@pytest.mark.parametrize(
    ("wanted", "spec"), [(AGGREGATED, AGGREGATED_SPEC), (DISAGGREGATED, DISAGGREGATED_SPEC)]
)
async def test_all_of_the_input_arrives_field_by_field(
    world: World, wanted: Mapping[str, Any], spec: Mapping[str, Any]
) -> None:
    created = await world.hub.data(world.admin, CREATE, {"input": {**TARGET, **wanted}})
    kept = world.east.get(MODELS, "ml-team", "llama")
    assert kept["spec"] == spec
    hubs_own = {"app.kubernetes.io/managed-by": "kubeairunway-hub"}
    given = {label["key"]: label["value"] for label in wanted.get("labels", [])}
    assert kept["metadata"]["labels"] == given | hubs_own
    assert kept["metadata"]["annotations"] == {"hub.airunway.ai/created-by": "admin"}
    labels = [{"key": key, "value": value} for key, value in sorted((given | hubs_own).items())]
    assert created["createDeployment"] == {
        "warnings": [],
        "deployment": {
            "id": "east/ml-team/llama",
            "uid": kept["metadata"]["uid"],
            "phase": "PENDING",
            "createdByName": "admin",
            "labels": labels,
        },
    }
    deployment = await found(world)
    assert deployment["mode"] == wanted["mode"]
    assert deployment["gpuCount"] == (0 if wanted is AGGREGATED else 2 * 1 + 3 * 2)


async def test_nulls_are_as_if_left_out(world: World) -> None:
    wanted: dict[str, Any] = {key: None for key in AGGREGATED if key != "model"}
    wanted |= {"model": {"id": "m", "source": None, "volumes": None}, "prefill": None, "decode": None}
    await world.hub.data(world.admin, CREATE, {"input": {**TARGET, **wanted}})
    spec = world.east.get(MODELS, "ml-team", "llama")["spec"]
    assert spec["model"] == {"id": "m"}
    assert spec.keys() <= {
        "model",
        "engine",
        "scaling",
        "resources",
    }  # the last three by the cluster's defaults


IMPOSSIBLE: Mapping[str, tuple[Mapping[str, Any], list[str]]] = {
    "negative replicas": ({"replicas": -1}, ["replicas"]),
    "negative GPUs": ({"resources": {"gpu": {"count": -1}}}, ["resources.gpu.count"]),
    "no context": ({"engine": {"contextLength": 0}}, ["engine.contextLength"]),
    "prefill without its mode": ({"prefill": {"replicas": 1, "gpu": {"count": 1}}}, ["prefill"]),
    "a mode without its roles": ({"mode": "DISAGGREGATED"}, ["prefill", "decode"]),
    "roles without GPUs": (
        {
            "mode": "DISAGGREGATED",
            "prefill": {"replicas": 1, "gpu": {"count": 0}},
            "decode": {"replicas": 1, "gpu": {"count": 0}},
        },
        ["prefill.gpu.count", "decode.gpu.count"],
    ),
    "a repeated variable": (
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        ["env.1.name"],
    ),
    "the hub's own label": (
        {"labels": [{"key": "app.kubernetes.io/managed-by", "value": "me"}]},
        ["labels.0.key"],
    ),
    "nine volumes": (
        {"model": {"id": "m", "volumes": [{"name": f"v{number}"} for number in range(9)]}},
        ["model.volumes"],
    ),
    "several at once": (
        {"replicas": -1, "huggingFaceTokenSecret": "A"},
        ["huggingFaceTokenSecret", "replicas"],
    ),
}


@pytest.mark.parametrize(("wrong", "paths"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_what_no_cluster_could_take_is_refused_with_its_paths(
    shared_world: World, wrong: Mapping[str, Any], paths: list[str]
) -> None:
    wanted = {**TARGET, "model": {"id": "m"}, **wrong}
    error = error_of(await shared_world.hub.ask(shared_world.admin, CREATE, {"input": wanted}))
    assert error["code"] == "BAD_USER_INPUT"
    assert [field["path"] for field in error["fields"]] == paths
    assert all(field["message"] for field in error["fields"])
    assert shared_world.east.requests.get("create modeldeployments", 0) == 0


async def test_a_dry_run_keeps_nothing(world: World) -> None:
    wanted = {**TARGET, "model": {"id": "m"}, "dryRun": True}
    created = await world.hub.data(world.admin, CREATE, {"input": wanted})
    assert created["createDeployment"]["deployment"]["id"] == "east/ml-team/llama"
    assert world.east.objects(MODELS) == []
    world.east.apply(model_deployment("llama"))
    await until_ids(world, "east/ml-team/llama")
    deleted = await world.hub.data(world.admin, DELETE, {"input": {**TARGET, "dryRun": True}})
    assert deleted["deleteDeployment"]["deployment"]["phase"] == "PENDING"
    assert "deletionTimestamp" not in world.east.get(MODELS, "ml-team", "llama")["metadata"]
    # A dry run is judged like the real thing.
    error = error_of(await world.hub.ask(world.admin, CREATE, {"input": wanted}))
    assert error["code"] == "CONFLICT"
    missing = {**TARGET, "name": "missing", "dryRun": True}
    assert error_of(await world.hub.ask(world.admin, DELETE, {"input": missing}))["code"] == "NOT_FOUND"


async def test_the_clusters_refusals_reach_the_person(world: World) -> None:
    wanted = {**TARGET, "model": {"id": "m"}}
    await world.hub.data(world.admin, CREATE, {"input": wanted})
    error = error_of(await world.hub.ask(world.admin, CREATE, {"input": wanted}))
    assert (error["code"], error["status"], error["reason"]) == ("CONFLICT", 409, "AlreadyExists")
    assert 'llama" already exists' in error["message"]

    error = error_of(await world.hub.ask(world.admin, CREATE, {"input": {**wanted, "model": {"id": ""}}}))
    assert (error["code"], error["status"], error["reason"]) == ("KUBERNETES_ERROR", 422, "Invalid")
    assert [cause["field"] for cause in error["causes"]] == ["spec.model.id"]
    assert error["causes"][0]["message"] in error["message"]

    error = error_of(await world.hub.ask(world.admin, CREATE, {"input": {**wanted, "namespace": "nowhere"}}))
    assert error["code"] == "NOT_FOUND"

    for status in (401, 403, 429, 500, 503):
        fault = world.east.faults.inject(Refuse(verbs=frozenset({Verb.CREATE}), status=status))
        error = error_of(await world.hub.ask(world.admin, CREATE, {"input": {**wanted, "name": "other"}}))
        assert (error["code"], error["status"]) == ("KUBERNETES_ERROR", status)
        fault.clear()
    assert [each["metadata"]["name"] for each in world.east.objects(MODELS)] == ["llama"]


async def test_a_mutation_returns_when_the_store_shows_it(world: World) -> None:
    """What was just created is in the next answer, and what was just deleted isn't."""
    for number in range(10):
        target = {**TARGET, "name": f"m-{number}"}
        created = await world.hub.data(world.admin, CREATE, {"input": {**target, "model": {"id": "m"}}})
        deployment = await found(world, name=target["name"])
        assert deployment["uid"] == created["createDeployment"]["deployment"]["uid"]
        await world.hub.data(world.admin, DELETE, {"input": target})
        assert await found(world, name=target["name"]) is None


async def test_a_mutation_waits_no_longer_than_a_second_or_so(world: World) -> None:
    world.east.faults.inject(Silence(resource="modeldeployments"))
    began = asyncio.get_running_loop().time()
    created = await world.hub.data(world.admin, CREATE, {"input": {**TARGET, "model": {"id": "m"}}})
    assert 0.9 < asyncio.get_running_loop().time() - began < 4
    assert created["createDeployment"]["deployment"]["phase"] == "PENDING"
    assert await found(world) is None  # one writer per store: the watch, which says nothing yet
    world.east.faults.clear()
    await until_ids(world, "east/ml-team/llama")


# ------------------------------------------------------------------ deleting


async def test_a_deletion_of_another_object_than_meant_is_a_conflict(world: World) -> None:
    uid = world.east.apply(model_deployment("llama"))["metadata"]["uid"]
    await until_ids(world, "east/ml-team/llama")
    error = error_of(await world.hub.ask(world.admin, DELETE, {"input": {**TARGET, "uid": "another"}}))
    assert (error["code"], error["status"]) == ("CONFLICT", 409)
    assert [each["metadata"]["uid"] for each in world.east.objects(MODELS)] == [uid]
    deleted = await world.hub.data(world.admin, DELETE, {"input": {**TARGET, "uid": uid}})
    assert deleted["deleteDeployment"] == {
        "deletedDeploymentId": "east/ml-team/llama",
        "deployment": {"uid": uid, "phase": "PENDING"},
    }
    assert world.east.objects(MODELS) == []


async def test_a_deletion_that_waits_for_its_provider_shows_terminating(world: World) -> None:
    body = model_deployment("llama")
    body["metadata"]["finalizers"] = ["airunway.ai/provider"]
    uid = world.east.apply(body)["metadata"]["uid"]
    await until_ids(world, "east/ml-team/llama")
    for _ in range(2):  # asking again changes nothing
        deleted = await world.hub.data(world.admin, DELETE, {"input": TARGET})
        assert deleted["deleteDeployment"]["deployment"] == {"uid": uid, "phase": "TERMINATING"}
    assert (await found(world))["phase"] == "TERMINATING"
    world.east.patch(MODELS, "ml-team", "llama", {"metadata": {"finalizers": None}})
    await until_ids(world)
