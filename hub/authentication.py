"""Who sends a request: a bearer token, else the session cookie, else nobody."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.audit_trail import AuditTrail
from auth.authenticator import Authenticator
from auth.errors import AuthError, Reason, Unauthenticated
from hub.cookies import SessionCookies
from hub.paths import needs_sound_credential
from hub.responses import adding_header, problem_response
from schema.auditing import note_bad_credential
from schema.errors import describe

_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]{1,8192}=*)")


class Authentication:
    """Puts into the scope's state what the rest decides by:

    identity     who they are; None for nobody
    credential   what they showed, for checking again later; None for nobody
    auth_error   why what they showed is no good; None if it is good, or nothing was shown
    trail        where it is written down what they do

    In local mode everybody is the same person, whatever they show.

    A bad credential is 401 on `/graphql` and `/api`. Pages and sign-in ignore it; a WebSocket's handler
    judges it at init. A bad cookie is cleared.
    """

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, cookies: SessionCookies, trail: AuditTrail
    ) -> None:
        self._app = app
        self._trail = trail
        self._authenticator = authenticator
        self._cookies = cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        await self._recognise(scope)
        error = scope["state"]["auth_error"]
        if isinstance(error, Unauthenticated) and "authorization" not in Headers(scope=scope):
            send = adding_header(send, "set-cookie", self._cookies.clearing())
        if error and scope["type"] == "http" and needs_sound_credential(scope):
            state = scope["state"]
            note_bad_credential(
                self._trail, error, address=state["client_address"], request_id=state["request_id"]
            )
            await _refuse(scope, receive, send, error)
        else:
            await self._app(scope, receive, send)

    async def _recognise(self, scope: Scope) -> None:
        state = scope["state"]
        state.update(identity=None, credential=None, auth_error=None, trail=self._trail)
        if (everybody := self._authenticator.everybody) is not None:
            state.update(identity=everybody, credential=everybody.credential_id)
            return
        headers = Headers(scope=scope)
        authorization = headers.getlist("authorization")
        try:
            credential = _bearer(authorization) if authorization else self._cookies.access_token(headers)
            if credential is not None:
                identity = await self._authenticator.authenticate(credential)
                state.update(identity=identity, credential=credential)
        except AuthError as error:
            state["auth_error"] = error


def _bearer(given: list[str]) -> str:
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise Unauthenticated(Reason.INVALID_CREDENTIAL)
    return match[1]


async def _refuse(scope: Scope, receive: Receive, send: Send, error: AuthError) -> None:
    refused = isinstance(error, Unauthenticated)
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if refused else None
    await problem_response(scope, describe(error), headers=headers)(scope, receive, send)
