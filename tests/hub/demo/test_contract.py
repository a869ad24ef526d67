"""What the hub relies on, asked of the simulated API server and of a real one alike."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from hub.demo.cluster import SimulatedCluster
from tests.support.apiserver import ApiServer
from tests.support.kubectl import Kubectl, Refused, deployments, model_deployment
from tests.support.waiting import until

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClusterUnderTest:
    """A cluster with the CRDs of airunway.ai, and a namespace of the test's own."""

    kubectl: Kubectl
    namespace: str
    limited_token: Callable[[str], Awaitable[str]]
    """A token whose rights end at a namespace."""

    @property
    def path(self) -> str:
        return deployments(self.namespace)

    async def create(self, name: str, *, metadata: Mapping[str, Any] | None = None, **spec: Any) -> Json:
        manifest = model_deployment(name, **spec)
        manifest["metadata"] |= metadata or {}
        return await self.kubectl.post(self.path, manifest)

    async def version(self) -> str:
        """That of the newest list."""
        return str((await self.kubectl.get(self.path))["metadata"]["resourceVersion"])

    async def watch(self, version: str, **params: str) -> list[Json]:
        return await self.kubectl.watch(self.path, seconds=1, resourceVersion=version, **params)


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.envtest)])
def server(request: pytest.FixtureRequest) -> SimulatedCluster | ApiServer:
    name = "simulated_cluster" if request.param == "simulated" else "api_server"
    started: SimulatedCluster | ApiServer = request.getfixturevalue(name)
    return started


@pytest.fixture
async def cluster(server: SimulatedCluster | ApiServer) -> AsyncIterator[ClusterUnderTest]:
    if isinstance(server, ApiServer):
        kubectl = server.kubectl
        namespace = await kubectl.create_namespace()
        yield ClusterUnderTest(kubectl=kubectl, namespace=namespace, limited_token=kubectl.limited_token)
        return
    simulated = server

    async def limited_token(namespace: str) -> str:
        return simulated.tokens.issue(namespaces=frozenset({namespace}))

    async with aiohttp.ClientSession() as session:
        kubectl = Kubectl(session=session, url=simulated.url, token=simulated.token)
        namespace = await kubectl.create_namespace()
        yield ClusterUnderTest(kubectl=kubectl, namespace=namespace, limited_token=limited_token)


