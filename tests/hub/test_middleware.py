"""Request ids, and errors in the shape that a path's clients expect."""

from tests.support.echo_hub import Hub


async def test_every_answer_has_a_request_id(hub: Hub) -> None:
    for response in (await hub.get("/page"), await hub.post("/graphql"), await hub.get("/nowhere")):
        assert len(response.headers["x-request-id"]) == 26
    one, other = await hub.get("/page"), await hub.get("/page")
    assert one.json()["requestId"] == one.headers["x-request-id"] != other.headers["x-request-id"]
    kept = await hub.get("/page", x_request_id="trace-1.2_3")
    assert kept.headers["x-request-id"] == kept.json()["requestId"] == "trace-1.2_3"
    for forged in ("", "a b", "x" * 65, 'x"y'):
        assert len((await hub.get("/page", x_request_id=forged)).headers["x-request-id"]) == 26


async def test_errors_quote_the_request_id_in_their_paths_shape(hub: Hub) -> None:
    graphql = await hub.post("/graphql", x_request_id="one")
    assert graphql.json() == {
        "errors": [
            {
                "message": "Send content-type: application/json, X-Hub-Request or a bearer token",
                "extensions": {"code": "FORBIDDEN", "requestId": "one"},
            }
        ]
    }
    api = (await hub.post("/api/things", x_request_id="two")).json()["error"]
    assert sorted(api) == ["code", "fields", "message", "requestId"]
    assert (api["code"], api["fields"], api["requestId"]) == ("FORBIDDEN", [], "two")
    negotiated = await hub.post("/graphql", accept="application/graphql-response+json")
    assert negotiated.headers["content-type"] == "application/graphql-response+json"
