"""From the sign-in page to a query in the explorer, by Entra ID and by GitHub, both enabled at once."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from auth.permissions import Role
from auth.providers.config import EntraConfig, GithubConfig, SignInConfig
from auth.providers.errors import Code
from models.ids import new_id
from models.tables import GroupMapping
from tests.support.browser import Page
from tests.support.explorer import OPERATION, RESPONSE
from tests.support.github_server import CLIENT_ID as GITHUB_ID
from tests.support.github_server import CLIENT_SECRET as GITHUB_SECRET
from tests.support.github_server import GithubServer, an_organisation
from tests.support.graph_server import GraphServer
from tests.support.hub import HubUnderTest, free_port, hub_settings, serving
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider

pytestmark = [pytest.mark.browser, pytest.mark.node]

TEXTS = Path(__file__).parents[2] / "web" / "src" / "login" / "texts.ts"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ADA = {"oid": "11111111-2222-3333-4444-555555555555", "tid": TENANT, "name": "Ada Lovelace"}
QUESTION = "query Me { viewer { displayName provider grants { role instanceId source } } }"


@dataclass(frozen=True)
class World:
    hub: HubUnderTest
    entra: IdentityProvider
    graph: GraphServer
    github: GithubServer

    @property
    def base(self) -> str:
        return f"http://localhost:{self.hub.port}"


@pytest.fixture(scope="module")
async def world(node_identity: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    port = free_port()
    async with (
        GraphServer().serving() as graph,
        GithubServer().serving() as github,
        identity_provider(
            node_identity,
            path=f"/{TENANT}/v2.0",
            redirect_uris=[f"http://localhost:{port}/api/auth/callback/entra"],
            people={"ada": ADA},
            discovery={"msgraph_host": graph.url.removeprefix("http://")},
        ) as entra,
    ):
        config = SignInConfig(
            entra=EntraConfig(
                tenant=TENANT, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, authority=entra.base
            ),
            github=GithubConfig(client_id=GITHUB_ID, client_secret=GITHUB_SECRET, url=github.url),
        )
        settings = hub_settings(tmp_path_factory.mktemp("hub"), port=port, sign_in=config)
        async with serving(settings) as hub:
            with hub.running.database.entered():
                for provider in ("entra", "github"):
                    await GroupMapping.create(
                        id=new_id("map"),
                        provider=provider,
                        group_id="9919",
                        group_name="Us",
                        role=int(Role.VIEWER),
                        instance_id=f"of-{provider}",
                    )
            yield World(hub, entra, graph, github)


async def ask(page: Page) -> dict[str, object]:
    """The explorer's answer to who this is."""
    await page.until(f"{OPERATION}.includes('query')")
    model = OPERATION.removesuffix(".getValue()")
    await page.evaluate(f"{model}.setValue({QUESTION!r})")
    await page.click(".graphiql-execute-button")
    await page.until(f"{RESPONSE}.includes('viewer')")
    answer = msgspec.json.decode(await page.evaluate(RESPONSE))
    viewer: dict[str, object] = answer["data"]["viewer"]
    return viewer


async def sign_in_at_entra(page: Page, world: World) -> None:
    await page.goto(f"{world.base}/login")
    await page.click("a.choice", text="Sign in with Microsoft")
    await page.until(f"location.href.startsWith({world.entra.issuer!r})")
    await page.until("Boolean(document.querySelector('[name=login]'))")
    await page.evaluate("document.querySelector('[name=login]').value = 'ada'")
    await page.evaluate("document.querySelector('[name=password]').value = 'any'")
    await page.click("button[type=submit]")
    await page.until("document.body.innerText.includes('Authorize')")
    await page.click("button[type=submit]")


async def test_by_entra(page: Page, world: World) -> None:
    world.graph.groups = ["9919", *(str(number) for number in range(250))]
    world.graph.page_size = 200
    await sign_in_at_entra(page, world)
    await page.until("document.querySelector('.person')?.innerText.includes('Ada Lovelace')")
    assert await ask(page) == {
        "displayName": "Ada Lovelace",
        "provider": "ENTRA",
        "grants": [{"role": "VIEWER", "instanceId": "of-entra", "source": "GROUP"}],
    }


async def test_groups_that_could_not_be_read_are_said_to_the_person(page: Page, world: World) -> None:
    world.graph.status = 403
    await sign_in_at_entra(page, world)
    await page.until("document.querySelector('.notice')?.innerText.includes('let the hub read your groups')")
    world.graph.status = 200


async def test_by_github(page: Page, world: World) -> None:
    world.github.organisations = [an_organisation(9919)]
    await page.goto(f"{world.base}/login?returnTo=%2Fgraphql")
    await page.click("a.choice", text="Sign in with GitHub")
    await page.until("document.querySelector('.person')?.innerText.includes('The Octocat')")
    assert await ask(page) == {
        "displayName": "The Octocat",
        "provider": "GITHUB",
        "grants": [{"role": "VIEWER", "instanceId": "of-github", "source": "GROUP"}],
    }
    assert page.complaints == []


async def test_a_person_who_turns_back_is_told_and_tries_again(page: Page, world: World) -> None:
    world.github.refuses = True
    await page.goto(f"{world.base}/login?returnTo=%2F%3Fagain")
    await page.click("a.choice", text="Sign in with GitHub")
    await page.until("document.querySelector('[role=alert]')?.innerText.includes('You cancelled')")
    world.github.refuses = False
    await page.click("a.choice", text="Sign in with GitHub")
    await page.until("document.querySelector('.person')?.innerText.includes('The Octocat')")
    assert f"{world.base}/?again" in page.requests


def test_every_failure_has_its_words() -> None:
    explained = set(re.findall(r"^  ([a-z_]+):", TEXTS.read_text(), re.MULTILINE))
    assert {str(code) for code in Code} | {"session_expired"} <= explained
