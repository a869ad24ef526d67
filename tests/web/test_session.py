"""A session in the explorer: it goes on silently while it lasts, in every tab, and then ends everywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth.session_rows import revoke_sessions
from hub.demo.cluster import SimulatedCluster
from hub.demo_users import ensure_demo_users
from models.tables import Session
from tests.support.browser import Browser, Page
from tests.support.explorer import RESPONSE, open_tab, run, sign_in, until_ready
from tests.support.hub import HubUnderTest, hub_settings, serving
from tests.support.simulation import model_deployment
from tests.support.waiting import until

pytestmark = pytest.mark.browser

LIFETIME = timedelta(seconds=4)
"""Of access tokens, which have fifteen minutes elsewhere."""
EXECUTE = ".graphiql-execute-button"
SAID = "document.querySelector('.person').innerText.includes({!r})"


@asynccontextmanager
async def a_demo(
    folder: Path, cluster: SimulatedCluster, *, lifetime: timedelta = LIFETIME
) -> AsyncIterator[HubUnderTest]:
    settings = hub_settings(folder, demo=True)
    settings = replace(settings, auth=replace(settings.auth, access_lifetime=lifetime))
    async with serving(settings) as hub:
        with hub.running.database.entered():
            await ensure_demo_users(now=datetime.now(UTC))
        cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
        yield hub


def base(hub: HubUnderTest) -> str:
    return f"http://localhost:{hub.port}"


def asked(path: str, *pages: Page) -> int:
    """How often the pages have asked for it."""
    return sum(url.endswith(path) for page in pages for url in page.requests)


def sockets(page: Page) -> int:
    return sum(url.startswith("ws:") for url in page.requests)


async def until_expired(page: Page) -> None:
    """Browsers forget an access token at its end."""

    async def forgotten() -> bool:
        return await page.cookies() == {"hub_refresh"}

    await until(forgotten, within=60)


async def start_watching(page: Page) -> None:
    await open_tab(page, "Watch")
    await page.click(EXECUTE)
    await page.until(f"{RESPONSE}.includes('SYNCED')")
    # Each event replaces the one before it: the title remembers.
    await page.evaluate(
        f"setInterval(() => {{ if ({RESPONSE}.includes('llama')) document.title = 'seen' }}, 1)"
    )


async def test_an_expired_token_is_refreshed_without_a_word(
    page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with a_demo(tmp_path, simulated_cluster) as hub:
        await sign_in(page, base(hub), "viewer")
        await run(page, "Instances")
        assert asked("/api/auth/refresh", page) == 0
        await until_expired(page)
        answer = await run(page, "Deployments")
        assert "errors" not in answer
        assert asked("/api/auth/refresh", page) == 1
        assert await page.evaluate(SAID.format("viewer everywhere"))
        await until_expired(page)
        await page.goto(f"{base(hub)}/graphql")
        await page.until(SAID.format("viewer everywhere"))
        assert asked("/api/auth/refresh", page) == 2
        assert page.complaints == []


async def test_a_subscription_outlives_its_token(
    page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with a_demo(tmp_path, simulated_cluster) as hub:
        await sign_in(page, base(hub), "viewer")
        await start_watching(page)
        await until_expired(page)
        await asyncio.sleep(1.5)  # the hub looks at what is open once a second
        simulated_cluster.apply(model_deployment("llama"))
        await page.until("document.title === 'seen'")
        assert (sockets(page), asked("/api/auth/refresh", page)) == (1, 0)

        await page.click(EXECUTE)
        await page.until(f"document.querySelector({EXECUTE!r}).ariaLabel.startsWith('Execute')")
        await page.click(EXECUTE)
        await page.until(f"{RESPONSE}.includes('SYNCED')")
        assert (sockets(page), asked("/api/auth/refresh", page)) == (3, 1)
        assert page.complaints == []


async def test_of_two_tabs_one_refreshes(
    browser: Browser, page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    demo = a_demo(tmp_path, simulated_cluster, lifetime=4 * LIFETIME)  # for both to run within
    async with demo as hub, browser.tab(beside=page) as other:
        await sign_in(page, base(hub), "viewer")
        await other.goto(f"{base(hub)}/graphql")
        await until_ready(other, "viewer")
        await until_expired(page)
        answers = await asyncio.gather(run(page, "Instances"), run(other, "Instances"))
        assert [answer.keys() for answer in answers] == [{"data"}, {"data"}]
        assert asked("/api/auth/refresh", page, other) == 1
        assert page.complaints == other.complaints == []


async def test_signing_out_in_one_tab_ends_the_other(
    browser: Browser, page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with a_demo(tmp_path, simulated_cluster) as hub, browser.tab(beside=page) as other:
        await sign_in(page, base(hub), "viewer")
        await other.goto(f"{base(hub)}/graphql")
        await until_ready(other, "viewer")
        await start_watching(other)
        await until_expired(page)
        await page.click("button", text="Sign out")
        await page.until("location.pathname === '/login'")
        assert await page.cookies() == set()
        await other.until(SAID.format("Your session has ended"))
        assert asked("/api/auth/refresh", page, other) == 0
        with hub.running.database.entered():
            assert await Session.filter(revoked_at=None).count() == 0
        assert page.complaints == other.complaints == []


async def test_a_session_that_somebody_ended_is_told(
    page: Page, tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with a_demo(tmp_path, simulated_cluster) as hub:
        await sign_in(page, base(hub), "viewer")
        await start_watching(page)
        with hub.running.database.entered():
            (session,) = await Session.all()
            await revoke_sessions(session.user_id, now=datetime.now(UTC))
        await page.until(SAID.format("Your session has ended"))
        assert await page.cookies() == set()
        await page.goto(f"{base(hub)}/graphql")
        await page.until(SAID.format("Sign in to see your clusters"))
