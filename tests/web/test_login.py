"""The sign-in page in a browser, against a small server of the routes that it speaks to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hub.pages import page_routes
from tests.support.browser import Page
from tests.support.serving import served

pytestmark = pytest.mark.browser

DEMO = ["admin", "deployer", "ml-team", "viewer", "nobody"]
ENTRA = {"id": "entra", "name": "Microsoft", "loginUrl": "/api/auth/login/entra"}


@dataclass
class SignInServer:
    """Answers as the hub does, and notes who came in."""

    options: dict[str, object]
    refuses: bool = False
    entered: list[object] = field(default_factory=list)

    async def providers(self, _request: Request) -> Response:
        return JSONResponse(self.options)

    async def demo(self, request: Request) -> Response:
        if self.refuses:
            return Response(status_code=503)
        self.entered.append(await request.json())
        return JSONResponse({"accessToken": "t", "expiresIn": 900})

    async def anywhere(self, request: Request) -> Response:
        return PlainTextResponse(f"arrived at {request.url.path}?{request.url.query}")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        routes = [
            Route("/api/auth/providers", self.providers),
            Route("/api/auth/demo", self.demo, methods=["POST"]),
            *page_routes(),
            Route("/{path:path}", self.anywhere),
        ]
        async with served(Starlette(routes=routes)) as base:
            yield base


def host(base: str) -> str:
    return base.removeprefix("http://")


async def test_a_demo_user_comes_in_with_a_click(page: Page) -> None:
    server = SignInServer({"providers": [], "demo": DEMO})
    async with server.serve() as base:
        await page.goto(f"{base}/login")
        await page.until("document.querySelectorAll('button').length === 5")
        await page.click("button", text="ml-team")
        await page.until("document.body.innerText.includes('arrived at /graphql')")
        complaints = tuple(page.complaints)
    assert server.entered == [{"user": "ml-team"}]
    assert page.hosts == {host(base)}
    assert complaints == ()


async def test_every_demo_user_is_explained(page: Page) -> None:
    async with SignInServer({"providers": [], "demo": DEMO}).serve() as base:
        await page.goto(f"{base}/login")
        await page.until("document.querySelectorAll('button').length === 5")
        explained = await page.evaluate(
            "[...document.querySelectorAll('button')].map(b => b.innerText.split('\\n').length)"
        )
    assert explained == [2] * 5


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("/graphql?query=%7Bhub%7D", "/graphql?query=%7Bhub%7D"),
        ("//foreign.invalid/", "/graphql?"),
        ("/\\foreign.invalid/", "/graphql?"),
        ("/\t/foreign.invalid/", "/graphql?"),
        ("https://foreign.invalid/", "/graphql?"),
        ("javascript:alert(1)", "/graphql?"),
    ],
)
async def test_the_way_back_never_leaves_this_host(page: Page, asked: str, reached: str) -> None:
    async with SignInServer({"providers": [], "demo": DEMO}).serve() as base:
        await page.goto(f"{base}/login?returnTo={quote(asked, safe='')}")
        await page.click("button", text="viewer")
        await page.until("document.body.innerText.startsWith('arrived')")
        text = await page.text()
    assert text == f"arrived at {reached}"
    assert page.hosts == {host(base)}


async def test_a_provider_is_a_link_that_keeps_the_way_back(page: Page) -> None:
    async with SignInServer({"providers": [ENTRA]}).serve() as base:
        await page.goto(f"{base}/login?returnTo=%2Fgraphql%3Fa%3D1")
        await page.click("a", text="Sign in with Microsoft")
        await page.until("document.body.innerText.startsWith('arrived')")
        text = await page.text()
    assert text == "arrived at /api/auth/login/entra?returnTo=%2Fgraphql%3Fa%3D1"


async def test_after_a_failure_the_provider_is_to_ask_for_the_account(page: Page) -> None:
    async with SignInServer({"providers": [ENTRA]}).serve() as base:
        await page.goto(f"{base}/login?error=not_allowed&returnTo=%2Fa")
        await page.click("a", text="Sign in with Microsoft")
        await page.until("document.body.innerText.startsWith('arrived')")
        text = await page.text()
    assert text == "arrived at /api/auth/login/entra?returnTo=%2Fa&choose=account"


async def test_without_any_provider_it_says_how_to_get_a_token(page: Page) -> None:
    async with SignInServer({"providers": []}).serve() as base:
        await page.goto(f"{base}/login")
        await page.until("document.body.innerText.includes('No sign-in provider is configured')")
        assert "python -m hub token create" in await page.text()
        assert page.complaints == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("access_denied", "You cancelled the sign-in"),
        ("something_new", "The sign-in failed (something_new)."),
        ("<b>call 555-0100 to sign in</b>", "The sign-in failed. Try again"),
        ("toString", "The sign-in failed (toString)."),
    ],
)
async def test_a_failure_is_told_in_words(page: Page, code: str, words: str) -> None:
    async with SignInServer({"providers": [ENTRA]}).serve() as base:
        await page.goto(f"{base}/login?error={quote(code)}")
        await page.until("Boolean(document.querySelector('[role=alert]'))")
        alert = await page.evaluate("document.querySelector('[role=alert]').innerText")
    assert str(alert).startswith(words)


async def test_a_refused_sign_in_leaves_another_try(page: Page) -> None:
    async with SignInServer({"providers": [], "demo": DEMO}, refuses=True).serve() as base:
        await page.goto(f"{base}/login")
        await page.click("button", text="admin")
        await page.until("document.body.innerText.includes('Signing in as admin failed')")
        assert await page.evaluate("document.querySelectorAll('button:disabled').length") == 0
