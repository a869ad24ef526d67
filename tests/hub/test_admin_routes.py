"""`/api/admin/…`: who may use which route, what each answers, and the requests of the manual as they are."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from auth.accounts import ensure_user, grant_role
from auth.effective import GrantRules
from auth.identity import Provider
from auth.mappings import create_mapping
from auth.people import Person
from auth.permissions import Group, Role, Scope
from models.tables import GroupMapping, RoleAssignment
from tests.support.hub import HubUnderTest, running
from tests.support.kinds import PEOPLE, a_credential
from tests.support.people import a_member, register, sign_in

OWN = Scope("prod-east", ("ml-team",))


@dataclass(frozen=True)
class World:
    hub: HubUnderTest
    admin: str
    somebody: str
    grant: str
    mapping: str

    async def ask(
        self, method: str, path: str, *, token: str | None = None, body: Any = None, as_admin: bool = True
    ) -> httpx2.Response:
        token = token or (self.admin if as_admin else None)
        headers = {"X-Hub-Request": "1"} | ({} if token is None else {"authorization": f"Bearer {token}"})
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return await self.hub.http.request(
            method, f"/api/admin/{self.spelled_out(path)}", content=content, headers=headers
        )

    def spelled_out(self, text: str) -> str:
        for word in ("somebody", "grant", "mapping"):
            text = text.replace(f"${word}", getattr(self, word))
        return text


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as hub:
        yield await furnished(hub)


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("hub")) as hub:
        yield await furnished(hub)


async def furnished(hub: HubUnderTest) -> World:
    with hub.running.database.entered():
        await register("prod-east")
        somebody = await ensure_user(Person(Provider.ENTRA, "somebody"), display_name="Somebody")
        grant = await grant_role(somebody, Role.VIEWER, OWN, granted_by=None)
        mapped = await create_mapping(
            Group(Provider.ENTRA, "ml", "ML"),
            Role.VIEWER,
            OWN,
            created_by=somebody,
            dry_run=False,
            rules=GrantRules(),
            now=datetime.now(UTC),
        )
    admin = await sign_in(hub, "admin", Role.ADMIN)
    return World(hub, admin, somebody, grant.id, mapped.mapping.id)


# ---------------------------------------------------------------- who may

NEW_MAPPING = {"groupId": "g", "groupName": "", "role": "viewer"}
NEW_ROLE = {"role": "viewer", "instanceId": "prod-east", "namespaces": ["ml-team"]}
ROUTES: Mapping[str, tuple[str, Any, int]] = {
    "GET /api/admin/group-mappings": ("group-mappings", None, 200),
    # Nobody's question changes anything: a name that is missing, an id of nothing, a grant that is there.
    "POST /api/admin/group-mappings": ("group-mappings", NEW_MAPPING, 400),
    "DELETE /api/admin/group-mappings/{id}": ("group-mappings/map_nothing", None, 404),
    "GET /api/admin/users": ("users", None, 200),
    "GET /api/admin/users/{id}": ("users/$somebody", None, 200),
    "POST /api/admin/users/{id}/roles": ("users/$somebody/roles", NEW_ROLE, 201),
    "DELETE /api/admin/users/{id}/roles/{grant_id}": ("users/$somebody/roles/grt_nothing", None, 404),
}
"""Each route, how it is asked here, and what an admin is answered. Nobody else may use any."""
ELSEWHERE = ("/api/auth/", "/api/instances")
"""What has tests of its own: test_auth_routes.py, test_sign_in_routes.py and those of instances."""


async def test_every_route_has_a_row(shared: World) -> None:
    routes = {
        f"{method} {route.path}"
        for route in shared.hub.running.app.routes
        if isinstance(route, Route) and route.path.startswith("/api") and not route.path.startswith(ELSEWHERE)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert routes == ROUTES.keys()


@pytest.fixture(scope="module")
async def people(shared: World) -> Mapping[str, str]:
    return {name: await a_credential(shared.hub, name, who) for name, who in PEOPLE.items()}


@pytest.mark.parametrize("route", ROUTES)
async def test_what_everybody_is_answered(shared: World, people: Mapping[str, str], route: str) -> None:
    method, (path, body, status) = route.split()[0], ROUTES[route]
    for person, token in people.items():
        answer = await shared.ask(method, path, token=token, body=body)
        expected = status if PEOPLE[person].rights == "everything" else 403
        assert answer.status_code == expected, person
        if expected == 403:
            error = answer.json()["error"]
            assert (error["code"], error["fields"]) == ("FORBIDDEN", [])
            assert error["requestId"] == answer.headers["x-request-id"]
    stranger = await shared.ask(method, path, body=body, as_admin=False)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    wrong = await shared.ask(method, path, body=body, token="kah_wrong")
    assert wrong.status_code == 401
    with shared.hub.running.database.entered():
        assert await GroupMapping.all().count() == 1
        assert await RoleAssignment.filter(user_id=shared.somebody).count() == 1


# ---------------------------------------------------------------- the manual's requests

MAPPINGS_CURL = """curl -X POST https://hub.example.com/api/admin/group-mappings \\
  -H "Content-Type: application/json" \\
  -d '{
    "groupId": "azure-group-object-id",
    "groupName": "ML Engineers",
    "role": "deployer",
    "instanceId": "prod-east",
    "namespaces": ["ml-team"]
  }'"""
