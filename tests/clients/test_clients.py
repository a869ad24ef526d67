"""The clients that people use, over each transport, by bearer token and cookie: docs/clients.md's table."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.demo.resources import model_deployments
from hub.demo_users import ensure_demo_users
from tests.support.clients import (
    GET,
    HTTP,
    PERSISTED,
    SSE,
    WEBSOCKET,
    Credential,
    NextLine,
    Question,
    asking,
    needs_curl,
)
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"
CREDENTIALS = ("bearer", "cookie")
OPERATIONS = ("query", "mutation", "subscription")
NEEDS: Mapping[str, Sequence[pytest.MarkDecorator]] = {"curl": [needs_curl], "gql": []}
"""Tests of the others need Node.js."""


@dataclass(frozen=True)
class Row:
    """What a client does over a transport."""

    client: str
    transport: str
    operations: tuple[str, ...] = OPERATIONS


ANSWERS = ("query", "mutation")
ROWS = (
    Row("curl", HTTP, ANSWERS),
    Row("curl", GET, ("query",)),
    Row("curl", SSE),
    Row("fetch", HTTP, ANSWERS),
    Row("fetch", GET, ("query",)),
    Row("graphql-ws", WEBSOCKET),
    Row("graphql-sse", SSE),
    Row("urql", HTTP, ANSWERS),
    Row("urql", GET, ("query",)),
    Row("urql", PERSISTED, ("query",)),
    Row("urql", WEBSOCKET),
    Row("urql", SSE, ("subscription",)),
    Row("apollo", HTTP, ANSWERS),
    Row("apollo", GET, ("query",)),
    Row("apollo", PERSISTED, ANSWERS),
    Row("apollo", WEBSOCKET),
    Row("apollo", SSE),
    Row("gql", HTTP, ANSWERS),
    Row("gql", WEBSOCKET),
)
"""What is run. A row that docs/clients.md lacks fails, and so does one that it has too many."""

MODELS = model_deployments()
QUERY = """query Named($name: String!) {
  deployments(filter: { name: $name }) { nodes { id phase } }
}"""
MUTATION = """mutation Create($input: CreateDeploymentInput!) {
  createDeployment(input: $input) { deployment { id phase } }
}"""
SUBSCRIPTION = """subscription Follow($filter: DeploymentFilter!) {
  deploymentEvents(filter: $filter) { type instanceId deploymentId deployment { phase } }
}"""
RUNNING = {"status": {"phase": "Running", "replicas": {"desired": 1, "ready": 1, "available": 1}}}


@dataclass(frozen=True)
class Asker:
    """One client, over one transport, as one person."""

    row: Row
    credential: Credential
    world: World
    node: str

    def __call__(
        self, query: str, variables: Mapping[str, Any] | None = None
    ) -> AbstractAsyncContextManager[NextLine]:
        question = Question(
            port=self.world.hub.port,
            transport=self.row.transport,
            query=query,
            variables=variables,
            credential=self.credential,
        )
        return asking(self.row.client, question, node=self.node)


@pytest.fixture(scope="module")
async def demo_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """With the demo's people, so that cookies can be had, and a deployment on `east`."""
    async with a_world(tmp_path_factory.mktemp("world"), demo=True) as world:
        with world.hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        world.east.apply(model_deployment("llama"))
        await until_ids(world, "east/ml-team/llama")
        yield world


@pytest.fixture(params=CREDENTIALS)
async def credential(request: pytest.FixtureRequest, demo_world: World) -> Credential:
    if request.param == "bearer":
        return Credential(tokens=(demo_world.admin,))
    signed_in = await demo_world.hub.http.post("/api/auth/demo", json={"user": "deployer"})
    return Credential(cookie=signed_in.headers["set-cookie"].partition(";")[0])


@pytest.fixture
def asker(request: pytest.FixtureRequest, demo_world: World, credential: Credential) -> Asker:
    row: Row = request.param
    node = "" if row.client in NEEDS else request.getfixturevalue("node_clients")
    return Asker(row, credential, demo_world, node)


def each(operation: str) -> pytest.MarkDecorator:
    """A test for each client and transport that does this operation."""
    rows = [
        pytest.param(row, id=f"{row.client}-{row.transport}", marks=NEEDS.get(row.client, [pytest.mark.node]))
        for row in ROWS
        if operation in row.operations
    ]
    return pytest.mark.parametrize("asker", rows, indirect=True)


@each("query")
async def test_query(asker: Asker) -> None:
    async with asker(QUERY, {"name": "llam"}) as next_line:
        nodes = [{"id": "east/ml-team/llama", "phase": "PENDING"}]
        assert await next_line() == {"next": {"data": {"deployments": {"nodes": nodes}}}}


@pytest.mark.parametrize("credential", ["bearer"], indirect=True)
@each("query")
async def test_what_is_wrong_with_a_query_is_told_with_its_code(asker: Asker) -> None:
    async with asker("query Wrong { nothing }") as next_line:
        (error,) = (await next_line())["error"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "nothing" in error["message"]


@each("mutation")
async def test_mutation(asker: Asker) -> None:
    place = {"instanceId": "east", "namespace": "ml-team", "name": "new"}
    async with asker(MUTATION, {"input": {**place, "model": {"id": "m"}}}) as next_line:
        created = {"deployment": {"id": "east/ml-team/new", "phase": "PENDING"}}
        assert await next_line() == {"next": {"data": {"createDeployment": created}}}
    assert asker.world.east.get(MODELS, "ml-team", "new")["spec"]["model"]["id"] == "m"

    asker.world.east.delete(MODELS, "ml-team", "new")
    await until_ids(asker.world, "east/ml-team/llama")


@each("subscription")
async def test_subscription(asker: Asker) -> None:
    east = asker.world.east
    async with asker(SUBSCRIPTION, {"filter": {"instanceIds": ["east"]}}) as next_line:

        async def told() -> tuple[str, str | None, str | None]:
            event = (await next_line())["next"]["data"]["deploymentEvents"]
            assert event["instanceId"] == "east"
            return event["type"], event["deploymentId"], (event["deployment"] or {}).get("phase")

        assert await told() == ("ADDED", "east/ml-team/llama", "PENDING")
        assert await told() == ("SYNCED", None, None)
        east.apply(model_deployment("new"))
        assert await told() == ("ADDED", "east/ml-team/new", "PENDING")
        east.patch(MODELS, "ml-team", "new", RUNNING)
        assert await told() == ("MODIFIED", "east/ml-team/new", "RUNNING")
        east.delete(MODELS, "ml-team", "new")
        assert (await told())[:2] == ("DELETED", "east/ml-team/new")


def test_the_documents_table_is_what_is_run() -> None:
    expected = [
        (
            row.client,
            row.transport,
            *(", ".join(CREDENTIALS) if op in row.operations else "–" for op in OPERATIONS),
        )
        for row in ROWS
    ]
    table = DOCUMENT.read_text().partition("| client | transport | query |")[2].partition("\n\n")[0]
    rows = [tuple(cell.strip(" `") for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]
    assert rows == expected
