"""The explorer in a browser, against the running demo."""

import httpx2
import pytest

from tests.support.browser import Page
from tests.support.explorer import RESPONSE, TABS, open_tab, run, sign_in

pytestmark = pytest.mark.browser

CREATE = "mutation ($input: CreateDeploymentInput!) { createDeployment(input: $input) { deployment { id } } }"


async def create(base: str, name: str) -> None:
    """A model of the demo's deployer, made on a connection of its own."""
    place = {"instanceId": "prod-east", "namespace": "ml-team", "name": name}
    question = {"query": CREATE, "variables": {"input": {**place, "model": {"id": "Qwen/Qwen3-0.6B"}}}}
    async with httpx2.AsyncClient(base_url=base) as client:
        token = (await client.post("/api/auth/demo", json={"user": "deployer"})).json()["accessToken"]
        answer = await client.post("/graphql", json=question, headers={"authorization": f"Bearer {token}"})
    assert "errors" not in answer.json()


def host(base: str) -> str:
    return base.removeprefix("http://")


async def test_every_ready_tab_works_for_who_may_deploy(page: Page, demo_hub: str) -> None:
    await sign_in(page, demo_hub, "ml-team")
    answers = {tab: await run(page, tab) for tab in TABS if tab != "Watch"}
    assert {tab: answer["errors"] for tab, answer in answers.items() if "errors" in answer} == {}
    instances = answers["Instances"]["data"]["instances"]
    assert [node["id"] for node in instances["nodes"]] == ["prod-east"]
    deleted = answers["Delete"]["data"]["deleteDeployment"]["deletedDeploymentId"]
    assert deleted == "prod-east/ml-team/my-first-model"
    assert page.hosts == {host(demo_hub)}
    assert page.complaints == []


async def test_a_subscription_shows_what_others_do(page: Page, demo_hub: str) -> None:
    await sign_in(page, demo_hub, "viewer")
    await open_tab(page, "Watch")
    await page.click(".graphiql-execute-button")
    await page.until(f"{RESPONSE}.includes('SYNCED')")
    # Each event replaces the one before it: the title remembers.
    await page.evaluate(
        f"setInterval(() => {{ if ({RESPONSE}.includes('seen-live')) document.title = 'seen' }}, 1)"
    )
    await create(demo_hub, "seen-live")
    await page.until("document.title === 'seen'")
    await page.click(".graphiql-execute-button")
    await page.until("document.querySelector('.graphiql-execute-button').ariaLabel.startsWith('Execute')")
    assert f"ws://{host(demo_hub)}/graphql" in page.requests
    assert page.hosts == {host(demo_hub)}
    assert page.complaints == []


async def test_signing_out_ends_the_session(page: Page, demo_hub: str) -> None:
    await sign_in(page, demo_hub, "admin")
    await page.click("button", text="Sign out")
    await page.until("location.pathname === '/login'")
    await page.goto(f"{demo_hub}/graphql")
    await page.until("document.querySelector('.person').innerText.includes('Sign in to see your clusters')")


async def test_a_session_that_has_ended_is_told(page: Page, demo_hub: str) -> None:
    await sign_in(page, demo_hub, "viewer")
    await page.call("Network.clearBrowserCookies")
    await run(page, "Instances")
    await page.until("document.querySelector('.person').innerText.includes('Your session has ended')")


async def test_the_explorer_is_served_to_anybody(page: Page, demo_hub: str) -> None:
    await page.goto(f"{demo_hub}/graphql")
    await page.click("a", text="Sign in")
    await page.until("document.querySelectorAll('button.choice').length === 5")
    assert page.complaints == []
