"""`/api/instances`: who may use which route and what each answers; and that no uploaded secret ever shows."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from starlette.routing import Route

from auth.permissions import Role
from hub.demo.cluster import SimulatedCluster
from models.tables import AuditEntry, Instance
from tests.support.hub import HubUnderTest, hub_settings, running, serving
from tests.support.kinds import PEOPLE, a_credential
from tests.support.registering import REGISTER, UPDATE
from tests.support.surface import World, a_world, until_status
from tests.support.tls import over_https
from tests.support.waiting import until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[str]:
    async with SimulatedCluster(name="north") as cluster, over_https(cluster, tmp_path) as text:
        yield text


async def ask(
    hub: HubUnderTest, token: str | None, method: str, path: str = "", body: Any = None
) -> httpx2.Response:
    headers = {"X-Hub-Request": "1"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    content = None if body is None else json.dumps(body).encode()
    return await hub.http.request(method, f"/api/instances{path}", content=content, headers=headers)


# Nobody's question changes anything: a name without a file, one of nothing.
SEES_ALL, SEES_EAST, NONE = [200, "east", "west"], [200, "east"], [200]
ROUTES: dict[str, tuple[str, Any, dict[str, list[Any]]]] = {
    "GET /api/instances": (
        "", None, {"nothing": NONE, "sees own": SEES_EAST, "deploys own": SEES_EAST},
    ),
    "GET /api/instances/{id}": (
        "/west", None, {"nothing": [404], "sees own": [404], "deploys own": [404]},
    ),
    "POST /api/instances": ("", {"name": "north"}, {"everything": [400]}),
    "DELETE /api/instances/{id}": ("/nowhere", None, {"everything": [404]}),
}  # fmt: skip
"""Each route, how it is asked here, and by the person's rights what it answers, unless the default."""
DEFAULTS = {
    "GET /api/instances": SEES_ALL,
    "GET /api/instances/{id}": [200, "west"],
    "POST /api/instances": [403],
    "DELETE /api/instances/{id}": [403],
}


async def test_every_route_answers_everybody_as_the_table_says(world: World) -> None:
    routes = {
        f"{method} {route.path}"
        for route in world.hub.running.app.routes
        if isinstance(route, Route) and route.path.startswith("/api/instances")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert routes == ROUTES.keys()
    for name, who in PEOPLE.items():
        token = await a_credential(world.hub, name, who)
        for route, (path, body, answers) in ROUTES.items():
            answer = await ask(world.hub, token, route.split()[0], path, body)
            found = [answer.status_code]
            if answer.status_code == 200:
                items = answer.json().get("items", [answer.json()])
                found += [each["id"] for each in items]
                assert all((each["endpoint"] is None) is (who.rights != "everything") for each in items)
                assert all((each["credential"] is None) is (who.rights != "everything") for each in items)
            assert found == answers.get(who.rights, DEFAULTS[route]), (name, route)
    for route, (path, body, _) in ROUTES.items():
        stranger = await ask(world.hub, None, route.split()[0], path, body)
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "UNAUTHENTICATED"), route


async def test_an_instance_comes_and_goes(world: World, kubeconfig: str) -> None:
    hub, sent = world.hub, {"name": "north", "displayName": "The North", "kubeconfig": kubeconfig}
    made = await ask(hub, world.admin, "POST", body=sent)
    assert made.status_code == 201
    assert (made.json()["id"], made.json()["displayName"], made.json()["credential"]["source"]) == (
        "north", "The North", "stored",
    )  # fmt: skip
    again = await ask(hub, world.admin, "POST", body=sent)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    await until_status(world, "north", "CONNECTED")
    listed = (await ask(hub, world.admin, "GET", "?first=1&search=north&status=connected")).json()
    assert ([each["id"] for each in listed["items"]], listed["next"]) == (["north"], None)
    page = (await ask(hub, world.admin, "GET", "?first=2")).json()
    rest = (await ask(hub, world.admin, "GET", f"?first=2&after={page['next']}")).json()
    assert [each["id"] for each in page["items"] + rest["items"]] == ["east", "north", "west"]
    gone = await ask(hub, world.admin, "DELETE", "/north")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await ask(hub, world.admin, "GET", "/north")).status_code == 404
    assert (await ask(hub, world.admin, "DELETE", "/north")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "", {"name": "North"}, "name"),
        ("POST", "", {"name": "north", "kubeconfig": "a: 1"}, "kubeconfig"),
        ("POST", "", {"name": "north", "kubeConfig": "a: 1"}, "kubeConfig"),
        ("POST", "", {"kubeconfig": "a: 1"}, "name"),
        ("GET", "?status=fine", None, "status"),
        ("GET", "?statuses=error", None, "statuses"),
        ("GET", "/%2e%2e%2fadmin", None, "id"),
        ("DELETE", "/North", None, "id"),
    ],
)
async def test_what_cannot_be_asked(tmp_path: Path, method: str, path: str, body: Any, field: str) -> None:
    async with running(tmp_path) as hub:
        answer = await ask(hub, await hub.token("admin", Role.ADMIN), method, path, body)
    if path.startswith("/%2e"):
        assert answer.status_code in (400, 404)
    else:
        assert (answer.status_code, [each["path"] for each in answer.json()["error"]["fields"]]) == (
            400,
            [field],
        )