def names(items: list[Json]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def changes(events: list[Json]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def causes(refusal: Refused) -> list[tuple[str, str]]:
    return [(cause["field"], cause["reason"]) for cause in refusal.body["details"]["causes"]]


async def test_pages_show_one_version_whatever_happens_meanwhile(cluster: ClusterUnderTest) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await cluster.create(name)
    first = await cluster.kubectl.get(cluster.path, limit="2")
    assert names(first["items"]) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await cluster.kubectl.delete(deployments(cluster.namespace, "c"))
    await cluster.create("bb")
    await cluster.kubectl.patch(deployments(cluster.namespace, "d"), {"spec": {"scaling": {"replicas": 4}}})
    second = await cluster.kubectl.get(cluster.path, limit="2", **{"continue": first["metadata"]["continue"]})
    third = await cluster.kubectl.get(cluster.path, limit="2", **{"continue": second["metadata"]["continue"]})
    assert names(second["items"] + third["items"]) == ["c", "d", "e"]
    assert "scaling" not in second["items"][1]["spec"]
    assert third["metadata"]["continue"] == ""
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_broken_continue_token_is_a_bad_request(cluster: ClusterUnderTest) -> None:
    with pytest.raises(Refused, match="400"):
        await cluster.kubectl.get(cluster.path, limit="1", **{"continue": "broken"})


async def test_a_watch_tells_what_came_after_its_version(cluster: ClusterUnderTest) -> None:
    await cluster.create("before")
    version = await cluster.version()
    await cluster.create("after", resources={"gpu": {"count": 1}})
    await cluster.kubectl.patch(
        deployments(cluster.namespace, "after"), {"spec": {"scaling": {"replicas": 2}}}
    )
    await cluster.kubectl.delete(deployments(cluster.namespace, "after"))
    events = await cluster.watch(version)
    assert changes(events) == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "after")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert int(version) < versions[0] < versions[1] < versions[2]
    assert events[2]["object"]["spec"]["scaling"] == {"replicas": 2}


@pytest.mark.parametrize("version", [{}, {"resourceVersion": "0"}])
async def test_a_watch_from_nowhere_begins_with_what_is_there(
    cluster: ClusterUnderTest, version: dict[str, str]
) -> None:
    await cluster.create("a")
    await cluster.create("b")
    events = await cluster.kubectl.watch(cluster.path, seconds=1, **version)
    assert sorted(changes(events)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_is_live_and_of_its_namespace(cluster: ClusterUnderTest) -> None:
    elsewhere = await cluster.kubectl.create_namespace()
    version = await cluster.version()
    watching = asyncio.create_task(cluster.watch(version, timeoutSeconds="2"))
    await cluster.kubectl.post(deployments(elsewhere), model_deployment("foreign"))
    await cluster.create("own")
    assert changes(await watching) == [("ADDED", "own")]


async def test_a_version_that_is_forgotten_is_gone(cluster: ClusterUnderTest) -> None:
    (event,) = await cluster.watch("1")
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_bookmarks_say_how_far_the_watch_is(cluster: ClusterUnderTest) -> None:
    """Slow (5 s): regular bookmarks come about every minute, a last one two seconds before the end."""
    elsewhere = await cluster.kubectl.create_namespace()
    version = await cluster.version()
    async with stream(cluster.kubectl, cluster.path, version, seconds=5) as lines:
        foreign = await cluster.kubectl.post(deployments(elsewhere), model_deployment("foreign"))
        events = [json.loads(line) async for line in lines]
    assert {event["type"] for event in events} == {"BOOKMARK"}
    assert events[-1]["object"]["kind"] == "ModelDeployment"
    reached = events[-1]["object"]["metadata"]["resourceVersion"]
    assert int(reached) >= int(foreign["metadata"]["resourceVersion"])
    await cluster.create("later")
    assert changes(await cluster.watch(reached)) == [("ADDED", "later")]


async def test_an_object_is_completed_when_created(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama", resources={"gpu": {"count": 1}})
    metadata = created["metadata"]
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == cluster.namespace
    assert created["spec"]["engine"]["enablePrefixCaching"] is True
    assert created["spec"]["resources"]["gpu"]["type"] == "nvidia.com/gpu"


async def test_a_name_is_generated_on_wish(cluster: ClusterUnderTest) -> None:
    manifest = model_deployment("ignored") | {"metadata": {"generateName": "llama-"}}
    name = (await cluster.kubectl.post(cluster.path, manifest))["metadata"]["name"]
    assert name.startswith("llama-")
    assert len(name) == len("llama-") + 5


async def test_a_taken_name_is_a_conflict(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama")
    with pytest.raises(Refused) as refused:
        await cluster.create("llama")
    assert (refused.value.status, refused.value.body["reason"]) == (409, "AlreadyExists")
    assert refused.value.body["message"] == 'modeldeployments.airunway.ai "llama" already exists'


async def test_an_unknown_namespace_is_not_found(cluster: ClusterUnderTest) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.post(deployments("nowhere"), model_deployment("llama"))
    assert (refused.value.status, refused.value.body["reason"]) == (404, "NotFound")
    assert 'namespaces "nowhere" not found' in refused.value.body["message"]


async def test_an_unknown_object_is_not_found(cluster: ClusterUnderTest) -> None:
    path = deployments(cluster.namespace, "nothing")
    for request in (cluster.kubectl.get(path), cluster.kubectl.delete(path), cluster.kubectl.patch(path, {})):
        with pytest.raises(Refused) as refused:
            await request
        assert refused.value.status == 404
        assert refused.value.body["message"] == 'modeldeployments.airunway.ai "nothing" not found'


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"model": {}}, ("spec.model.id", "FieldValueRequired")),
        ({"engine": {"type": "onnx"}}, ("spec.engine.type", "FieldValueNotSupported")),
        ({"scaling": {"replicas": -1}}, ("spec.scaling.replicas", "FieldValueInvalid")),
        ({"scaling": {"replicas": "two"}}, ("spec.scaling.replicas", "FieldValueTypeInvalid")),
        (
            {"serving": {"mode": "disaggregated"}, "scaling": {"prefill": {"gpu": {"count": 1}}}},
            ("spec.scaling", "FieldValueRequired"),
        ),
        (
            {
                "serving": {"mode": "disaggregated"},
                "resources": {"gpu": {"count": 1}},
                "scaling": {"prefill": {"gpu": {"count": 1}}, "decode": {"gpu": {"count": 1}}},
            },
            ("spec.resources.gpu", "FieldValueForbidden"),
        ),
    ],
)
async def test_a_bad_specification_is_invalid(
    cluster: ClusterUnderTest, spec: Json, expected: tuple[str, str]
) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.create("bad", **spec)
    assert (refused.value.status, refused.value.body["reason"]) == (422, "Invalid")
    assert expected in causes(refused.value)
    assert refused.value.body["message"].startswith('ModelDeployment.airunway.ai "bad" is invalid: ')


