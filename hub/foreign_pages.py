"""Against pages of other sites that a person's browser has open: they may neither read nor do anything here.

A page that rebinds its own name to the hub's address shows by Host, any other page by Origin, and a form,
which sends neither a JSON content type nor a header of ours, by their absence.
"""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.paths import PROBES, can_act
from hub.responses import problem_response
from hub.settings import HttpSettings
from schema.errors import Problem

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


class KnownHostAndOrigin:
    """Refuses another Host with 421, and an Origin that isn't ours or allowed with 403; handshakes too."""

    def __init__(self, app: ASGIApp, *, http: HttpSettings) -> None:
        self._app = app
        self._origins = {http.public_origin, *http.allowed_origins} - {None}
        # A hub without a public address is reached through a forwarded port, under a name of loopback.
        self._local = http.loopback or http.public_host is None
        self._hosts = {http.public_host, *(LOOPBACK_NAMES if self._local else ())} - {None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        await (self._refusal(scope) or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if scope["path"] not in PROBES and not self._knows_host(scope["state"]["host"]):
            problem = Problem("FORBIDDEN", "The hub isn't known by this Host; see AUTH_CALLBACK_URL")
            return problem_response(scope, problem, status=421)
        if not self._knows_origin(scope, headers.getlist("origin")):
            problem = Problem("FORBIDDEN", "Pages of this Origin may not use the hub; see ALLOWED_ORIGINS")
            return problem_response(scope, problem)
        return None

    def _knows_host(self, given: str | None) -> bool:
        """By name alone: the port is whatever was forwarded to ours."""
        match = _HOST.fullmatch(given) if given else None
        return match is not None and match[1] in self._hosts

    def _knows_origin(self, scope: Scope, given: list[str]) -> bool:
        return given == [] or (
            len(given) == 1 and (given[0] in self._origins or self._is_local(scope, given[0]))
        )

    def _is_local(self, scope: Scope, origin: str) -> bool:
        """Other ports of loopback are other people's pages."""
        if not self._local:
            return False
        port = scope["server"][1]
        suffix = "" if port == 80 else f":{port}"
        return origin in [f"http://{name}{suffix}" for name in LOOPBACK_NAMES]


class NoForms:
    """Refuses what acts in somebody's name unless it has a bearer, JSON content or X-Hub-Request (403)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not can_act(scope) or _is_meant(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        problem = Problem("FORBIDDEN", "Send content-type: application/json, X-Hub-Request or a bearer token")
        await problem_response(scope, problem)(scope, receive, send)


def _is_meant(headers: Headers) -> bool:
    return (
        headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        or "x-hub-request" in headers
        or headers.get("authorization", "").lower().startswith("bearer ")
    )
