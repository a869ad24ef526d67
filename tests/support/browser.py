"""A headless Chromium that remembers everything its page asked for and complained of."""

import asyncio
import base64
import os
import shutil
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from websockets.asyncio.client import connect

from hub.pages import STATIC
from tests.support.devtools import CallFailed, DevTools
from tests.support.waiting import until

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1440,900",
)


class ScriptFailed(Exception):
    """An expression threw."""


class Page:
    """One tab. What it remembers is the tab's and its workers', from the start."""

    def __init__(self, devtools: DevTools, session: str, *, context: str) -> None:
        self.context = context
        """Of which the cookies and the storage are."""
        self.requests: list[str] = []
        """URLs, those of WebSockets included."""
        self.complaints: list[str] = []
        """Uncaught exceptions, console errors, failed loads, breaches of the Content-Security-Policy."""
        self._devtools = devtools
        self._session = session

    @property
    def hosts(self) -> set[str]:
        """Host and port of everything that was asked for over a network."""
        urls = map(urlsplit, self.requests)
        return {url.netloc for url in urls if url.scheme not in ("data", "blob", "about")}

    async def goto(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """What the expression, or the promise it gives, comes to. Raises ScriptFailed or CallFailed."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise ScriptFailed(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, expression: str, *, within: float = 20.0) -> None:
        """Waits until the expression is true; a TimeoutError shows it, the page's text and complaints."""

        async def holds() -> bool:
            try:
                return bool(await self.evaluate(expression))
            except (ScriptFailed, CallFailed):  # a page that isn't there yet, or is being left
                return False

        try:
            await until(holds, within=within)
        except TimeoutError as error:
            raise TimeoutError(f"{expression}\n{await self.text()}\n{self.complaints}") from error

    async def cookies(self) -> set[str]:
        """The names of those that this page would send, and of those that only `/api/auth` would get."""
        url = await self.evaluate("location.href")
        answer = await self.call("Network.getCookies", urls=[url, urljoin(url, "/api/auth/")])
        return {cookie["name"] for cookie in answer["cookies"]}

    async def text(self) -> str:
        return str(await self.evaluate("document.body.innerText"))

    async def click(self, selector: str, *, text: str = "") -> None:
        """Waits for an element that matches and holds the text, and clicks its middle as a mouse does."""
        found = f"[...document.querySelectorAll({selector!r})].find(e => e.innerText.includes({text!r}))"
        await self.until(f"Boolean({found})")
        x, y = await self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2] }})({found})"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def screenshot(self) -> bytes:
        """A PNG of what the window shows."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """A call of the DevTools protocol about this tab."""
        return await self._devtools.call(method, session=self._session, **params)

    def take(self, event: str, params: dict[str, Any]) -> None:
        """Remembers an event of the browser."""
        match event:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "assert"):
                self.complaints.append(str([arg.get("value", arg) for arg in params["args"]]))


class Browser:
    """A running Chromium."""

    def __init__(self, devtools: DevTools, tasks: asyncio.TaskGroup) -> None:
        self._devtools = devtools
        self._tasks = tasks
        self._pages: dict[str, Page] = {}
        """By DevTools session: the tabs' own and their workers'."""

    @asynccontextmanager
    async def tab(self, *, beside: Page | None = None) -> AsyncIterator[Page]:
        """With cookies and storage of its own, or those of the tab that it is `beside`."""
        call = self._devtools.call
        context = (
            beside.context if beside else (await call("Target.createBrowserContext"))["browserContextId"]
        )
        target = await call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = attached["sessionId"]
        page = self._pages[session] = Page(self._devtools, session, context=context)
        await self._watch(session)
        try:
            yield page
        finally:
            await call("Target.closeTarget", **target)
            if beside is None:
                await call("Target.disposeBrowserContext", browserContextId=context)

    def take(self, session: str, event: str, params: dict[str, Any]) -> None:
        """Passes an event on to the tab that it is about."""
        page = self._pages.get(session)
        if page is None:
            return
        page.take(event, params)
        if event == "Target.attachedToTarget":
            worker = params["sessionId"]
            self._pages[worker] = page
            self._tasks.create_task(self._watch_worker(worker), name="watch a worker")

    async def _watch_worker(self, session: str) -> None:
        with suppress(CallFailed):  # it has ended already
            await self._watch(session)

    async def _watch(self, session: str) -> None:
        """Asks for the events of a tab, or of a worker, which waits for that before it starts."""
        for domain in ("Network", "Log", "Runtime"):
            await self._devtools.call(f"{domain}.enable", session=session)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        await self._devtools.call("Target.setAutoAttach", session=session, **attach)
        await self._devtools.call("Runtime.runIfWaitingForDebugger", session=session)


@asynccontextmanager
async def chromium(executable: str) -> AsyncIterator[Browser]:
    """A fresh browser, with an empty profile that goes with it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            executable, *FLAGS, f"--user-data-dir={profile}", stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            url = await _devtools_url(Path(profile, "DevToolsActivePort"))
            async with connect(url, max_size=None) as connection, asyncio.TaskGroup() as tasks:
                devtools = DevTools(connection)
                browser = Browser(devtools, tasks)
                listening = tasks.create_task(devtools.listen(browser.take), name="listen to the browser")
                try:
                    yield browser
                finally:
                    listening.cancel()
        finally:
            process.terminate()
            await process.wait()


async def _devtools_url(announcement: Path) -> str:
    async def announced() -> bool:
        return bool(_lines(announcement))

    await until(announced, within=60)
    port, path = _lines(announcement)
    return f"ws://127.0.0.1:{port}{path}"


def _lines(announcement: Path) -> list[str]:
    """Port and path; empty while the browser is still starting."""
    lines = announcement.read_text().splitlines() if announcement.exists() else []
    return lines if len(lines) == 2 else []


def _executable() -> str:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    return _missing("No Chromium on PATH or in CHROMIUM")


def _missing(what: str) -> str:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium, with the pages under test built."""
    executable = _executable()
    if not (STATIC / "graphiql.html").is_file():
        _missing("The pages are not built: make web")
    async with chromium(executable) as running:
        yield running


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A tab of its own."""
    async with browser.tab() as opened:
        yield opened
