"""Automatic persisted queries: by hand here, with Apollo Client and urql in tests/clients."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from graphql import GraphQLError

from resolvers.errors import BadInput
from schema.build import build_schema
from schema.documents import Documents
from schema.errors import PersistedQueryNotFound, format_error
from schema.messages import Operation
from schema.persisted import PersistedQueries
from tests.support.surface import World

MODE = "{ hub { mode } }"
SCHEMA = build_schema()


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def extensions(text: str, **changed: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest(text), **changed}}


def hashed(text: str) -> Operation:
    """Asked for by its hash alone."""
    return Operation("", {"a": 1}, "Q", extensions(text))


def whole(text: str) -> Operation:
    return Operation(text, {"a": 1}, "Q", extensions(text))


def store(size: int = 100_000) -> PersistedQueries:
    return PersistedQueries(Documents(SCHEMA), size=size)


def is_unknown(resolved: Operation | GraphQLError) -> bool:
    return isinstance(resolved, GraphQLError) and isinstance(resolved.original_error, PersistedQueryNotFound)


# ------------------------------------------------------------------ the store


def test_a_text_that_came_with_its_hash_is_found_by_it() -> None:
    persisted = store()
    assert is_unknown(persisted.resolve(hashed(MODE)))
    assert persisted.resolve(whole(MODE)) == whole(MODE)
    assert persisted.resolve(hashed(MODE)) == whole(MODE)


def test_what_has_no_hash_passes_as_it_is() -> None:
    persisted = store()
    for operation in (
        Operation(MODE),
        Operation(MODE, extensions={}),
        Operation(MODE, extensions={"cost": True}),
    ):
        assert persisted.resolve(operation) is operation
    assert is_unknown(persisted.resolve(hashed(MODE)))


def test_what_could_not_be_executed_is_not_kept() -> None:
    persisted = store()
    for text in ("{ nothing }", "{ hub {", "{ hub { mode } }" + " " * 100_000):
        assert persisted.resolve(whole(text)) == whole(text)  # its own errors are told when it is checked
        assert is_unknown(persisted.resolve(hashed(text)))


def test_what_was_not_asked_for_lately_makes_room() -> None:
    persisted = store(2_000)
    persisted.resolve(whole(MODE))
    for number in range(100):
        persisted.resolve(whole(f"{{ hub {{ mode version }} }} # {number}"))
        assert persisted.resolve(hashed(MODE)) == whole(MODE)
    assert is_unknown(persisted.resolve(hashed("{ hub { mode version } } # 0")))
    assert persisted.resolve(hashed("{ hub { mode version } } # 99")) != hashed(
        "{ hub { mode version } } # 99"
    )
    assert persisted._used <= 2_000


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"version": 1, "sha256Hash": digest("{ viewer { id } }")}, "extensions.persistedQuery.sha256Hash"),
        ({"version": 1, "sha256Hash": digest(MODE).upper()}, "extensions.persistedQuery.sha256Hash"),
        ({"version": 2, "sha256Hash": digest(MODE)}, "extensions.persistedQuery.version"),
        ({"version": "1", "sha256Hash": digest(MODE)}, "extensions.persistedQuery"),
        ({"sha256Hash": digest(MODE)}, "extensions.persistedQuery"),
        ({"version": 1}, "extensions.persistedQuery"),
        ({"version": 1, "sha256Hash": None}, "extensions.persistedQuery"),
        ("a hash", "extensions.persistedQuery"),
        ([], "extensions.persistedQuery"),
    ],
)
def test_what_is_wrong_with_the_hash_is_told(given: object, path: str) -> None:
    persisted = store()
    refused = persisted.resolve(Operation(MODE, extensions={"persistedQuery": given}))
    assert isinstance(refused, GraphQLError)
    assert isinstance(refused.original_error, BadInput)
    assert refused.original_error.problems[0][0] == path
    assert is_unknown(persisted.resolve(hashed(MODE)))


def test_the_words_that_clients_look_for() -> None:
    refused = store().resolve(hashed(MODE))
    assert isinstance(refused, GraphQLError)
    assert format_error(refused, "r") == {
        "message": "PersistedQueryNotFound",
        "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND", "requestId": "r"},
    }


# ------------------------------------------------------------------ on the wire

TYPED = "query Typed { viewer { id } }"


async def post(world: World, token: str | None, body: Mapping[str, Any]) -> Any:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    response = await world.hub.http.post("/graphql", json=body, headers=headers)
    assert response.status_code == 200
    return response.json()


async def get(world: World, token: str, asked: Mapping[str, Any]) -> Any:
    query = urlencode({name: json.dumps(value) for name, value in asked.items()})
    response = await world.hub.http.get(
        f"/graphql?{query}", headers={"authorization": f"Bearer {token}", "accept": "application/json"}
    )
    return response.json()


async def test_by_post_by_get_and_by_websocket(world: World) -> None:
    asked = {"extensions": extensions(TYPED)}
    unknown = (await post(world, world.admin, asked))["errors"][0]
    assert (unknown["message"], unknown["extensions"]["code"]) == (
        "PersistedQueryNotFound",
        "PERSISTED_QUERY_NOT_FOUND",
    )
    expected = await post(world, world.admin, {"query": TYPED, **asked})
    assert expected["data"]["viewer"]["id"].startswith("usr_")
    assert await post(world, world.admin, asked) == expected
    assert await get(world, world.admin, asked) == expected
    async with world.hub.socket(world.admin) as socket:
        await socket.send(type="subscribe", id="1", payload=asked)
        assert (await socket.receive())["payload"] == expected
        assert (await socket.receive())["type"] == "complete"
        await socket.send(type="subscribe", id="2", payload={"extensions": extensions("{ other }")})
        error = await socket.receive()
        assert (error["id"], error["payload"][0]["message"]) == ("2", "PersistedQueryNotFound")


async def test_two_queries_by_their_hashes_are_not_mistaken_for_each_other(world: World) -> None:
    texts = ["{ hub { mode } }", "{ hub { version } }", "{ viewer { displayName } }"]
    for text in texts:
        await post(world, world.admin, {"query": text, "extensions": extensions(text)})
    for text in (*texts, *texts):
        answer = await post(world, world.admin, {"extensions": extensions(text)})
        assert answer == await post(world, world.admin, {"query": text})


async def test_a_hash_gives_nobody_another_persons_rights(world: World) -> None:
    text = "{ deployments { totalCount } __schema { queryType { name } } }"
    asked = {"extensions": extensions(text)}
    assert "data" in await post(world, world.admin, {"query": text, **asked})
    stranger = await post(world, None, asked)
    assert {error["extensions"]["code"] for error in stranger["errors"]} == {"UNAUTHENTICATED"}
