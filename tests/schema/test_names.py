"""Names that can't be one are refused before policy, on every field and transport, and reach no cluster."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from auth.permissions import Role
from tests.support.hub import GraphqlSocket
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

BAD = (
    "../../team-b/modeldeployments/x",
    "..",
    "%2e%2e",
    "%2e%2e%2fteam-b",
    "x/status",
    "x?dryRun=All",
    "x#",
    "x\\y",
    "Llama",
    "",
    " ",
    "-x",
    "x-",
    "x_y",
    "x\ny",
    "x\n",
    "x\x00",
    "模型",
    "ｘ",
)
TOO_LONG_FOR_A_LABEL, TOO_LONG = "x" * 64, ".".join(["x" * 50] * 5)

INSTANCE = "query ($id: ID!) { instance(id: $id) { id } }"
VIEWER_CAN = 'query ($namespace: String) { instance(id: "east") { viewerCan(namespace: $namespace) } }'
DEPLOYMENT = """query ($instanceId: ID!, $namespace: String!, $name: String!) {
  deployment(instanceId: $instanceId, namespace: $namespace, name: $name) { id } }"""
CREATE = """mutation ($input: CreateDeploymentInput!) {
  createDeployment(input: $input) { deployment { id } } }"""
DELETE = (
    "mutation ($input: DeleteDeploymentInput!) { deleteDeployment(input: $input) { deletedDeploymentId } }"
)
FOUND = {"instanceId": "east", "namespace": "ml-team", "name": "llama"}
NEW = {**FOUND, "name": "new", "model": {"id": "m"}}

Variables = Callable[[str], Mapping[str, Any]]
FIELDS: Mapping[str, tuple[str, str, Variables]] = {
    "instance": (INSTANCE, "id", lambda bad: {"id": bad}),
    "viewerCan": (VIEWER_CAN, "namespace", lambda bad: {"namespace": bad}),
    "deployment on": (DEPLOYMENT, "instanceId", lambda bad: {**FOUND, "instanceId": bad}),
    "deployment in": (DEPLOYMENT, "namespace", lambda bad: {**FOUND, "namespace": bad}),
    "deployment": (DEPLOYMENT, "name", lambda bad: {**FOUND, "name": bad}),
    "create on": (CREATE, "instanceId", lambda bad: {"input": {**NEW, "instanceId": bad}}),
    "create in": (CREATE, "namespace", lambda bad: {"input": {**NEW, "namespace": bad}}),
    "create": (CREATE, "name", lambda bad: {"input": {**NEW, "name": bad}}),
    "create with a secret": (
        CREATE,
        "huggingFaceTokenSecret",
        lambda bad: {"input": {**NEW, "huggingFaceTokenSecret": bad}},
    ),
    "create with a volume": (
        CREATE,
        "model.volumes.0.name",
        lambda bad: {"input": {**NEW, "model": {"id": "m", "volumes": [{"name": bad}]}}},
    ),
    "create with a claim": (
        CREATE,
        "model.volumes.1.claimName",
        lambda bad: {
            "input": {
                **NEW,
                "model": {"id": "m", "volumes": [{"name": "a"}, {"name": "b", "claimName": bad}]},
            }
        },
    ),
    "delete on": (DELETE, "instanceId", lambda bad: {"input": {**FOUND, "instanceId": bad}}),
    "delete in": (DELETE, "namespace", lambda bad: {"input": {**FOUND, "namespace": bad}}),
    "delete": (DELETE, "name", lambda bad: {"input": {**FOUND, "name": bad}}),
}
"""Every argument that names something in a cluster: how to ask, the path in the answer, the variables."""
LABELS = ("id", "instanceId", "namespace", "model.volumes.0.name")
"""Paths of DNS labels; the others are subdomains."""


def bad_for(path: str) -> tuple[str, ...]:
    return (*BAD, TOO_LONG, *((TOO_LONG_FOR_A_LABEL, "x.y") if path in LABELS else ()))


@pytest.fixture(scope="module")
async def named_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hub")) as world:
        world.east.apply(model_deployment("llama"))
        await until_ids(world, "east/ml-team/llama")
        yield world


def written(world: World) -> dict[str, int]:
    """Requests that came for deployments, other than the hub's own: lists, watches, which cluster it is."""
    return {
        what: count
        for cluster in (world.east, world.west)
        for what, count in cluster.requests.items()
        if not what.startswith(("list", "watch", "discover", "review")) and what != "get namespaces"
    }


def paths(answer: Mapping[str, Any]) -> list[str]:
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT", error
    return [field["path"] for field in error["extensions"]["fields"]]