# ---------------------------------------------------------------- secrets

MARKER = "hunter2hunter2"


def marked(kubeconfig: str) -> list[str]:
    """Kubeconfigs that hold the marker where secrets are, good and bad."""
    found = []
    for user in (
        {"token": MARKER},
        {"token": f"{MARKER} with blanks"},
        {"tokenFile": f"/{MARKER}"},
        {"username": MARKER, "password": MARKER, "token": MARKER},
        {"client-key-data": MARKER, "client-certificate-data": MARKER},
        {"exec": {"command": MARKER}},
    ):
        document = yaml.safe_load(kubeconfig)
        document["users"][0]["user"] = user
        found.append(yaml.safe_dump(document))
    return [*found, f"{found[0]}\n  {MARKER}: [", f"!!{MARKER} x", MARKER]


def files_with_marker(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and MARKER.encode() in each.read_bytes()]


async def test_no_secret_shows_anywhere(
    world: World, kubeconfig: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """In no answer, no audit entry, no file and no line of the log, whatever is wrong with it."""
    hub = world.hub
    said: list[Any] = []
    with caplog.at_level(logging.DEBUG):
        for number, text in enumerate(marked(kubeconfig)):
            sent = {"name": f"north-{number}", "kubeconfig": text}
            said.append(await hub.ask(world.admin, REGISTER, {"input": sent}))
            said.append((await ask(hub, world.admin, "POST", body=sent | {"name": f"south-{number}"})).text)
            said.append((await ask(hub, world.admin, "POST", body=sent | {"displayName": 5})).text)
            said.append(await hub.ask(world.admin, REGISTER, {"input": {"kubeconfig": text}}))
            said.append(await hub.ask(world.admin, REGISTER, {"input": sent | {"displayName": {"a": text}}}))
            said.append(await hub.ask(world.admin, UPDATE, {"input": {"id": "east", "kubeconfig": text}}))
            said.append(await hub.ask(world.admin, UPDATE, {"input": {"id": "nowhere", "kubeconfig": text}}))
            said.append(await hub.ask(None, REGISTER, {"input": sent}))
        assert said[0]["data"]["registerInstance"]["instance"]["id"] == "north-0"

        async def is_refused() -> bool:
            found = (await ask(hub, world.admin, "GET", "/north-0")).json()
            said.append(json.dumps(found))
            return bool(found["status"] == "error")

        await until(is_refused)
        query = """{ instances { nodes { name statusReason credential { context error warnings } } }
          credentialProblems { fileName reason } auditLog(first: 100) { nodes { message target } } }"""
        said.append(await hub.ask(world.admin, query))
    with hub.running.database.entered():
        said += await AuditEntry.all().values()
        row = await Instance.get(id="north-0")
        said += [repr(hub.running.manager.credential("north-0")), repr(row.kubeconfig)]
    said += [f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records]
    assert [each for each in map(str, said) if MARKER in each] == []
    assert files_with_marker(tmp_path) == []


async def test_off_loopback_none_leads_to_the_hubs_own_machine(tmp_path: Path, kubeconfig: str) -> None:
    settings = hub_settings(tmp_path)
    public = replace(settings, http=replace(settings.http, host="0.0.0.0", public_url="http://127.0.0.1"))
    async with serving(public) as hub:
        admin = await hub.token("admin", Role.ADMIN)
        made = await ask(hub, admin, "POST", body={"name": "north", "kubeconfig": kubeconfig})
        assert made.status_code == 201

        async def is_refused() -> bool:
            found = (await ask(hub, admin, "GET", "/north")).json()
            return found["status"] == "error" and "link-local" in found["statusReason"]

        await until(is_refused)
