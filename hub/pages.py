"""The pages for people: the GraphQL explorer and sign-in. `make web` builds their files out of `web/`."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).with_name("static")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Monaco, the explorer's editor, writes its colours into <style>
        "font-src 'self' data:",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".ttf": "font/ttf"}
"""By file name ending; Python's own table differs between versions and machines."""


async def explorer(_request: Request) -> Response:
    """The GraphQL explorer, for a browser that opens `/graphql`."""
    return _page(STATIC / "graphiql.html")


def page_routes(static: Path = STATIC, *, sign_in: bool = True) -> list[BaseRoute]:
    """Everything for browsers but the explorer, which shares its address with the API. Where nobody signs in,
    the page for that leads to the explorer."""
    return [
        Route("/", _to_explorer),
        Route("/login", _serving(static / "login.html") if sign_in else _to_explorer),
        Route("/favicon.svg", _serving(static / "favicon.svg")),
        Mount("/assets", _Assets(directory=static / "assets", check_dir=False)),
    ]


async def _to_explorer(_request: Request) -> Response:
    return RedirectResponse("/graphql", status_code=302)


def _serving(file: Path) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return _page(file)

    return serve


def _page(file: Path) -> Response:
    if not file.is_file():
        return PlainTextResponse("The pages are not built. Run: make web\n", 503, HEADERS)
    return FileResponse(file, headers=HEADERS | {"Cache-Control": "no-cache", "Vary": "Accept"})


class _Assets(StaticFiles):
    """Files whose names carry a hash of their contents: cached for ever, compressed when they were built."""

    async def check_config(self) -> None:
        """No directory means not built, which the pages say; an asset is then simply not found."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        asked = Headers(scope=scope)
        headers = HEADERS | IMMUTABLE
        media_type = MEDIA_TYPES.get(Path(full_path).suffix)
        compressed = Path(f"{os.fspath(full_path)}.gz")
        if "gzip" in asked.get("accept-encoding", "") and compressed.is_file():
            full_path, stat_result = compressed, compressed.stat()
            headers["Content-Encoding"] = "gzip"
        response = FileResponse(full_path, status_code, headers, media_type, stat_result=stat_result)
        unchanged = self.is_not_modified(response.headers, asked)
        return NotModifiedResponse(response.headers) if unchanged else response
