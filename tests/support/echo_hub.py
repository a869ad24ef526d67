"""A server with all of the hub's middleware, whose every route tells who came."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import httpx2
from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from auth.accounts import create_token, ensure_user, revoke_token
from auth.audit_trail import AuditTrail
from auth.authenticator import Authenticator
from auth.effective import GrantRules
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.issuing import Sessions
from auth.keys import KeyRing, signing_key
from auth.people import Person
from auth.sessions import SessionTokens
from hub.auth_routes import auth_routes
from hub.cookies import SessionCookies
from hub.middleware import middleware
from hub.responses import REFUSALS
from hub.sessions import BrowserSessions
from hub.settings import REFRESHES, SIGN_INS, HttpSettings, RateSettings
from models.database import Database
from tests.support.serving import served

SESSIONS = SessionTokens(keys=KeyRing(signing_key("secret")))
ADA, BOB = Person(Provider.GITHUB, "1001"), Person(Provider.GITHUB, "1002")
JSON = {"content-type": "application/json"}
PUBLIC = "https://hub.example.com"
PLENTY = RateSettings(
    sign_in=structs.replace(SIGN_INS, times=1_000), refresh=structs.replace(REFRESHES, times=1_000)
)
"""One address does all that a module's tests do."""
FRIEND = "https://ui.example.com"
"""A front end elsewhere, in the public hub's ALLOWED_ORIGINS."""


@dataclass(frozen=True)
class Hub:
    """A server whose every route tells who came."""

    client: httpx2.AsyncClient
    port: int
    ada: str
    bob: str

    async def post(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.post(path, headers=named(headers), content=b"{}")

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=named(headers))

    async def handshake(self, **headers: str) -> dict[str, Any]:
        """What the WebSocket's handler found, or the status and error of a refused handshake."""
        host = headers.pop("host", f"127.0.0.1:{self.port}")
        origin = headers.pop("origin", None)
        try:
            async with connect(
                f"ws://{host}/graphql",
                host="127.0.0.1",
                port=self.port,
                proxy=None,
                origin=None if origin is None else Origin(origin),
                additional_headers=named(headers),
            ) as socket:
                found: dict[str, Any] = json.loads(await socket.recv())
                return found
        except InvalidStatus as refused:
            return {
                "status": refused.response.status_code,
                "body": json.loads(refused.response.body or b"{}"),
            }


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def found(state: Any) -> dict[str, Any]:
    return {
        "subject": state.identity.subject if state.identity else None,
        "credential": state.credential,
        "error": type(state.auth_error).__name__ if state.auth_error else None,
        "requestId": state.request_id,
        "clientAddress": state.client_address,
        "baseUrl": state.base_url,
    }


async def echo(request: Request) -> Response:
    return JSONResponse(found(request.state))


async def echo_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(found(websocket.state))
    await websocket.close()


@asynccontextmanager
async def a_hub(
    database: Database,
    *,
    host: str = "127.0.0.1",
    public_url: str | None = None,
    allowed_origins: tuple[str, ...] = (),
    trusted_proxies: tuple[str, ...] = (),
    demo: bool = True,
    fresh_for: float = 1.0,
    rates: RateSettings = PLENTY,
    tokens: SessionTokens = SESSIONS,
) -> AsyncIterator[Hub]:
    http = HttpSettings(
        host=host,
        port=0,
        public_url=public_url,
        allowed_origins=allowed_origins,
        trusted_proxies=tuple(map(ip_network, trusted_proxies)),
    )
    browsers = BrowserSessions(sessions=Sessions(tokens=tokens), cookies=SessionCookies(http.secure))
    authenticator = Authenticator(sessions=tokens, rules=GrantRules(), fresh_for=fresh_for)
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(
        routes=[
            *auth_routes(demo=demo, browsers=browsers, rates=rates),
            Route("/api/things", echo, methods=methods),
            Route("/graphql", echo, methods=methods),
            Route("/healthz", echo),
            Route("/page", echo, methods=methods),
            WebSocketRoute("/graphql", echo_socket),
        ],
        middleware=middleware(http=http, authenticator=authenticator, database=database, trail=AuditTrail()),
        exception_handlers=REFUSALS,
    )
    people = await ensure_user(ADA), await ensure_user(BOB)
    async with served(app) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        yield Hub(client, int(url.rpartition(":")[2]), *people)


async def a_session(user_id: str, *, minutes_ago: int = 0) -> str:
    """The access token of a session that was begun then."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return (await Sessions(tokens=SESSIONS).begin(user_id, now=at)).access_token


async def a_token(user_id: str, *, revoked: bool = False) -> str:
    now = datetime.now(UTC)
    info, minted = await create_token(user_id, name="t", limits=TokenLimits(), expires_at=None, now=now)
    if revoked:
        await revoke_token(info.id, now=now)
    return minted.secret


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def cookie(credential: str) -> dict[str, str]:
    return {"cookie": f"hub_session={credential}"}
