"""Sessions over HTTP: into the demo, refreshed, and out again."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from msgspec import structs

from auth.errors import Reason
from auth.issuing import GRACE, Sessions
from auth.keys import KeyRing, signing_key
from auth.refresh_tokens import RefreshTokens
from auth.session_rows import list_sessions, revoke_sessions
from auth.sessions import SessionTokens
from hub.demo_users import ensure_demo_users
from hub.settings import REFRESHES, SIGN_INS, RateSettings
from models.database import Database
from models.tables import Session
from tests.support.echo_hub import JSON, PLENTY, SESSIONS, Hub, a_hub, a_session, a_token, bearer, cookie

CLEARED = [
    "hub_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
    "hub_refresh=; Path=/api/auth; Max-Age=0; HttpOnly; SameSite=Lax",
]
FEW_REFRESHES = RateSettings(sign_in=PLENTY.sign_in, refresh=structs.replace(REFRESHES, times=3))
FEW_SIGN_INS = RateSettings(sign_in=structs.replace(SIGN_INS, times=3))


def given(answer: httpx2.Response) -> dict[str, str]:
    """The cookies that an answer gives, by name."""
    return dict(each.partition(";")[0].split("=", 1) for each in answer.headers.get_list("set-cookie"))


def showing(**cookies: str) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def signed_in(hub: Hub, user: str = "viewer") -> dict[str, str]:
    """The cookies of somebody who has just come in."""
    await ensure_demo_users(now=datetime.now(UTC))
    answer = await hub.client.post("/api/auth/demo", json={"user": user})
    assert answer.status_code == 200
    hub.client.cookies.clear()  # tests say themselves which they show
    return given(answer)


async def refreshed(hub: Hub, **cookies: str) -> httpx2.Response:
    answer = await hub.post("/api/auth/refresh", x_hub_request="1", **showing(**cookies))
    hub.client.cookies.clear()
    return answer


async def signed_out(hub: Hub, **headers: str) -> httpx2.Response:
    answer = await hub.post("/api/auth/logout", x_hub_request="1", **headers)
    assert answer.headers.get_list("set-cookie") == CLEARED
    return answer


async def is_signed_in(hub: Hub, access_token: str) -> bool:
    return (await hub.get("/api/things", **cookie(access_token))).status_code == 200


async def test_signing_in_to_the_demo(hub: Hub) -> None:
    await ensure_demo_users(now=datetime.now(UTC))
    offered = (await hub.get("/api/auth/providers")).json()
    assert offered == {"providers": [], "demo": ["admin", "deployer", "ml-team", "viewer", "nobody"]}
    assert (await hub.get("/api/auth/me")).status_code == 401

    stale = cookie(await a_session(hub.ada, minutes_ago=16))
    agent = {"user-agent": "Browser/1"}
    answer = await hub.client.post("/api/auth/demo", json={"user": "ml-team"}, headers=stale | agent)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["expiresIn"] == 900
    token = answer.json()["accessToken"]
    access, refresh = answer.headers.get_list("set-cookie")
    assert access == f"hub_session={token}; Path=/; Max-Age=900; HttpOnly; SameSite=Lax"
    week = 7 * 24 * 3600
    assert re.fullmatch(
        rf"hub_refresh=hrt_[\w-]+; Path=/api/auth; Max-Age={week}; HttpOnly; SameSite=Lax", refresh
    )
    hub.client.cookies.clear()

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
    (session,) = await list_sessions(viewer["id"], now=datetime.now(UTC))
    assert (session.ip_address, session.user_agent) == ("127.0.0.1", "Browser/1")


async def test_on_https_both_cookies_have_prefixes(public_hub: Hub) -> None:
    await ensure_demo_users(now=datetime.now(UTC))
    host = {"host": "hub.example.com"}
    answer = await public_hub.client.post("/api/auth/demo", json={"user": "viewer"}, headers=host)
    assert list(given(answer)) == ["__Host-hub_session", "__Secure-hub_refresh"]
    assert all(each.endswith("; Secure") for each in answer.headers.get_list("set-cookie"))
    refresh = given(answer)["__Secure-hub_refresh"]
    public_hub.client.cookies.clear()
    for name, status in (("hub_refresh", 401), ("__Secure-hub_refresh", 204)):
        shown = showing(**{name: refresh})
        answer = await public_hub.post("/api/auth/refresh", x_hub_request="1", **shown, **host)
        assert answer.status_code == status
        public_hub.client.cookies.clear()
    assert given(answer)["__Secure-hub_refresh"] != refresh


async def test_a_refresh_token_gets_both_anew_without_any_access_token(hub: Hub) -> None:
    cookies = await signed_in(hub)
    answer = await refreshed(hub, hub_refresh=cookies["hub_refresh"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    fresh = given(answer)
    assert fresh.keys() == cookies.keys()
    assert fresh["hub_refresh"] != cookies["hub_refresh"]
    assert await is_signed_in(hub, fresh["hub_session"])
    again = await refreshed(hub, hub_refresh=fresh["hub_refresh"], hub_session="expired")
    assert again.status_code == 204


async def test_two_tabs_at_once_both_go_on(hub: Hub) -> None:
    cookies = await signed_in(hub)
    one, other = [await refreshed(hub, **cookies) for _ in range(2)]
    assert (one.status_code, other.status_code) == (204, 204)
    assert given(one)["hub_refresh"] == given(other)["hub_refresh"]
    for answer in (one, other):
        assert await is_signed_in(hub, given(answer)["hub_session"])


async def test_one_that_was_used_before_ends_everything(hub: Hub) -> None:
    cookies = await signed_in(hub)
    fresh = given(await refreshed(hub, **cookies))
    assert await is_signed_in(hub, fresh["hub_session"])
    long_ago = datetime.now(UTC) - GRACE - timedelta(seconds=1)
    await Session.filter(id=session_of(fresh)).update(refreshed_at=long_ago)
    stolen = await refreshed(hub, **cookies)
    assert (stolen.status_code, stolen.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert stolen.headers.get_list("set-cookie") == CLEARED
    assert (await refreshed(hub, **fresh)).status_code == 401


def session_of(cookies: dict[str, str]) -> str:
    return SESSIONS.verify(cookies["hub_session"]).session_id


@pytest.mark.parametrize("shown", [{}, {"hub_refresh": "nonsense"}, {"hub_session": "nonsense"}])
async def test_nothing_to_refresh_with(hub: Hub, shown: dict[str, str]) -> None:
    answer = await refreshed(hub, **shown)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers.get_list("set-cookie") == CLEARED


async def test_an_access_token_refreshes_nothing(hub: Hub) -> None:
    cookies = await signed_in(hub)
    answer = await refreshed(hub, hub_refresh=cookies["hub_session"], hub_session=cookies["hub_session"])
    assert answer.status_code == 401
    assert (await refreshed(hub, **cookies)).status_code == 204


async def test_keys_are_rotated_under_a_session_that_goes_on(shared_database: Database) -> None:
    old, new = signing_key("secret"), signing_key("another")
    cookies: dict[str, str] = {}
    for ring in (KeyRing(old), KeyRing(new, previous=old), KeyRing(new)):
        async with a_hub(shared_database, tokens=SessionTokens(keys=ring)) as hub:
            if not cookies:
                cookies = await signed_in(hub)
            assert await is_signed_in(hub, cookies["hub_session"])
            cookies = given(await refreshed(hub, **cookies))
            assert await is_signed_in(hub, cookies["hub_session"])


async def test_signing_out_ends_the_session_whatever_is_shown_of_it(hub: Hub) -> None:
    for shown in ("hub_session", "hub_refresh", "both"):
        cookies = await signed_in(hub)
        assert await is_signed_in(hub, cookies["hub_session"])
        part = cookies if shown == "both" else {shown: cookies[shown]}
        assert (await signed_out(hub, **showing(**part))).status_code == 204
        hub.client.cookies.clear()
        assert await Session.filter(id=session_of(cookies), revoked_at=None).count() == 0
        assert (await refreshed(hub, **cookies)).status_code == 401
    by_bearer = await signed_in(hub)
    await signed_out(hub, **bearer(by_bearer["hub_session"]))
    assert (await refreshed(hub, **by_bearer)).status_code == 401


async def test_signing_out_with_an_expired_access_token(hub: Hub) -> None:
    then = datetime.now(UTC) - timedelta(minutes=16)
    issued = await Sessions(tokens=SESSIONS).begin(hub.ada, now=then)
    assert issued.refresh_token is not None
    expired = showing(hub_session=issued.access_token, hub_refresh=issued.refresh_token)
    assert (await hub.get("/api/things", **expired)).status_code == 401
    hub.client.cookies.clear()
    assert (await signed_out(hub, **expired)).status_code == 204
    assert (await Session.get(id=issued.session_id)).revoked_at is not None


async def test_signing_out_of_nothing(hub: Hub) -> None:
    token = await a_token(hub.ada)
    for shown in ({}, cookie("nonsense"), showing(hub_refresh="nonsense"), bearer(token)):
        assert (await signed_out(hub, **shown)).status_code == 204
    assert (await hub.get("/api/things", **bearer(token))).status_code == 200


async def test_signing_in_again_ends_the_session_before(hub: Hub) -> None:
    cookies = await signed_in(hub)
    await hub.client.post("/api/auth/demo", json={"user": "admin"}, headers=showing(**cookies))
    hub.client.cookies.clear()
    assert (await Session.get(id=session_of(cookies))).revoked_at is not None
    assert (await refreshed(hub, **cookies)).status_code == 401


async def test_a_revoked_session_is_refused_at_the_door(shared_database: Database) -> None:
    async with a_hub(shared_database, fresh_for=0) as hub:
        cookies = await signed_in(hub)
        assert await is_signed_in(hub, cookies["hub_session"])
        user_id = SESSIONS.verify(cookies["hub_session"]).user_id
        await revoke_sessions(user_id, now=datetime.now(UTC))
        refused = await hub.post("/graphql", **JSON, **showing(**cookies))
        assert refused.json()["errors"][0]["extensions"]["reason"] == Reason.SESSION_REVOKED


async def test_refreshes_are_limited_by_session(shared_database: Database) -> None:
    async with a_hub(shared_database, rates=FEW_REFRESHES) as hub:
        mine, other = [await signed_in(hub) for _ in range(2)]
        answers = [await refreshed(hub, **mine) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [204, 204, 204, 429]
        error = answers[-1].json()["error"]
        assert error["code"] == "RATE_LIMITED"
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert "set-cookie" not in answers[-1].headers
        assert (await refreshed(hub, **other)).status_code == 204


async def test_invented_tokens_use_up_nobodys_refreshes(shared_database: Database) -> None:
    async with a_hub(shared_database, rates=FEW_REFRESHES, trusted_proxies=("127.0.0.1",)) as hub:
        cookies = await signed_in(hub)
        invented = RefreshTokens(KeyRing(signing_key("guessed"))).first(session_of(cookies)).secret
        elsewhere = showing(hub_refresh=invented) | {"x-forwarded-for": "192.0.2.9", "x-hub-request": "1"}
        answers = [await hub.client.post("/api/auth/refresh", headers=elsewhere) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert (await refreshed(hub, **cookies)).status_code == 204


async def test_signing_in_to_the_demo_is_limited_by_address(shared_database: Database) -> None:
    async with a_hub(shared_database, rates=FEW_SIGN_INS, trusted_proxies=("127.0.0.1",)) as hub:
        await ensure_demo_users(now=datetime.now(UTC))
        for address, statuses in (("192.0.2.1", [200, 400, 200, 429]), ("192.0.2.2", [200])):
            users = ("viewer", "root", "admin", "admin")[: len(statuses)]
            headers = {"x-forwarded-for": address}
            answers = [
                await hub.client.post("/api/auth/demo", json={"user": user}, headers=headers)
                for user in users
            ]
            assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize("body", [b'{"user": "root"}', b'{"user": 1}', b"{}", b"[", b"\xff"])
async def test_demo_people_are_the_five_alone(hub: Hub, body: bytes) -> None:
    answer = await hub.client.post("/api/auth/demo", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"][0]["path"] == "user"


async def test_a_foreign_form_signs_nobody_in(hub: Hub) -> None:
    assert (await hub.client.post("/api/auth/demo", content=b'{"user": "admin"}')).status_code == 403
    for route in ("logout", "refresh"):
        assert (await hub.post(f"/api/auth/{route}")).status_code == 403
        assert (await hub.get(f"/api/auth/{route}")).status_code == 405


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
