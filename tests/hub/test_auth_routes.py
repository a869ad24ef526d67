"""Signing in to the demo and out again."""

from datetime import UTC, datetime

import pytest

from hub.demo_users import ensure_demo_users
from models.database import Database
from tests.support.echo_hub import JSON, Hub, a_hub, a_session, a_token, bearer, cookie


async def test_signing_in_to_the_demo_and_out(hub: Hub) -> None:
    await ensure_demo_users(now=datetime.now(UTC))
    offered = (await hub.get("/api/auth/providers")).json()
    assert offered == {"providers": [], "demo": ["admin", "deployer", "ml-team", "viewer", "nobody"]}
    assert (await hub.get("/api/auth/me")).status_code == 401

    stale = cookie(a_session(hub.ada, minutes_ago=16))
    answer = await hub.client.post("/api/auth/demo", json={"user": "ml-team"}, headers=stale)
    assert answer.status_code == 200
    assert answer.json()["expiresIn"] == 900
    token = answer.json()["accessToken"]
    assert answer.headers.get_list("set-cookie") == [
        f"hub_session={token}; Path=/; Max-Age=900; HttpOnly; SameSite=Lax"
    ]

    for shown in (cookie(token), bearer(token)):
        viewer = (await hub.get("/api/auth/me", **shown)).json()
        assert (viewer["displayName"], viewer["provider"], viewer["isAdmin"]) == ("ml-team", "DEMO", False)
        (grant,) = viewer["grants"]
        assert (grant["role"], grant["instanceId"], grant["namespaces"]) == (
            "DEPLOYER",
            "prod-east",
            ["ml-team"],
        )
        assert viewer["lastSignInAt"].endswith("Z")

    for shown in (cookie(token), cookie("nonsense"), {}):
        out = await hub.post("/api/auth/logout", x_hub_request="1", **shown)
        assert out.status_code == 204
        assert out.headers.get_list("set-cookie") == [
            "hub_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        ]


@pytest.mark.parametrize("body", [b'{"user": "root"}', b'{"user": 1}', b"{}", b"[", b"\xff"])
async def test_demo_people_are_the_five_alone(hub: Hub, body: bytes) -> None:
    answer = await hub.client.post("/api/auth/demo", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"][0]["path"] == "user"


async def test_a_foreign_form_signs_nobody_in(hub: Hub) -> None:
    assert (await hub.client.post("/api/auth/demo", content=b'{"user": "admin"}')).status_code == 403
    assert (await hub.post("/api/auth/logout")).status_code == 403


async def test_outside_the_demo_there_is_none(shared_database: Database) -> None:
    async with a_hub(shared_database, demo=False) as hub:
        answer = await hub.client.post("/api/auth/demo", json={"user": "admin"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
        assert (await hub.get("/api/auth/providers")).json() == {"providers": []}


async def test_each_start_of_the_demo_gives_new_tokens(hub: Hub) -> None:
    first = await ensure_demo_users(now=datetime.now(UTC))
    own, second = await a_token(hub.ada), await ensure_demo_users(now=datetime.now(UTC))
    assert list(first) == ["admin", "deployer", "ml-team", "viewer", "nobody"]
    for name, token in second.items():
        viewer = (await hub.get("/api/auth/me", **bearer(token))).json()
        assert viewer["displayName"] == name
        assert len(viewer["grants"]) == (name != "nobody")
        assert viewer["isAdmin"] == (name == "admin")
        assert (await hub.get("/api/things", **bearer(first[name]))).status_code == 401
    assert (await hub.get("/api/things", **bearer(own))).status_code == 200
