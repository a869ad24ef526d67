"""What is done beside GraphQL leaves its entry too: `/api`, signing in and out, commands."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from msgspec import structs
from starlette.routing import Route

from auth.accounts import create_token, ensure_user, grant_role, revoke_token
from auth.audit import Means, Outcome
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.issuing import GRACE
from auth.people import Person
from auth.permissions import Role, Scope
from auth.providers.config import GithubConfig, SignInConfig
from hub.demo.cluster import SimulatedCluster
from hub.demo_users import ensure_demo_users
from hub.settings import SIGN_INS, RateSettings, Settings
from models.tables import Session, User
from tests.hub.test_cli import Shell, shell
from tests.support.audits import everything_written, the_entry
from tests.support.github_server import GithubServer
from tests.support.hub import HubUnderTest, hub_settings, running, serving
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET
from tests.support.people import id_of, register, sign_in
from tests.support.sign_in import Visitor, failure

__all__ = ["shell"]


class Done(NamedTuple):
    """An act of `/api`, and its entry."""

    body: Mapping[str, Any] | None
    action: str
    target: str
    note: str | None = None
    place: tuple[str | None, str | None] = (None, None)


NEW_ROLE = {"role": "deployer", "instanceId": "prod-east", "namespaces": ["ml-team"]}
ACTS: Mapping[str, Done] = {
    "POST /api/admin/group-mappings": Done(
        NEW_ROLE | {"groupId": "g", "groupName": "G"},
        "createGroupMapping",
        "g",
        "provider entra; role deployer; namespaces ml-team; made",
        ("prod-east", "ml-team"),
    ),
    "DELETE /api/admin/group-mappings/{id}": Done(None, "deleteGroupMapping", "$mapping"),
    "POST /api/admin/users/{id}/roles": Done(
        NEW_ROLE,
        "assignRole",
        "$somebody",
        "role deployer; namespaces ml-team; made",
        ("prod-east", "ml-team"),
    ),
    "DELETE /api/admin/users/{id}/roles/{grant_id}": Done(None, "revokeRole", "$grant"),
    "POST /api/instances": Done({"name": "east"}, "registerInstance", "east", place=("east", None)),
    "DELETE /api/instances/{id}": Done(None, "removeInstance", "east", place=("east", None)),
}
"""Whoever adds a route that changes something adds it here, or below if it is of signing in."""
OF_SIGNING_IN = {"POST /api/auth/demo", "POST /api/auth/logout", "POST /api/auth/refresh"}


async def test_every_route_that_changes_something_has_a_row(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        routes = {
            f"{method} {route.path}"
            for route in hub.running.app.routes
            if isinstance(route, Route) and route.path.startswith("/api")
            for method in (route.methods or set()) - {"GET", "HEAD"}
        }
    assert routes == ACTS.keys() | OF_SIGNING_IN


async def test_every_act_and_every_refusal_of_the_rest_facade(tmp_path: Path) -> None:
    async with SimulatedCluster(name="east") as east, running(tmp_path) as hub:
        east.write_kubeconfig(hub.credentials / "east.kubeconfig")
        with hub.running.database.entered():
            await register("prod-east")
            somebody = await ensure_user(Person(Provider.DEMO, "somebody"))
            grant = await grant_role(somebody, Role.VIEWER, Scope("prod-east"), granted_by=None)
        admin, viewer = await sign_in(hub, "admin", Role.ADMIN), await hub.token("viewer", Role.VIEWER)
        words = {"$somebody": somebody, "$grant": grant.id}
        for route, done in ACTS.items():
            method, _, path = route.partition(" ")
            first = somebody if "/users/" in path else words.get("$mapping", "")
            if "/instances/" in path:
                first = "east"
            path = path.replace("{id}", first).replace("{grant_id}", grant.id)
            answer = await asked(hub, method, path, admin, done.body)
            assert answer.status_code in (201, 204), answer.text
            if done.action == "createGroupMapping":
                words["$mapping"] = answer.json()["id"]
            entry = await the_entry(hub, actions=(done.action,), request_id=answer.headers["x-request-id"])
            assert (entry.outcome, entry.code, entry.method) == (Outcome.SUCCEEDED, None, Means.SESSION)
            assert (entry.actor_id, entry.ip_address) == (await id_of(hub, admin), "127.0.0.1")
            assert (entry.instance_id, entry.namespace) == done.place, route
            assert entry.target == words.get(done.target, done.target), route
            message = entry.message or ""
            assert (message.rpartition(" ")[0] if " made " in message else entry.message) == done.note, route

            refused = await asked(hub, method, path, viewer, done.body)
            assert refused.status_code == 403
            entry = await the_entry(hub, request_id=refused.headers["x-request-id"])
            assert (entry.action, entry.outcome, entry.code) == (done.action, Outcome.REFUSED, "FORBIDDEN")

        read = await asked(hub, "GET", "/api/admin/users", viewer)
        entry = await the_entry(hub, request_id=read.headers["x-request-id"])
        assert (entry.action, entry.outcome) == ("users", Outcome.REFUSED)
        wrong = await asked(hub, "POST", "/api/admin/group-mappings", admin, {"role": "owner"})
        entry = await the_entry(hub, request_id=wrong.headers["x-request-id"])
        assert (entry.outcome, entry.code) == (Outcome.FAILED, "BAD_USER_INPUT")


async def asked(
    hub: HubUnderTest, method: str, path: str, token: str | None, body: Any = None
) -> httpx2.Response:
    headers = {"x-hub-request": "1"} | ({"authorization": f"Bearer {token}"} if token else {})
    return await hub.http.request(method, path, json=body, headers=headers)


# ---------------------------------------------------------------- signing in and out


async def test_a_session_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, demo=True) as hub:
        with hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        answer = await hub.http.post("/api/auth/demo", json={"user": "viewer"})
        begun = await the_entry(hub, actions=("signIn",))
        assert (begun.outcome, begun.actor_name, begun.method, begun.message) == (
            Outcome.SUCCEEDED, "viewer", Means.SESSION, "to the demo",
        )  # fmt: skip
        assert begun.request_id == answer.headers["x-request-id"]
        assert begun.target is not None
        assert begun.target.startswith("ses_")

        old = answer.cookies["hub_refresh"]
        refreshed = await hub.http.post("/api/auth/refresh", headers={"x-hub-request": "1"})
        assert refreshed.status_code == 204
        hub.http.cookies.clear()
        signed_out = await hub.http.post(
            "/api/auth/logout",
            headers={"x-hub-request": "1", "cookie": f"hub_refresh={refreshed.cookies['hub_refresh']}"},
        )
        assert signed_out.status_code == 204
        ended = await the_entry(hub, actions=("signOut",))
        assert (ended.outcome, ended.actor_id, ended.target) == (
            Outcome.SUCCEEDED, begun.actor_id, begun.target,
        )  # fmt: skip
        again = await hub.http.post("/api/auth/logout", headers={"x-hub-request": "1"})
        assert again.status_code == 204
        await the_entry(hub, actions=("signOut",))  # still this one: nothing ended
        with hub.running.database.entered():
            written = await everything_written()
        for secret in (old, refreshed.cookies["hub_refresh"], answer.json()["accessToken"]):
            assert secret not in written


async def test_a_refresh_token_that_is_used_twice(tmp_path: Path) -> None:
    async with running(tmp_path, demo=True) as hub:
        with hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        old = (await hub.http.post("/api/auth/demo", json={"user": "viewer"})).cookies["hub_refresh"]
        assert (await hub.http.post("/api/auth/refresh", headers={"x-hub-request": "1"})).status_code == 204
        with hub.running.database.entered():
            long_ago = datetime.now(UTC) - GRACE - timedelta(seconds=1)
            await Session.all().update(refreshed_at=long_ago)
        hub.http.cookies.clear()
        headers = {"x-hub-request": "1", "cookie": f"hub_refresh={old}"}
        assert (await hub.http.post("/api/auth/refresh", headers=headers)).status_code == 401
        entry = await the_entry(hub, actions=("reuseRefreshToken",))
        begun = await the_entry(hub, actions=("signIn",))
        assert (entry.outcome, entry.code, entry.target) == (Outcome.REFUSED, "UNAUTHENTICATED", begun.target)
        assert f"the session of viewer ({begun.actor_id}) was ended" in (entry.message or "")
        assert (entry.method, entry.ip_address) == (Means.ANONYMOUS, "127.0.0.1")


async def test_a_credential_that_is_none(tmp_path: Path) -> None:
    """What has merely expired isn't written: a browser shows that whenever it comes back."""
    async with running(tmp_path) as hub:
        with hub.running.database.entered():
            user_id, now = await ensure_user(Person(Provider.DEMO, "ada")), datetime.now(UTC)
            info, revoked = await create_token(
                user_id, name="t", limits=TokenLimits(), expires_at=None, now=now
            )
            await revoke_token(info.id, now=now)
            brief = datetime.now(UTC) + timedelta(milliseconds=1)
            _, expired = await create_token(
                user_id, name="t", limits=TokenLimits(), expires_at=brief, now=now
            )
        assert (await asked(hub, "GET", "/api/admin/users", expired.secret)).status_code == 401
        assert (await asked(hub, "GET", "/api/admin/users", revoked.secret)).status_code == 401
        entry = await the_entry(hub, actions=("authenticate",))
        assert (entry.outcome, entry.message) == (
            Outcome.REFUSED, "The access token was revoked (TOKEN_REVOKED)",
        )  # fmt: skip


