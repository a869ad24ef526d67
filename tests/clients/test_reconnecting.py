"""What clients do when a connection ends: the close codes of WebSocket, and a hub that restarts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth.permissions import Role
from auth.sessions import LIFETIME, SessionTokens
from hub.demo.cluster import SimulatedCluster
from tests.support.clients import SSE, WEBSOCKET, Credential, NextLine, Question, asking
from tests.support.hub import hub_settings, running
from tests.support.instances import until_instance
from tests.support.simulation import model_deployment
from tests.support.surface import World, a_world

pytestmark = pytest.mark.node

EVENTS = "subscription Follow { deploymentEvents { type deploymentId } }"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


def question(port: int, *tokens: str, transport: str = WEBSOCKET, traced: bool = False) -> Question:
    credential = Credential(tokens=tokens)
    return Question(port=port, transport=transport, query=EVENTS, credential=credential, traced=traced)


async def until_synced(next_line: NextLine) -> list[str]:
    """The deployments that are added until the instance has synced; what else comes is skipped."""
    added: list[str] = []
    while True:
        line = await next_line()
        assert "error" not in line, line
        if "next" not in line:
            continue
        event = line["next"]["data"]["deploymentEvents"]
        if event["type"] == "SYNCED":
            return added
        if event["type"] == "ADDED":
            added.append(event["deploymentId"])


async def test_a_bad_credential_is_final(world: World, node_clients: str) -> None:
    asked = question(world.hub.port, "kah_bad", world.admin)
    async with asking("graphql-ws", asked, node=node_clients) as next_line:
        assert await next_line() == {"closed": 4401}
        assert (await next_line())["error"]["code"] == 4401


async def test_an_expired_session_token_asks_for_a_fresh_one(
    world: World, node_clients: str, tmp_path: Path
) -> None:
    sessions = SessionTokens(keys=hub_settings(tmp_path).auth.key_ring())
    me = (await world.hub.data(world.admin, "{ viewer { id } }"))["viewer"]["id"]
    old = datetime.now(UTC) - LIFETIME - timedelta(minutes=1)
    expired = sessions.sign(user_id=me, session_id="ses_old", now=old)
    asked = question(world.hub.port, expired, world.admin)
    async with asking("graphql-ws", asked, node=node_clients) as next_line:
        assert await next_line() == {"closed": 4403}
        assert (await next_line())["next"]["data"]["deploymentEvents"]["type"] == "SYNCED"


async def test_over_sse_a_refused_credential_is_shown_anew(world: World, node_clients: str) -> None:
    asked = question(world.hub.port, "kah_bad", world.admin, transport=SSE, traced=True)
    async with asking("graphql-sse", asked, node=node_clients) as next_line:
        statuses = [(await next_line())["fetched"]["status"] for _ in range(2)]
        assert statuses == [401, 200]
        assert (await next_line())["next"]["data"]["deploymentEvents"]["type"] == "SYNCED"


@pytest.mark.parametrize(
    ("client", "transport"),
    [
        ("graphql-ws", WEBSOCKET),
        ("urql", WEBSOCKET),
        ("apollo", WEBSOCKET),
        ("graphql-sse", SSE),
        ("apollo", SSE),
    ],
)
async def test_a_restarted_hub_is_found_again_and_the_stream_begins_anew(
    client: str, transport: str, tmp_path: Path, simulated_cluster: SimulatedCluster, node_clients: str
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    async with AsyncExitStack() as clients:
        async with running(tmp_path) as hub:
            token = await hub.token("admin", Role.ADMIN)
            simulated_cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
            await until_instance(hub, token, "east", status="CONNECTED")
            asked = question(hub.port, token, transport=transport)
            next_line = await clients.enter_async_context(asking(client, asked, node=node_clients))
            assert await until_synced(next_line) == ["east/ml-team/llama"]
        if transport == WEBSOCKET:
            assert await next_line() == {"closed": 1012}
        simulated_cluster.apply(model_deployment("phi"))
        async with running(tmp_path, port=hub.port):
            assert await until_synced(next_line) == ["east/ml-team/llama", "east/ml-team/phi"]
            await clients.aclose()