async def test_a_bad_name_is_invalid(cluster: ClusterUnderTest) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.create("Not_A_Name")
    assert ("metadata.name", "FieldValueInvalid") in causes(refused.value)


async def test_what_is_immutable_stays(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama")
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.patch(
            deployments(cluster.namespace, "llama"), {"spec": {"model": {"id": "another/model"}}}
        )
    assert ("spec.model.id", "FieldValueForbidden") in causes(refused.value)
    assert "immutable" in refused.value.body["message"]


async def test_another_kind_is_invalid(cluster: ClusterUnderTest) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.post(cluster.path, model_deployment("llama") | {"kind": "Deployment"})
    assert causes(refused.value) == [("kind", "FieldValueInvalid")]


async def test_nothing_in_metadata_is_null(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama", metadata={"annotations": None, "labels": None})
    assert not {"annotations", "labels"} & created["metadata"].keys()


async def test_an_unknown_field_is_dropped_with_a_warning(cluster: ClusterUnderTest) -> None:
    kubectl, manifest = cluster.kubectl, model_deployment("llama", replicas=2)
    headers = {"Authorization": f"Bearer {kubectl.token}"}
    url = kubectl.url + cluster.path
    async with kubectl.session.post(url, json=manifest, headers=headers) as answer:
        assert answer.headers["Warning"] == '299 - "unknown field \\"spec.replicas\\""'
        assert "replicas" not in (await answer.json())["spec"]
    with pytest.raises(Refused) as refused:
        await kubectl.post(cluster.path, manifest, fieldValidation="Strict")
    assert refused.value.status == 400
    assert 'unknown field "spec.replicas"' in refused.value.body["message"]


async def test_a_dry_run_leaves_nothing(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama")
    version, path = await cluster.version(), deployments(cluster.namespace, "llama")
    created = await cluster.kubectl.post(cluster.path, model_deployment("dry"), dryRun="All")
    patched = await cluster.kubectl.patch(path, {"spec": {"scaling": {"replicas": 3}}}, dryRun="All")
    await cluster.kubectl.delete(path, dryRun="All")
    assert created["metadata"]["uid"]
    assert patched["spec"]["scaling"]["replicas"] == 3
    assert await cluster.watch(version) == []
    with pytest.raises(Refused, match="409"):
        await cluster.kubectl.post(cluster.path, model_deployment("llama"), dryRun="All")


async def test_specification_and_status_are_written_apart(cluster: ClusterUnderTest) -> None:
    manifest = model_deployment("llama") | {"status": {"phase": "Running"}}
    assert "status" not in await cluster.kubectl.post(cluster.path, manifest)
    path = deployments(cluster.namespace, "llama")
    both = {"spec": {"scaling": {"replicas": 2}}, "status": {"phase": "Deploying"}}
    reported = await cluster.kubectl.patch(f"{path}/status", both)
    assert reported["status"] == {"phase": "Deploying"}
    assert "scaling" not in reported["spec"]
    assert reported["metadata"]["generation"] == 1
    scaled = await cluster.kubectl.patch(path, both | {"status": {"phase": "Failed"}})
    assert scaled["status"] == {"phase": "Deploying"}
    assert scaled["metadata"]["generation"] == 2


async def test_a_change_of_metadata_alone_keeps_the_generation(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama")
    path = deployments(cluster.namespace, "llama")
    labelled = await cluster.kubectl.patch(path, {"metadata": {"labels": {"team": "ml"}}})
    assert labelled["metadata"]["generation"] == 1
    assert labelled["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    again = await cluster.kubectl.patch(path, {"metadata": {"labels": {"team": "ml"}}})
    assert again["metadata"]["resourceVersion"] == labelled["metadata"]["resourceVersion"]


async def test_a_replacement_needs_the_newest_version(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama")
    path = deployments(cluster.namespace, "llama")
    await cluster.kubectl.patch(path, {"spec": {"scaling": {"replicas": 2}}})
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.request("PUT", path, params={}, body=created)
    assert (refused.value.status, refused.value.body["reason"]) == (409, "Conflict")
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.patch(
            path, {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}
        )
    assert refused.value.status == 409
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.request("PUT", path, params={}, body=model_deployment("llama"))
    assert causes(refused.value) == [("metadata.resourceVersion", "FieldValueInvalid")]


async def test_a_json_patch_is_applied_or_refused(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama", scaling={"replicas": 1})
    path = deployments(cluster.namespace, "llama")

    async def patch(operations: list[Json]) -> Json:
        kind = "application/json-patch+json"
        body: Any = operations
        text = await cluster.kubectl.request("PATCH", path, params={}, body=body, content_type=kind)
        answer: Json = json.loads(text)
        return answer

    patched = await patch([{"op": "replace", "path": "/spec/scaling/replicas", "value": 5}])
    assert patched["spec"]["scaling"]["replicas"] == 5
    with pytest.raises(Refused, match="422"):
        await patch([{"op": "test", "path": "/spec/scaling/replicas", "value": 1}])


async def test_an_unknown_kind_of_patch_is_refused(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama")
    kind, path = "application/strategic-merge-patch+json", deployments(cluster.namespace, "llama")
    with pytest.raises(Refused, match="415"):
        await cluster.kubectl.request("PATCH", path, params={}, body={}, content_type=kind)


async def test_finalizers_hold_a_deletion(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama", metadata={"finalizers": ["airunway.ai/cleanup"]})
    version, path = await cluster.version(), deployments(cluster.namespace, "llama")
    marked = await cluster.kubectl.delete(path)
    assert marked["kind"] == "ModelDeployment"
    assert marked["metadata"]["deletionTimestamp"]
    await cluster.kubectl.delete(path)
    await cluster.kubectl.patch(path, {"metadata": {"finalizers": None}})
    with pytest.raises(Refused, match="404"):
        await cluster.kubectl.get(path)
    assert changes(await cluster.watch(version)) == [("MODIFIED", "llama"), ("DELETED", "llama")]


async def test_a_deletion_without_finalizers_is_a_success(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama")
    answer = await cluster.kubectl.delete(deployments(cluster.namespace, "llama"))
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"]["uid"] == created["metadata"]["uid"]


async def test_a_deletion_of_another_uid_is_a_conflict(cluster: ClusterUnderTest) -> None:
    created = await cluster.create("llama")
    path = deployments(cluster.namespace, "llama")
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.request(
            "DELETE", path, params={}, body={"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
        )
    assert (refused.value.status, refused.value.body["reason"]) == (409, "Conflict")
    own = {"preconditions": {"uid": created["metadata"]["uid"]}}
    await cluster.kubectl.request("DELETE", path, params={}, body=own)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("team=ml", ["a"]),
        ("team!=ml", ["b", "c"]),
        ("team in (ml, ops)", ["a", "b"]),
        ("team notin (ml),team", ["b"]),
        ("!team", ["c"]),
    ],
)
async def test_label_selectors(cluster: ClusterUnderTest, selector: str, expected: list[str]) -> None:
    await cluster.create("a", metadata={"labels": {"team": "ml"}})
    await cluster.create("b", metadata={"labels": {"team": "ops"}})
    await cluster.create("c")
    found = await cluster.kubectl.get(cluster.path, labelSelector=selector)
    assert names(found["items"]) == expected


async def test_a_watch_tells_what_enters_and_leaves_its_selection(cluster: ClusterUnderTest) -> None:
    path = deployments(cluster.namespace, "llama")
    version = await cluster.version()
    await cluster.create("llama")
    await cluster.kubectl.patch(path, {"metadata": {"labels": {"team": "ml"}}})
    await cluster.kubectl.patch(path, {"metadata": {"labels": {"tier": "1"}}})
    await cluster.kubectl.patch(path, {"metadata": {"labels": {"team": None}}})
    await cluster.kubectl.delete(path)
    events = await cluster.watch(version, labelSelector="team=ml")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]


async def test_field_selectors(cluster: ClusterUnderTest) -> None:
    await cluster.create("a")
    await cluster.create("b")
    found = await cluster.kubectl.get(cluster.path, fieldSelector="metadata.name=b")
    assert names(found["items"]) == ["b"]
    everywhere = f"metadata.namespace={cluster.namespace},metadata.name!=b"
    found = await cluster.kubectl.get(deployments(), fieldSelector=everywhere)
    assert names(found["items"]) == ["a"]
    with pytest.raises(Refused, match="400"):
        await cluster.kubectl.get(cluster.path, fieldSelector="spec.model.id=x")


async def test_pods_are_selected_by_node_and_phase(cluster: ClusterUnderTest) -> None:
    kubectl, node = cluster.kubectl, f"node-{cluster.namespace}"
    await kubectl.create_node(node)
    await kubectl.create_pod(cluster.namespace, "bound", labels={}, node=node)
    await kubectl.create_pod(cluster.namespace, "unbound", labels={})
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    await kubectl.patch(f"{pods}/bound/status", {"status": {"phase": "Running"}})
    for selector in (f"spec.nodeName={node}", "status.phase=Running"):
        assert names((await kubectl.get(pods, fieldSelector=selector))["items"]) == ["bound"]
    assert names((await kubectl.get(pods, fieldSelector="status.phase=Pending"))["items"]) == ["unbound"]


async def test_events_are_selected_by_type_and_object(cluster: ClusterUnderTest) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace}/events"
    for kind, pod in (("Warning", "a"), ("Normal", "a"), ("Warning", "b")):
        involved = {"kind": "Pod", "namespace": cluster.namespace, "name": pod}
        event = {"metadata": {"name": f"{pod}.{kind.lower()}"}, "type": kind, "involvedObject": involved}
        await cluster.kubectl.post(path, event | {"reason": "BackOff", "message": "Back-off restarting"})
    selector = "type=Warning,involvedObject.name=a"
    assert names((await cluster.kubectl.get(path, fieldSelector=selector))["items"]) == ["a.warning"]


async def test_a_limited_token_ends_at_its_namespace(cluster: ClusterUnderTest) -> None:
    await cluster.create("llama")
    limited = cluster.kubectl.with_token(await cluster.limited_token(cluster.namespace))
    assert names((await limited.get(cluster.path))["items"]) == ["llama"]
    for path in (deployments(), "/api/v1/nodes", deployments("default")):
        with pytest.raises(Refused) as refused:
            await limited.get(path)
        assert (refused.value.status, refused.value.body["reason"]) == (403, "Forbidden")
    with pytest.raises(Refused, match="at the cluster scope"):
        await limited.get(deployments())


async def test_an_unknown_token_is_unauthorized(cluster: ClusterUnderTest) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.kubectl.with_token("wrong").get(cluster.path)
    assert (refused.value.status, refused.value.body["reason"]) == (401, "Unauthorized")


async def test_a_type_is_served_while_its_crd_is_there(cluster: ClusterUnderTest) -> None:
    kubectl, group = cluster.kubectl, "kubefoundry.kubefoundry.ai"
    discovery = f"/apis/{group}/v1alpha1"
    await kubectl.install_crds(group)

    async def discovered() -> bool:
        served = {resource["name"] for resource in (await kubectl.get(discovery))["resources"]}
        return served >= {"modeldeployments", "modeldeployments/status", "inferenceproviderconfigs"}

    await until(discovered)
    path = deployments(cluster.namespace, group=group)
    created = await kubectl.post(path, model_deployment("llama", group=group))

    async def settled() -> bool:  # a type just installed answers a watch with 429
        return await _status(kubectl, f"{path}?watch=true&timeoutSeconds=1") != 429

    await until(settled, within=20)
    async with stream(kubectl, path, created["metadata"]["resourceVersion"]) as lines:
        await kubectl.delete_crds(group)
        events = [json.loads(line) async for line in lines]
    assert ("DELETED", "llama") in [
        (event["type"], event["object"]["metadata"].get("name")) for event in events
    ]

    async def unserved() -> bool:
        return await _status(kubectl, path) == 404

    await until(unserved, within=20)


@asynccontextmanager
async def stream(
    kubectl: Kubectl, path: str, version: str, *, seconds: int = 20
) -> AsyncIterator[aiohttp.StreamReader]:
    """A watch that has begun, with bookmarks."""
    params = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
    params["timeoutSeconds"] = str(seconds)
    headers = {"Authorization": f"Bearer {kubectl.token}"}
    async with kubectl.session.get(kubectl.url + path, params=params, headers=headers) as answer:
        assert answer.status == 200
        yield answer.content


async def _status(kubectl: Kubectl, path: str) -> int:
    headers = {"Authorization": f"Bearer {kubectl.token}"}
    async with kubectl.session.get(kubectl.url + path, headers=headers) as answer:
        return answer.status
