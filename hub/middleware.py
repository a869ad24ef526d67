"""What every request passes on its way in, HTTP and WebSocket alike, and in which order."""

import re

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars
from ulid import ULID

from auth.audit_trail import AuditTrail
from auth.authenticator import Authenticator
from hub.authentication import Authentication
from hub.client_address import ClientAddress
from hub.cookies import SessionCookies
from hub.foreign_pages import KnownHostAndOrigin, NoForms
from hub.paths import is_api, is_graphql
from hub.responses import adding_header
from hub.settings import HttpSettings
from models.database import Database

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def middleware(
    *, http: HttpSettings, authenticator: Authenticator, database: Database, trail: AuditTrail
) -> list[Middleware]:
    """For Starlette, outermost first."""
    return [
        Middleware(RequestIds),
        Middleware(ClientAddress, http=http),
        Middleware(KnownHostAndOrigin, http=http),
        # Before all that may answer 401 or 403, which an allowed page is to be able to read.
        Middleware(Cors, origins=http.allowed_origins),
        Middleware(NoForms),
        Middleware(EnteredDatabase, database=database),
        Middleware(
            Authentication, authenticator=authenticator, cookies=SessionCookies(http.secure), trail=trail
        ),
    ]


class RequestIds:
    """Names each request: in `scope["state"]["request_id"]`, the log and the X-Request-Id header.

    A name that comes with the request is kept, so that it can be followed through several services.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(ULID())
        scope.setdefault("state", {})["request_id"] = request_id
        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, adding_header(send, "X-Request-Id", request_id))


class Cors:
    """Lets pages of ALLOWED_ORIGINS read answers of the API, with their cookies."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Accept", "Authorization", "Content-Type", "X-Hub-Request", "X-Request-Id"),
            allow_credentials=True,
            expose_headers=("Retry-After", "X-Request-Id"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and (is_graphql(scope) or is_api(scope))
        await (self._cors if shared else self._app)(scope, receive, send)


class EnteredDatabase:
    """Tables are reached through a context variable, which a request doesn't inherit from the lifespan."""

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._database.entered():
            await self._app(scope, receive, send)
