"""docs/access.md: every request on the page, in its order, as a person sends it who follows the page."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from auth.permissions import LEAST_ROLE, Role
from hub.demo.cluster import SimulatedCluster
from tests.support.hub import HubUnderTest, running
from tests.support.people import a_member, sign_in
from tests.support.surface import World, join

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
BLOCKS = re.findall(r"^```(bash|graphql|json)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Who follows the page: an administrator who has signed in, and has a token for curl."""

    hub: HubUnderTest
    session: str
    token: str
    known: dict[str, str]
    """What the page's variables stand for."""
    answers: list[Any] = field(default_factory=list)

    async def send(self, language: str, text: str) -> None:
        if language == "graphql":
            self.answers.append(await self._ask(text))
        elif language == "bash":
            self.answers += [await self._run(command) for command in commands(text)]

    async def _ask(self, text: str) -> Any:
        if text.startswith("subscription"):
            async with self.hub.socket(self.session) as socket:
                await socket.subscribe(text)
                await socket.is_quiet()
            return {}
        wanted = re.findall(r"\$(\w+): ID!", text)
        answer = await self.hub.data(self.session, text, {name: self.known[name] for name in wanted})
        self._remember(answer)
        return answer

    async def _run(self, command: str) -> Any:
        local = command.replace("https://hub.example.com", f"http://127.0.0.1:{self.hub.port}")
        process = await asyncio.create_subprocess_exec(
            "bash", "-euc", local.replace("curl ", 'curl --fail-with-body --noproxy "*" -sS ', 1),
            stdout=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "TOKEN": self.token,
                "USER_ID": self.known["userId"],
                "OTHER_GRANT_ID": self.known.get("otherGrantId", ""),
                "MAPPING_ID": self.known.get("mappingId", ""),
            },
        )  # fmt: skip
        output = (await process.communicate())[0]
        assert process.returncode == 0, (command, output)
        answer = json.loads(output) if output else None
        if answer and "role" in answer:
            self.known["mappingId" if "groupId" in answer else "otherGrantId"] = answer["id"]
        return answer

    def _remember(self, answer: Any) -> None:
        if "assignRole" in answer:
            self.known["grantId"] = answer["assignRole"]["grant"]["id"]
        if "createAccessToken" in answer:
            self.known["tokenId"] = answer["createAccessToken"]["accessToken"]["id"]


def commands(text: str) -> Iterator[str]:
    """Each curl of a block, with the lines that belong to it."""
    yield from re.split(r"\n(?=curl )", text.strip())


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    async with SimulatedCluster(name="prod-east") as cluster, running(tmp_path) as hub:
        world = World(hub, cluster, cluster, await hub.token("admin", Role.ADMIN))
        await join(world, cluster)
        with hub.running.database.entered():
            ada = await a_member("tid/ada", "azure-group-object-id", display_name="Ada")
        yield Reader(hub, await sign_in(hub, "admin"), world.admin, {"userId": ada})


async def test_every_request_does_what_the_page_says(reader: Reader) -> None:
    told: dict[str, Any] = {}
    for language, text in BLOCKS:
        if language == "json":
            decisions = told["Why"]["access"]["decisions"]
            shown = json.loads(text)
            assert shown in [{key: each[key] for key in shown} for each in decisions]
        if language == "graphql" and text.startswith("query Why"):  # the page has taken it back meanwhile
            give = next(each for _, each in BLOCKS if each.startswith("mutation Give"))
            await reader.send("graphql", give)
        if language == "graphql" and text.startswith("mutation SignOutEverywhere"):
            told["signed out"] = await reader.hub.data(await sign_in(reader.hub, "other"), text)
            continue
        await reader.send(language, text)
        name = re.match(r"(?:query|mutation|subscription) (\w+)", text)
        if name:
            told[name[1]] = reader.answers[-1]
    assert told["People"]["users"]["nodes"][0]["displayName"] == "admin"
    assert told["Take"]["revokeRole"]["revokedGrantId"] == told["Give"]["assignRole"]["grant"]["id"]
    assert told["KeepOut"]["updateUser"]["user"]["active"] is False
    assert told["LetIn"]["updateUser"]["user"]["active"] is True
    # Ada is in the group: what it gives her already covers nothing of a viewer's elsewhere.
    assert told["Try"]["createGroupMapping"]["affectedUserCount"] == 1
    assert told["Change"]["updateGroupMapping"]["affectedUserCount"] == 1
    assert [each["groupName"] for each in told["Mappings"]["groupMappings"]["nodes"]] == ["ML Engineers"]
    assert told["Make"]["createAccessToken"]["secret"].startswith("kah_")
    assert told["End"]["revokeAccessToken"]["revokedAccessTokenId"] == reader.known["tokenId"]
    assert told["WhereAmISignedIn"]["viewer"]["sessions"][0]["current"] is True
    assert len(told["signed out"]["revokeSessions"]["revokedSessionIds"]) == 1
    left = await reader.hub.data(reader.session, "{ groupMappings { totalCount } }")
    assert left == {"groupMappings": {"totalCount": 0}}  # the page's last curl deleted it


async def test_every_route_is_listed(reader: Reader) -> None:
    listed = set(re.findall(r"^\| `((?:GET|POST|DELETE) /api/admin/[^`]*)`", PAGE, re.MULTILINE))
    routes = {
        f"{method} {route.path}"
        for route in reader.hub.running.app.routes
        if isinstance(route, Route) and route.path.startswith("/api/admin")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert listed == routes


def test_the_table_of_permissions_is_the_policys() -> None:
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|([^|]*)\|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
    listed = {
        permission: [role for role, cell in zip((3, 2, 1), cells, strict=True) if "✓" in cell]
        for names, *cells in rows
        for permission in re.findall("[A-Z_]+", names)
    }
    assert listed == {
        permission.value: [role for role in (3, 2, 1) if role >= least]
        for permission, least in LEAST_ROLE.items()
    }
