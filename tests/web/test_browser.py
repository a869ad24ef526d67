"""The browser of these tests sees what it is there to see: without that, its silence would prove nothing."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.browser import Page
from tests.support.serving import served
from tests.support.waiting import until

pytestmark = pytest.mark.browser

SINNER = """<script>
fetch("http://foreign.invalid/from-page").catch(() => {});
new WebSocket("ws://foreign.invalid/socket");
const blob = new Blob(["fetch('http://foreign.invalid/from-worker').catch(() => {})"]);
new Worker(URL.createObjectURL(blob));
setTimeout(() => { throw new Error("uncaught") });
</script>"""


async def sinner(_request: Request) -> Response:
    return HTMLResponse(SINNER)


async def forbidden(_request: Request) -> Response:
    return HTMLResponse(SINNER, headers={"Content-Security-Policy": "default-src 'self'"})


async def test_requests_of_pages_and_workers_are_remembered(page: Page) -> None:
    expected = {
        "http://foreign.invalid/from-page",
        "http://foreign.invalid/from-worker",
        "ws://foreign.invalid/socket",
    }

    async def heard() -> bool:
        return expected <= set(page.requests) and "uncaught" in str(page.complaints)

    async with served(Starlette(routes=[Route("/", sinner)])) as base:
        await page.goto(base)
        await until(heard)
    assert "foreign.invalid" in page.hosts


async def test_a_breach_of_the_policy_is_a_complaint(page: Page) -> None:
    async def heard() -> bool:
        return "Content Security Policy" in str(page.complaints)

    async with served(Starlette(routes=[Route("/", forbidden)])) as base:
        await page.goto(base)
        await until(heard)
    assert "foreign.invalid" not in page.hosts
