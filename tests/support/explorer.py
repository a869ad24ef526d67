"""Using the explorer as people do."""

from typing import Any

import msgspec

from tests.support.browser import Page

TABS = ("Instances", "Deployments", "Summary", "Watch", "Deploy", "Delete")
OPERATION, RESPONSE = (
    f"globalThis.__MONACO.editor.getModels().find(m => m.uri.path.endsWith({name!r})).getValue()"
    for name in ("operation.graphql", "response.json")
)


async def sign_in(page: Page, base: str, user: str) -> None:
    await page.goto(f"{base}/login")
    await page.click("button", text=user)
    await until_ready(page, user)


async def until_ready(page: Page, user: str) -> None:
    await page.until(f"document.querySelector('.person')?.innerText.includes({user!r})")
    await page.until(f"{OPERATION}.includes('query')")


async def open_tab(page: Page, title: str) -> None:
    await page.click(f"#graphiql-session-tab-{TABS.index(title)}")
    await page.until(f"/ {title}\\b/.test({OPERATION})")


async def run(page: Page, title: str) -> Any:
    """The answer to what a ready tab asks."""
    await open_tab(page, title)
    await page.click(".graphiql-execute-button")
    await page.until(f"{RESPONSE}.endsWith('}}')")
    return msgspec.json.decode(await page.evaluate(RESPONSE))