async def test_signing_in_at_a_provider_and_being_kept_out(tmp_path: Path) -> None:
    github = GithubServer()
    async with github.serving():
        client = GithubConfig(url=github.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        config = SignInConfig(github=client)
        settings = few_sign_ins(tmp_path, config)
        async with (
            serving(settings) as hub,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", trust_env=False) as http,
        ):
            visitor = Visitor(http)
            back = await visitor.sent_back("github")
            assert (await http.get(back)).headers["location"] == "/graphql"
            entry = await the_entry(hub, actions=("signIn",))
            assert (entry.outcome, entry.message) == (Outcome.SUCCEEDED, "by github")
            assert entry.actor_id is not None
            with hub.running.database.entered():
                await User.filter(id=entry.actor_id).update(active=False)

            assert failure(await http.get(back)) == "state_mismatch"
            replayed = await the_entry(hub, actions=("signIn",), outcomes=(Outcome.REFUSED,))
            assert (replayed.code, replayed.message) == ("STATE_MISMATCH", "by github")

            since = datetime.now(UTC)
            assert failure(await visitor.sign_in("github")) == "account_disabled"
            kept_out = await the_entry(hub, actions=("signIn",), since=since)
            assert (kept_out.outcome, kept_out.code) == (Outcome.REFUSED, "ACCOUNT_DISABLED")
            assert re.fullmatch(r"by github: github:\d+'s account is deactivated", kept_out.message or ""), (
                kept_out
            )

            since = datetime.now(UTC)
            assert (await visitor.begin("github")).status_code == 429
            limited = await the_entry(hub, actions=("signIn",), since=since)
            assert (limited.outcome, limited.code) == (Outcome.REFUSED, "RATE_LIMITED")

            with hub.running.database.entered():
                written = await everything_written()
            assert dict(httpx2.URL(back).params)["code"] not in written
            assert CLIENT_SECRET not in written


def few_sign_ins(folder: Path, config: SignInConfig) -> Settings:
    """Two sign-ins a minute."""
    settings = hub_settings(folder, sign_in=config)
    return replace(settings, rates=RateSettings(sign_in=structs.replace(SIGN_INS, times=2)))


# ---------------------------------------------------------------- commands


def test_what_is_done_at_the_command_line(shell: Shell) -> None:
    """Also what comes to nothing."""
    said = shell.says("users", "grant", "github:1001", "--role", "deployer", "--namespace", "ml")
    grant = re.search(r"grt_\w+", said)
    assert grant is not None
    secret = shell.says("token", "create", "github:1001", "--name", "CI")
    listed = re.search(r"tok_\w+", shell.says("users", "list"))
    assert listed is not None
    shell.says("token", "revoke", listed[0])
    shell.says("users", "revoke", grant[0])
    shell.complains("users", "revoke", grant[0])
    shell.says("rekey")
    with closing(sqlite3.connect(shell.folder / "data" / "kubefoundry.db")) as database:
        columns = "action, outcome, target, code, message, method, actor_name"
        rows = database.execute(f"SELECT {columns} FROM audit_entries ORDER BY occurred_at").fetchall()
    assert [row[:5] for row in rows] == [
        ("assignRole", "SUCCEEDED", "github:1001", None, "role DEPLOYER; namespaces ml"),
        ("createAccessToken", "SUCCEEDED", "CI", None, "for github:1001"),
        ("revokeAccessToken", "SUCCEEDED", listed[0], None, None),
        ("revokeRole", "SUCCEEDED", grant[0], None, None),
        ("revokeRole", "FAILED", grant[0], "NOT_FOUND", "There is no such thing, or you may not see it"),
        ("rekey", "SUCCEEDED", None, None, None),
    ]
    assert {row[5] for row in rows} == {"CLI"}
    assert all(row[6].endswith(", at the command line") for row in rows)
    assert secret not in repr(rows)
