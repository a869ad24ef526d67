"""The clients that people use: npm's graphql-ws and Python's gql, by bearer token and by cookie."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from auth.sessions import LIFETIME, SessionTokens
from hub.demo.resources import model_deployments
from hub.demo_users import ensure_demo_users
from tests.support.hub import hub_settings
from tests.support.node import CLIENTS
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world, until_ids

MODELS = model_deployments()
EVENTS = "subscription { deploymentEvents { type instanceId deploymentId deployment { phase } } }"
CREATE = """mutation { createDeployment(input: {
  instanceId: "east", namespace: "ml-team", name: "new", model: {id: "m"} }) { deployment { id phase } } }"""
DELETE = """mutation { deleteDeployment(input: {
  instanceId: "east", namespace: "ml-team", name: "new" }) { deletedDeploymentId } }"""
RUNNING = {"status": {"phase": "Running", "replicas": {"desired": 1, "ready": 1, "available": 1}}}


@dataclass(frozen=True)
class Credential:
    token: str | None = None
    cookie: str | None = None


Next = Callable[[], Awaitable[Any]]
"""The data of the next message."""


@dataclass(frozen=True)
class GraphqlWs:
    """npm's graphql-ws, in a process for each operation."""

    node: str
    port: int

    @asynccontextmanager
    async def lines(
        self, query: str, *, tokens: list[str] | None = None, cookie: str | None = None
    ) -> AsyncIterator[Next]:
        """What the script prints."""
        url = f"ws://127.0.0.1:{self.port}/graphql"
        asked = json.dumps({"url": url, "tokens": tokens, "cookie": cookie, "query": query})
        process = await asyncio.create_subprocess_exec(
            self.node,
            str(CLIENTS / "follow.mjs"),
            asked,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        printed = process.stdout

        async def next_line() -> Any:
            async with asyncio.timeout(20):
                return json.loads(await printed.readline())

        try:
            yield next_line
        finally:
            process.stdin.close()
            async with asyncio.timeout(20):
                assert await process.wait() == 0

    @asynccontextmanager
    async def asking(self, query: str, credential: Credential) -> AsyncIterator[Next]:
        tokens = [credential.token] if credential.token else None
        async with self.lines(query, tokens=tokens, cookie=credential.cookie) as next_line:

            async def next_data() -> Any:
                line = await next_line()
                assert "errors" not in line["next"], line
                return line["next"]["data"]

            yield next_data


@dataclass(frozen=True)
class PythonGql:
    """Python's gql over its websockets transport."""

    port: int

    @asynccontextmanager
    async def asking(self, query: str, credential: Credential) -> AsyncIterator[Next]:
        transport = WebsocketsTransport(
            url=f"ws://127.0.0.1:{self.port}/graphql",
            init_payload={"authorization": f"Bearer {credential.token}"} if credential.token else {},
            headers={"Cookie": credential.cookie} if credential.cookie else None,
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
            connect_args={"proxy": None},
        )
        async with Client(transport=transport) as session:
            answers = session.subscribe(gql(query))

            async def next_data() -> Any:
                async with asyncio.timeout(20):
                    return await anext(answers)

            try:
                yield next_data
            finally:
                await answers.aclose()


Asking = Callable[[str, Credential], AbstractAsyncContextManager[Next]]


@pytest.fixture
async def demo_world(tmp_path: Path) -> AsyncIterator[World]:
    """With the demo's people, so that cookies can be had, and a deployment on each cluster."""
    async with a_world(tmp_path, demo=True) as world:
        with world.hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        world.east.apply(model_deployment("llama"))
        world.west.apply(model_deployment("phi"))
        await until_ids(world, "east/ml-team/llama", "west/ml-team/phi")
        yield world


@pytest.fixture(params=["bearer", "cookie"])
async def credential(request: pytest.FixtureRequest, demo_world: World) -> Credential:
    if request.param == "bearer":
        return Credential(token=demo_world.admin)
    signed_in = await demo_world.hub.http.post("/api/auth/demo", json={"user": "deployer"})
    return Credential(cookie=signed_in.headers["set-cookie"].partition(";")[0])


@pytest.fixture(params=["gql", pytest.param("graphql-ws", marks=pytest.mark.node)])
def asking(request: pytest.FixtureRequest, demo_world: World) -> Asking:
    if request.param == "gql":
        return PythonGql(demo_world.hub.port).asking
    return GraphqlWs(request.getfixturevalue("node_clients"), demo_world.hub.port).asking


def told(data: Mapping[str, Any]) -> tuple[str, str]:
    event = data["deploymentEvents"]
    return event["type"], event["deploymentId"] or event["instanceId"]


async def test_a_deployments_life_from_mutations_on_other_connections(
    demo_world: World, asking: Asking, credential: Credential
) -> None:
    async with asking(EVENTS, credential) as next_event:
        initial = [told(await next_event()) for _ in range(4)]
        for instance, deployment in (("east", "east/ml-team/llama"), ("west", "west/ml-team/phi")):
            assert initial.index(("ADDED", deployment)) < initial.index(("SYNCED", instance))

        async with asking(CREATE, credential) as next_answer:
            created = (await next_answer())["createDeployment"]["deployment"]
        assert created == {"id": "east/ml-team/new", "phase": "PENDING"}
        assert told(await next_event()) == ("ADDED", "east/ml-team/new")

        demo_world.east.patch(MODELS, "ml-team", "new", RUNNING)
        event = await next_event()
        assert told(event) == ("MODIFIED", "east/ml-team/new")
        assert event["deploymentEvents"]["deployment"] == {"phase": "RUNNING"}

        async with asking(DELETE, credential) as next_answer:
            assert await next_answer() == {"deleteDeployment": {"deletedDeploymentId": "east/ml-team/new"}}
        assert told(await next_event()) == ("DELETED", "east/ml-team/new")


@pytest.mark.node
async def test_graphql_ws_reads_our_close_codes_as_they_are_meant(
    demo_world: World, node_clients: str, tmp_path: Path
) -> None:
    client = GraphqlWs(node_clients, demo_world.hub.port)
    # 4401 is final.
    async with client.lines(EVENTS, tokens=["kah_bad", demo_world.admin]) as next_line:
        assert await next_line() == {"closed": 4401}
        assert (await next_line())["error"]["code"] == 4401

    # 4403 asks for a fresh token: the client comes back with one, and the stream begins anew.
    sessions = SessionTokens(keys=hub_settings(tmp_path).auth.key_ring())
    me = (await demo_world.hub.data(demo_world.admin, "{ viewer { id } }"))["viewer"]["id"]
    old = datetime.now(UTC) - LIFETIME - timedelta(minutes=1)
    expired = sessions.sign(user_id=me, session_id="ses_old", now=old)
    async with client.lines(EVENTS, tokens=[expired, demo_world.admin]) as next_line:
        assert await next_line() == {"closed": 4403}
        assert (await next_line())["next"]["data"]["deploymentEvents"]["type"] == "ADDED"


@pytest.mark.node
async def test_graphql_ws_reads_errors_of_an_operation(demo_world: World, node_clients: str) -> None:
    client = GraphqlWs(node_clients, demo_world.hub.port)
    async with client.lines("subscription { nothing }", tokens=[demo_world.admin]) as next_line:
        (error,) = (await next_line())["error"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    async with client.lines("{ hub { mode } }", tokens=[demo_world.admin]) as next_line:
        assert await next_line() == {"next": {"data": {"hub": {"mode": "DEMO"}}}}
        assert await next_line() == {"complete": True}