@pytest.mark.parametrize("field", FIELDS)
async def test_a_bad_name_is_refused_with_its_path(named_world: World, field: str) -> None:
    query, path, variables = FIELDS[field]
    before = written(named_world)
    async with named_world.hub.socket(named_world.admin) as socket:
        for bad in bad_for(path):
            over_http = await named_world.hub.ask(named_world.admin, query, variables(bad))
            assert paths(over_http) == [path], bad
            over_websocket = await asked(socket, query, variables(bad))
            assert paths(over_websocket) == [path], bad
    assert written(named_world) == before


async def asked(socket: GraphqlSocket, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """The whole answer, over WebSocket."""
    await socket.subscribe(query, variables)
    answer: Mapping[str, Any] = (await socket.receive())["payload"]
    assert (await socket.receive())["type"] == "complete"
    return answer


async def test_all_bad_names_of_a_place_are_told_at_once(named_world: World) -> None:
    answer = await named_world.hub.ask(
        named_world.admin, DEPLOYMENT, {"instanceId": "A", "namespace": "B", "name": "C"}
    )
    assert paths(answer) == ["instanceId", "namespace", "name"]


@pytest.mark.parametrize("field", ["create", "create in", "create with a secret", "delete", "delete on"])
async def test_names_come_before_policy(named_world: World, field: str) -> None:
    """Whoever lacks the right is told of the name, so that nothing depends on the policy reading it well."""
    query, path, variables = FIELDS[field]
    for person, role in (("viewer", Role.VIEWER), ("nobody", None)):
        token = await named_world.hub.token(person, role)
        assert paths(await named_world.hub.ask(token, query, variables("../x"))) == [path]


@pytest.mark.parametrize(
    "body",
    [rb'{"query": "{ hub { mode } }", "variables": {"x": "\ud800"}}', b'"\xff"', b"[" * 50_000, b"NaN"],
)
async def test_what_is_no_text_is_no_request(named_world: World, body: bytes) -> None:
    headers = {"authorization": f"Bearer {named_world.admin}", "content-type": "application/json"}
    response = await named_world.hub.http.post("/graphql", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_stranger_is_told_nothing_about_names(named_world: World) -> None:
    for query, _, variables in FIELDS.values():
        answer = await named_world.hub.ask(None, query, variables("../x"))
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("bad", [*BAD, TOO_LONG])
async def test_what_only_chooses_among_known_things_finds_none(named_world: World, bad: str) -> None:
    """Ids and filters are compared, never sent anywhere."""
    before = written(named_world)
    query = """query ($id: ID!, $bad: String!, $several: [String!], $ids: [ID!]) {
      node(id: $id) { id }
      byId: deployments(filter: {ids: $ids}) { totalCount }
      byInstance: deployments(filter: {instanceIds: $ids}) { totalCount sources { instanceId } }
      byNamespace: deployments(filter: {namespaces: $several}) { totalCount }
      byProvider: deployments(filter: {providers: $several}) { totalCount }
      byModel: deployments(filter: {modelId: $bad}) { totalCount }
    }"""
    for identifier in (bad, f"east/{bad}/llama", f"east/ml-team/{bad}", f"{bad}/ml-team/llama"):
        found = await named_world.hub.data(
            named_world.admin, query, {"id": identifier, "bad": bad, "several": [bad], "ids": [bad]}
        )
        assert found == {
            "node": None,
            "byId": {"totalCount": 0},
            "byInstance": {"totalCount": 0, "sources": []},
            "byNamespace": {"totalCount": 0},
            "byProvider": {"totalCount": 0},
            "byModel": {"totalCount": 0},
        }
    assert written(named_world) == before


@pytest.mark.parametrize("stream", ["deploymentEvents", "deploymentChanges", "deploymentSummaryEvents"])
async def test_a_stream_of_a_bad_place_shows_nothing(named_world: World, stream: str) -> None:
    """Streams take places in filters alone: there is nothing to refuse, and nothing to see."""
    told = {"deploymentSummaryEvents": "total", "deploymentChanges": "events { type }"}.get(stream, "type")
    query = f"subscription ($filter: DeploymentFilter) {{ {stream}(filter: $filter) {{ {told} }} }}"
    async with named_world.hub.socket(named_world.admin) as socket:
        await socket.subscribe(query, {"filter": {"instanceIds": [*BAD], "namespaces": [*BAD]}})
        if stream == "deploymentSummaryEvents":
            assert await socket.next() == {"total": 0}
        await socket.is_quiet()
