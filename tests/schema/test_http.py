"""GraphQL over HTTP where the audits of npm's graphql-http don't look: odd bodies, methods, media types."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from schema.negotiation import EVENT_STREAM, GRAPHQL_RESPONSE, JSON
from tests.support.hub import HubUnderTest
from tests.support.simulation import model_deployment
from tests.support.surface import World, until_ids

MODE = "{ hub { mode } }"
ANSWER = {"data": {"hub": {"mode": "HUB"}}}
DEEP = 100_000


@pytest.fixture
def hub(shared_world: World) -> HubUnderTest:
    return shared_world.hub


@pytest.fixture
def bearer(shared_world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {shared_world.admin}"}


def told(response: httpx2.Response) -> dict[str, Any]:
    """The one error of an answer, which is always JSON with a code and the request's id."""
    assert response.headers["content-type"] in (JSON, GRAPHQL_RESPONSE)
    (error,) = response.json()["errors"]
    assert error["extensions"]["requestId"] == response.headers["x-request-id"]
    assert "data" not in response.json()
    return {**error, "code": error["extensions"]["code"]}


@pytest.mark.parametrize("body", [
    b"", b"   ", b"null", b"7", b'"text"', b"{", b"{]", b"{}", b'{"query": ""}', b'{"query": null}',
    b'{"query": 1}', b'{"query": ["{ hub { mode } }"]}', b'{"Query": "{ hub { mode } }"}',
    b'{"query": "{ hub { mode } }", "variables": []}', b'{"query": "{ hub { mode } }", "variables": "{}"}',
    b'{"query": "{ hub { mode } }", "operationName": 1}', b'{"query": "{ hub { mode } }", "extensions": 1}',
    b'{"query": "{ hub { mode } }", "variables": {"a": NaN}}',
    b'{"query": "{ hub { mode } }", "variables": {"a": "\\ud800"}}',
    b'{"query": "\xff\xfe"}', b"\xff\xfe\x00", b'{"query": "{ hub { mode } }"} trailing',
    b"[" * DEEP, b'{"a":' * DEEP, b'{"query": "x", "variables": ' + b'{"a":' * DEEP, b"\x00" * 100,
], ids=lambda body: repr(body[:40]))  # fmt: skip
async def test_a_body_that_is_no_request(hub: HubUnderTest, bearer: Mapping[str, str], body: bytes) -> None:
    response = await hub.http.post("/graphql", content=body, headers={**bearer, "content-type": JSON})
    assert response.status_code == 400
    assert told(response)["code"] == "BAD_USER_INPUT"