ROLE_JSON = """{
  "role": "deployer",
  "instanceId": "prod-east",
  "namespaces": ["ml-team", "data-science"]
}"""


async def test_the_manuals_curl_maps_a_group(world: World) -> None:
    """Word for word, but for the address and a bearer token."""
    address = f"http://127.0.0.1:{world.hub.port}"
    command = MAPPINGS_CURL.replace("https://hub.example.com", address).replace(
        "curl", f'curl -s -w "%{{http_code}}" --noproxy "*" -H "Authorization: Bearer {world.admin}"', 1
    )
    process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    assert output.endswith("201"), output
    made = json.loads(output[:-3])
    assert made.pop("id").startswith("map_")
    assert made.pop("createdBy").startswith("usr_")
    assert made.pop("createdAt").endswith("Z")
    assert made.pop("updatedAt").endswith("Z")
    assert made == {
        "provider": "entra",
        "groupId": "azure-group-object-id",
        "groupName": "ML Engineers",
        "role": "deployer",
        "instanceId": "prod-east",
        "namespaces": ["ml-team"],
    }
    with world.hub.running.database.entered():
        member = await a_member("tid/1", "azure-group-object-id")
    token = await sign_in(world.hub, "tid/1", provider=Provider.ENTRA)
    viewer = await world.hub.data(token, "{ viewer { id grants { role instanceId namespaces source } } }")
    grant = {"role": "DEPLOYER", "instanceId": "prod-east", "namespaces": ["ml-team"], "source": "GROUP"}
    assert viewer == {"viewer": {"id": member, "grants": [grant]}}


async def test_the_manuals_role_is_given_and_taken(world: World) -> None:
    given = await world.ask("POST", "users/$somebody/roles", body=ROLE_JSON.encode())
    assert given.status_code == 201
    grant = given.json()
    assert (grant["role"], grant["source"], grant["instanceId"], grant["namespaces"]) == (
        "deployer",
        "manual",
        "prod-east",
        ["data-science", "ml-team"],
    )
    shown = (await world.ask("GET", "users/$somebody")).json()
    assert [each["id"] for each in shown["grants"]] == [world.grant, grant["id"]]
    assert (shown["provider"], shown["groups"], shown["active"]) == ("entra", [], True)
    taken = await world.ask("DELETE", f"users/$somebody/roles/{grant['id']}")
    assert (taken.status_code, taken.content) == (204, b"")
    assert (await world.ask("DELETE", f"users/$somebody/roles/{grant['id']}")).status_code == 404


async def test_a_grant_is_taken_from_its_own_person_alone(world: World) -> None:
    with world.hub.running.database.entered():
        other = await a_member("tid/2")
    assert (await world.ask("DELETE", f"users/{other}/roles/$grant")).status_code == 404
    assert (await world.ask("DELETE", "users/$somebody/roles/$grant")).status_code == 204


