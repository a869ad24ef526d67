"""Credentials, good and bad, at the door."""

from auth.tokens import mint
from tests.support.echo_hub import ADA, BOB, JSON, Hub, a_session, a_token, bearer, cookie


async def test_who_is_recognised_by_what(hub: Hub) -> None:
    session, token = await a_session(hub.ada), await a_token(hub.bob)
    for headers, person, shown in (
        ({}, None, None),
        (cookie(session), ADA, session),
        (bearer(session), ADA, session),
        (bearer(token), BOB, token),
        (cookie(session) | bearer(token), BOB, token),
        ({"cookie": f"__Host-hub_session={session}"}, None, None),
        ({"cookie": "hub_session="}, None, None),
    ):
        for answer in (
            (await hub.post("/graphql", **JSON, **headers)).json(),
            (await hub.get("/api/things", **headers)).json(),
            (await hub.get("/page", **headers)).json(),
            await hub.handshake(**headers),
        ):
            assert answer["subject"] == (person and person.subject)
            assert (answer["credential"], answer["error"]) == (shown, None)


async def test_a_bad_credential_stops_at_the_door(hub: Hub) -> None:
    revoked = await a_token(hub.ada, revoked=True)
    for headers, reason in (
        (bearer("nonsense"), "INVALID_CREDENTIAL"),
        (bearer(mint().secret), "INVALID_CREDENTIAL"),
        (bearer(revoked), "TOKEN_REVOKED"),
        (bearer(await a_session(hub.ada, minutes_ago=16)), "TOKEN_EXPIRED"),
        ({"authorization": "Basic YTpi"}, "INVALID_CREDENTIAL"),
        ({"authorization": "Bearer"}, "INVALID_CREDENTIAL"),
        ({"authorization": "Bearer a b"}, "INVALID_CREDENTIAL"),
        (bearer("nonsense") | cookie(await a_session(hub.ada)), "INVALID_CREDENTIAL"),
    ):
        response = await hub.post("/graphql", **JSON, **headers)
        assert response.status_code == 401
        extensions = response.json()["errors"][0]["extensions"]
        assert (extensions["code"], extensions["reason"]) == ("UNAUTHENTICATED", reason)
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert "set-cookie" not in response.headers
        api = await hub.get("/api/things", **headers)
        assert (api.status_code, api.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert (await hub.get("/page", **headers)).json()["error"] == "Unauthenticated"
        assert (await hub.get("/graphql", **headers)).status_code == 200
        assert (await hub.handshake(**headers))["error"] == "Unauthenticated"


async def test_two_authorizations_are_none(hub: Hub) -> None:
    token = bearer(await a_token(hub.ada))["authorization"]
    twice = [("authorization", token), ("authorization", token), *JSON.items()]
    assert (await hub.client.post("/graphql", headers=twice)).status_code == 401


async def test_a_bad_cookie_is_cleared_and_pages_go_on(hub: Hub) -> None:
    stale = cookie(await a_session(hub.ada, minutes_ago=16))
    refused = await hub.post("/graphql", **JSON, **stale)
    page = await hub.get("/page", **stale)
    providers = await hub.get("/api/auth/providers", **stale)
    assert [answer.status_code for answer in (refused, page, providers)] == [401, 200, 200]
    assert page.json()["subject"] is None
    for answer in (refused, page, providers):
        assert answer.headers["set-cookie"] == "hub_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    assert "set-cookie" not in (await hub.get("/page", **cookie(await a_session(hub.ada)))).headers


async def test_on_https_the_cookie_is_bound_to_the_host(public_hub: Hub) -> None:
    session = await a_session(public_hub.ada)
    host = {"host": "hub.example.com"}
    for name, person in (("__Host-hub_session", ADA.subject), ("hub_session", None)):
        answer = await public_hub.get("/page", cookie=f"{name}={session}", **host)
        assert answer.json()["subject"] == person
    out = await public_hub.post("/api/auth/logout", x_hub_request="1", **host)
    assert out.headers["set-cookie"].startswith("__Host-hub_session=; Path=/; Max-Age=0;")
    assert out.headers["set-cookie"].endswith("; Secure")