async def test_batches_are_refused(hub: HubUnderTest, bearer: Mapping[str, str]) -> None:
    response = await hub.http.post("/graphql", json=[{"query": MODE}] * 2, headers=bearer)
    assert response.status_code == 400
    assert "send one operation" in told(response)["message"]


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
    "application/graphql",
])  # fmt: skip
async def test_a_body_that_is_no_json(
    hub: HubUnderTest, bearer: Mapping[str, str], content_type: str
) -> None:
    headers = {**bearer, "content-type": content_type}
    response = await hub.http.post("/graphql", content=json.dumps({"query": MODE}), headers=headers)
    assert response.status_code == 415
    assert JSON in told(response)["message"]


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON", f"{JSON}; charset=utf-8"])
async def test_json_by_any_name(hub: HubUnderTest, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = await hub.http.post("/graphql", content=json.dumps({"query": MODE}), headers=headers)
    assert (response.status_code, response.json()) == (200, ANSWER)


@pytest.mark.parametrize(("accept", "media_type"), [
    (None, JSON), ("*/*", JSON), ("application/*", JSON), (JSON, JSON), (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
    (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE), (f"{GRAPHQL_RESPONSE};q=0.1, {JSON}", JSON),
    (f"{GRAPHQL_RESPONSE}, application/graphql+json, {JSON}, {EVENT_STREAM}", GRAPHQL_RESPONSE),
    (f"{EVENT_STREAM}, */*", JSON),
])  # fmt: skip
async def test_the_media_type_that_is_asked_for(
    hub: HubUnderTest, accept: str | None, media_type: str
) -> None:
    async with httpx2.AsyncClient(base_url=hub.http.base_url, trust_env=False) as client:
        del client.headers["accept"]
        response = await client.post(
            "/graphql", json={"query": MODE}, headers={} if accept is None else {"accept": accept}
        )
    assert (response.status_code, response.json()) == (200, ANSWER)
    assert response.headers["content-type"] == media_type


@pytest.mark.parametrize("accept", ["text/plain", "image/png", f"{JSON};q=0", "multipart/mixed"])
async def test_no_media_type_that_will_do(hub: HubUnderTest, accept: str) -> None:
    response = await hub.http.post("/graphql", json={"query": MODE}, headers={"accept": accept})
    assert response.status_code == 406
    assert JSON in told(response)["message"]


async def test_several_operations_need_a_name(hub: HubUnderTest) -> None:
    query = "query A { hub { mode } } query B { hub { version } }"
    response = await hub.http.post("/graphql", json={"query": query})
    assert "operationName" in told(response)["message"]
    response = await hub.http.post("/graphql", json={"query": query, "operationName": "A"})
    assert response.json() == ANSWER
    response = await hub.http.post("/graphql", json={"query": query, "operationName": "C"})
    assert told(response)["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("accept", ["*/*", JSON, GRAPHQL_RESPONSE])
async def test_a_subscription_as_a_plain_post(
    hub: HubUnderTest, bearer: Mapping[str, str], accept: str
) -> None:
    asked = {"query": "subscription { deploymentEvents { type } }"}
    response = await hub.http.post("/graphql", json=asked, headers={**bearer, "accept": accept})
    assert response.status_code == 406
    assert EVENT_STREAM in told(response)["message"]
    assert "WebSocket" in told(response)["message"]


# ---------------------------------------------------------------- methods


async def test_queries_by_get(hub: HubUnderTest, bearer: Mapping[str, str]) -> None:
    asked = {
        "query": "query A($id: ID!) { instance(id: $id) { id } }",
        "variables": '{"id": "east"}',
        "operationName": "A",
    }
    response = await hub.http.get("/graphql", params=asked, headers=bearer)
    assert response.json() == {"data": {"instance": {"id": "east"}}}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("asked", [
    {}, {"query": ""}, {"query": MODE, "variables": "[]"}, {"query": MODE, "variables": "{"},
    {"query": MODE, "extensions": "7"}, {"variables": "{}"},
])  # fmt: skip
async def test_a_query_string_that_is_no_request(
    hub: HubUnderTest, bearer: Mapping[str, str], asked: Mapping[str, str]
) -> None:
    response = await hub.http.get("/graphql", params=dict(asked), headers=bearer)
    assert (response.status_code, told(response)["code"]) == (400, "BAD_USER_INPUT")


async def test_a_query_string_that_is_no_text(hub: HubUnderTest, bearer: Mapping[str, str]) -> None:
    response = await hub.http.get("/graphql?query=%ff%fe", headers=bearer)
    assert (response.status_code, told(response)["code"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_mutation_is_never_got(hub: HubUnderTest, bearer: Mapping[str, str], method: str) -> None:
    query = (
        'mutation { deleteDeployment(input: {instanceId: "east", namespace: "x", name: "y"}) { __typename } }'
    )
    response = await hub.http.request(method, "/graphql", params={"query": query}, headers=bearer)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_head_is_get_without_a_body(hub: HubUnderTest, bearer: Mapping[str, str]) -> None:
    got = await hub.http.get("/graphql", params={"query": MODE}, headers=bearer)
    head = await hub.http.head("/graphql", params={"query": MODE}, headers=bearer)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_options(hub: HubUnderTest) -> None:
    response = await hub.http.options("/graphql")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
async def test_other_methods(hub: HubUnderTest, bearer: Mapping[str, str], method: str) -> None:
    response = await hub.http.request(method, "/graphql", headers=bearer)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert told(response)["code"] == "BAD_USER_INPUT"


# ---------------------------------------------------------------- large bodies, large answers


@pytest.fixture
async def many(shared_world: World) -> World:
    names = [f"model-{number}" for number in range(50)]
    for name in names:
        shared_world.east.apply(model_deployment(name))
    await until_ids(shared_world, *(f"east/ml-team/{name}" for name in names))
    return shared_world


async def test_a_large_answer_is_compressed(many: World, bearer: Mapping[str, str]) -> None:
    asked = {"query": "{ deployments { nodes { id name uid phase message } } }"}
    plain = await many.hub.http.post(
        "/graphql", json=asked, headers={**bearer, "accept-encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers
    request = many.hub.http.build_request(
        "POST", "/graphql", json=asked, headers={**bearer, "accept-encoding": "gzip"}
    )
    response = await many.hub.http.send(request, stream=True)
    raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in response.headers["vary"]
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3


async def test_a_small_answer_is_not(hub: HubUnderTest) -> None:
    response = await hub.http.post("/graphql", json={"query": MODE}, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit(hub: HubUnderTest, bearer: Mapping[str, str], announced: bool) -> None:
    length = 8 << 20

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(length >> 16):
            yield b" " * (1 << 16)

    headers = {**bearer, "content-type": JSON, **({"content-length": str(length)} if announced else {})}
    response = await hub.http.post("/graphql", content=chunks(), headers=headers)
    assert response.status_code == 413
    assert told(response)["extensions"] == {
        "code": "LIMIT_EXCEEDED", "reason": "BODY", "limit": 1 << 20, "actual": length if announced else None,
        "requestId": response.headers["x-request-id"],
    }  # fmt: skip
    # The connection is as good as before.
    assert (await hub.http.post("/graphql", json={"query": MODE})).json() == ANSWER


async def test_a_client_that_goes_away_while_it_sends(
    hub: HubUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    writer.write(b'Content-Length: 100\r\n\r\n{"query": ')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await hub.http.post("/graphql", json={"query": MODE})).json() == ANSWER
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
