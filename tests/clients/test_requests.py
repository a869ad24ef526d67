"""What clients put on the wire besides the operation: media types that they take, hashes of their queries."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.clients import HTTP, PERSISTED, Credential, Line, Question, asking
from tests.support.surface import World, a_world

pytestmark = pytest.mark.node

QUERY = "query Mode { hub { mode } }"
ANSWER = {"next": {"data": {"hub": {"mode": "HUB"}}}}


async def traced(world: World, client: str, transport: str, node: str) -> Sequence[Line]:
    """All that a client tells up to the answer to a query."""
    question = Question(
        port=world.hub.port,
        transport=transport,
        query=QUERY,
        credential=Credential(tokens=(world.admin,)),
        traced=True,
    )
    async with asking(client, question, node=node) as next_line:
        lines = [await next_line()]
        while "fetched" in lines[-1]:
            lines.append(await next_line())
    return lines


async def test_a_client_that_takes_streams_too_gets_json_for_a_query(
    tmp_path: Path, node_clients: str
) -> None:
    async with a_world(tmp_path) as world:
        fetched, answer = await traced(world, "urql", HTTP, node_clients)
    assert "text/event-stream" in fetched["fetched"]["accept"]
    assert fetched["fetched"]["contentType"].startswith("application/graphql-response+json")
    assert answer == ANSWER


@pytest.mark.parametrize("client", ["urql", "apollo"])
async def test_a_query_is_sent_once_and_its_hash_from_then_on(
    client: str, tmp_path: Path, node_clients: str
) -> None:
    async with a_world(tmp_path) as world:
        hash_alone, whole, answer = await traced(world, client, PERSISTED, node_clients)
        assert [hash_alone["fetched"]["query"], whole["fetched"]["query"]] == [False, True]
        assert answer == ANSWER
        # The second one is another process: the hub remembers, not the client.
        hash_alone, answer = await traced(world, client, PERSISTED, node_clients)
        assert (hash_alone["fetched"]["method"], hash_alone["fetched"]["query"]) == ("GET", False)
        assert answer == ANSWER
