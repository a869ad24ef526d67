"""Sessions over HTTP: `/api/auth/…`. What a browser shows here may have expired: it comes to refresh it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from tortoise.transactions import in_transaction

from auth.accounts import find_user, record_sign_in
from auth.audit import Act, Outcome, Verdict
from auth.errors import AuthError, IdentityUnavailable, Reason, TokenReused, Unauthenticated
from auth.identity import Identity, Method
from auth.permissions import Grant
from auth.providers.catalogue import ProviderInfo
from auth.session_rows import revoke_sessions
from hub.auditing import noted, origin_by_session, record_at_once, trail_of
from hub.client_address import rate_key
from hub.demo_users import DEMO_USERS, demo_person
from hub.responses import problem_response
from hub.sessions import BrowserSessions
from hub.settings import RateSettings
from hub.sign_in_routes import login_url
from models.rates import count
from schema.common import print_time
from schema.errors import Problem, describe

NO_STORE = {"Cache-Control": "no-store"}


class _DemoSignIn(msgspec.Struct):
    user: str


def auth_routes(
    *, demo: bool, browsers: BrowserSessions, rates: RateSettings, offered: Sequence[ProviderInfo] = ()
) -> list[BaseRoute]:
    """`offered`: the ways to sign in."""
    handlers = _Handlers(demo=demo, browsers=browsers, rates=rates, offered=offered)
    return [
        Route("/api/auth/providers", handlers.providers),
        Route("/api/auth/me", me),
        Route("/api/auth/refresh", noted("refresh", handlers.refresh), methods=["POST"]),
        Route("/api/auth/logout", noted("signOut", handlers.logout), methods=["POST"]),
        Route("/api/auth/demo", noted("signIn", handlers.sign_in_to_demo), methods=["POST"]),
    ]


async def me(request: Request) -> Response:
    identity = _recognised(request)
    if identity is None:
        return problem_response(request.scope, Problem("UNAUTHENTICATED", "Sign in first"))
    return JSONResponse(_viewer(identity), headers=NO_STORE)


@dataclass(frozen=True, kw_only=True)
class _Handlers:
    demo: bool
    browsers: BrowserSessions
    rates: RateSettings
    offered: Sequence[ProviderInfo]

    async def providers(self, _request: Request) -> Response:
        offered = [
            {"id": each.id, "name": each.name, "loginUrl": login_url(each.id)} for each in self.offered
        ]
        return JSONResponse({"providers": offered, **({"demo": list(DEMO_USERS)} if self.demo else {})})

    async def refresh(self, request: Request) -> Response:
        """By the refresh token alone; 401 takes both cookies away, for there is nothing left to refresh."""
        cookies, sessions = self.browsers.cookies, self.browsers.sessions
        try:
            refresh_token = cookies.refresh_token(request.headers)
            if refresh_token is None:
                raise Unauthenticated(Reason.INVALID_CREDENTIAL)
            # Whoever invents tokens of a session must not use up what its person may do.
            family = sessions.family_of(refresh_token) or rate_key(request.state.client_address)
            await count(family, self.rates.refresh)
            issued = await sessions.refresh(refresh_token, now=datetime.now(UTC))
        except Unauthenticated as error:
            if isinstance(error, TokenReused):
                words = f"a refresh token was used twice; the session of {error.person} was ended"
                refused = Verdict(Outcome.REFUSED, "UNAUTHENTICATED", words)
                act = Act(action="reuseRefreshToken", target=error.session_id)
                await record_at_once(request.scope, act, refused)
            return cookies.take(problem_response(request.scope, describe(error)))
        return cookies.give(Response(status_code=204, headers=NO_STORE), issued)

    async def logout(self, request: Request) -> Response:
        """Ends the session of the access token, and that of the refresh token if the other has expired."""
        identity, now = _recognised(request), datetime.now(UTC)
        async with in_transaction():
            ended: list[str | None] = []
            if identity is not None and identity.method is Method.SESSION:
                ended += await revoke_sessions(identity.user_id, only=[identity.credential_id], now=now)
            ended.append(await self.browsers.end(request, now=now))
            for session_id in filter(None, ended):
                by = await origin_by_session(request.scope, session_id)
                await trail_of(request.scope).record(by, Act(action="signOut", target=session_id))
        return self.browsers.cookies.take(Response(status_code=204))

    async def sign_in_to_demo(self, request: Request) -> Response:
        if not self.demo:
            return problem_response(request.scope, Problem("NOT_FOUND", "There is no demo here"))
        await count(rate_key(request.state.client_address), self.rates.sign_in)
        user = _demo_user(await request.body())
        if user is None:
            fields = [{"path": "user", "message": f"must be one of {', '.join(DEMO_USERS)}"}]
            problem = Problem("BAD_USER_INPUT", "There is no such demo user", {"fields": fields})
            return problem_response(request.scope, problem)
        now = datetime.now(UTC)
        user_id = await find_user(demo_person(user))
        async with in_transaction():
            await record_sign_in(user_id, now=now)
            issued = await self.browsers.begin(request, user_id, now=now)
            by = await origin_by_session(request.scope, issued.session_id)
            act = Act(action="signIn", target=issued.session_id, note="to the demo")
            await trail_of(request.scope).record(by, act)
        answer = {"accessToken": issued.access_token, "expiresIn": issued.access_seconds}
        return self.browsers.cookies.give(JSONResponse(answer, headers=NO_STORE), issued)


def _recognised(request: Request) -> Identity | None:
    """Raises `IdentityUnavailable`: while the database is away, nobody is told that they are nobody."""
    error: AuthError | None = request.state.auth_error
    if isinstance(error, IdentityUnavailable):
        raise error
    identity: Identity | None = request.state.identity
    return identity


def _demo_user(body: bytes) -> str | None:
    try:
        user = msgspec.json.decode(body, type=_DemoSignIn).user
    except msgspec.DecodeError:
        return None
    return user if user in DEMO_USERS else None


def _viewer(identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.user_id,
        "provider": identity.provider,
        "displayName": identity.display_name,
        "email": identity.email,
        "avatarUrl": identity.avatar_url,
        "isAdmin": identity.is_admin,
        "grants": [_grant(grant) for grant in identity.grants],
        "createdAt": print_time(identity.created_at),
        "lastSignInAt": identity.last_sign_in_at and print_time(identity.last_sign_in_at),
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "role": grant.role.name,
        "instanceId": grant.scope.instance_id,
        "namespaces": grant.scope.namespaces,
        "source": grant.source,
    }