async def test_a_mapping_is_listed_and_deleted(world: World) -> None:
    listed = (await world.ask("GET", "group-mappings?provider=entra&groupId=ml")).json()
    assert ([item["id"] for item in listed["items"]], listed["next"]) == ([world.mapping], None)
    assert (await world.ask("GET", "group-mappings?provider=github")).json()["items"] == []
    assert (await world.ask("DELETE", "group-mappings/$mapping")).status_code == 204
    assert (await world.ask("DELETE", "group-mappings/$mapping")).status_code == 404


async def test_pages_meet_everybody_once(world: World) -> None:
    with world.hub.running.database.entered():
        for number in range(4):
            await a_member(f"tid/{number}", display_name="The same")
    met: list[str] = []
    after = ""
    while True:
        page = (await world.ask("GET", f"users?first=2{after}")).json()
        met += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 2
        after = f"&after={page['next']}"
    assert len(met) == len(set(met)) == 6
    admins = (await world.ask("GET", "users?role=admin&active=true&search=ADM")).json()["items"]
    assert [(each["displayName"], each["isAdmin"]) for each in admins] == [("admin", True)]


@pytest.mark.parametrize(
    ("method", "path", "body", "path_of_error"),
    [
        ("POST", "group-mappings", b"{", ""),
        ("POST", "group-mappings", b"", ""),
        ("POST", "group-mappings", {}, "role"),
        ("POST", "group-mappings", {**NEW_MAPPING, "groupName": "G", "role": "ADMIN"}, "role"),
        ("POST", "group-mappings", {**NEW_MAPPING, "groupName": 1}, "groupName"),
        ("POST", "group-mappings", {**NEW_MAPPING, "groupName": "G", "provider": "google"}, "provider"),
        ("POST", "group-mappings", {**NEW_MAPPING, "groupName": "G", "namespace": "a"}, "namespace"),
        ("POST", "group-mappings", {**NEW_MAPPING, "groupName": "G", "instanceId": "nowhere"}, "instanceId"),
        ("POST", "group-mappings", b'{"role": "' + b"x" * 70_000 + b'"}', ""),
        ("POST", "users/$somebody/roles", {"role": "admin", "instanceId": "prod-east"}, "instanceId"),
        ("POST", "users/$somebody/roles", {"role": "viewer", "namespaces": []}, "namespaces"),
        ("POST", "users/$somebody/roles", {"role": "viewer", "namespaces": ["../b"]}, "namespaces.0"),
        ("GET", "users?first=0", None, "first"),
        ("GET", "users?first=x", None, "first"),
        ("GET", "users?after=x", None, "after"),
        ("GET", "users?rol=admin", None, "rol"),
        ("GET", "users?active=yes", None, "active"),
        ("GET", "users?search=a&search=b", None, "search"),
    ],
)
async def test_what_is_wrong_is_named(
    shared: World, method: str, path: str, body: Any, path_of_error: str
) -> None:
    answer = await shared.ask(method, path, body=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "BAD_USER_INPUT"
    assert [field["path"] for field in error["fields"]] == [path_of_error]
    assert all(field["message"] for field in error["fields"])


async def test_what_stands_against_it_is_told(world: World) -> None:
    twice = {"groupId": "ml", "groupName": "Other", **NEW_ROLE}
    same = await world.ask("POST", "group-mappings", body=twice)
    assert (same.status_code, same.json()["error"]["code"]) == (409, "CONFLICT")
    listed = (await world.ask("GET", "users?role=admin")).json()["items"]
    path = f"users/{listed[0]['id']}/roles/{listed[0]['grants'][0]['id']}"
    last = await world.ask("DELETE", path)
    assert (last.status_code, last.json()["error"]["code"]) == (409, "CONFLICT")
    assert "make somebody else one first" in last.json()["error"]["message"]
    assert (await world.ask("GET", "users")).status_code == 200
