"""Signing in and out: `/api/auth/…`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.accounts import find_user, record_sign_in
from auth.identity import Identity
from auth.permissions import Grant
from auth.sessions import SessionTokens
from hub.cookies import SessionCookie
from hub.demo_users import DEMO_USERS, demo_person
from hub.responses import problem_response
from models.ids import new_id
from schema.common import print_time
from schema.errors import Problem

NO_STORE = {"Cache-Control": "no-store"}


class _DemoSignIn(msgspec.Struct):
    user: str


def auth_routes(*, demo: bool, secure: bool, sessions: SessionTokens) -> list[BaseRoute]:
    """`secure`: whether browsers come by https."""
    handlers = _Handlers(demo=demo, cookie=SessionCookie(secure), sessions=sessions)
    return [
        Route("/api/auth/providers", handlers.providers),
        Route("/api/auth/me", handlers.me),
        Route("/api/auth/logout", handlers.logout, methods=["POST"]),
        Route("/api/auth/demo", handlers.sign_in_to_demo, methods=["POST"]),
    ]


@dataclass(frozen=True, kw_only=True)
class _Handlers:
    demo: bool
    cookie: SessionCookie
    sessions: SessionTokens

    async def providers(self, _request: Request) -> Response:
        return JSONResponse({"providers": [], **({"demo": list(DEMO_USERS)} if self.demo else {})})

    async def me(self, request: Request) -> Response:
        identity: Identity | None = request.state.identity
        if identity is None:
            return problem_response(request.scope, Problem("UNAUTHENTICATED", "Sign in first"))
        return JSONResponse(_viewer(identity), headers=NO_STORE)

    async def logout(self, _request: Request) -> Response:
        return Response(status_code=204, headers={"Set-Cookie": self.cookie.clearing()})

    async def sign_in_to_demo(self, request: Request) -> Response:
        if not self.demo:
            return problem_response(request.scope, Problem("NOT_FOUND", "There is no demo here"))
        try:
            user = msgspec.json.decode(await request.body(), type=_DemoSignIn).user
        except msgspec.DecodeError:
            user = ""
        if user not in DEMO_USERS:
            fields = [{"path": "user", "message": f"must be one of {', '.join(DEMO_USERS)}"}]
            problem = Problem("BAD_USER_INPUT", "There is no such demo user", {"fields": fields})
            return problem_response(request.scope, problem)
        now = datetime.now(UTC)
        user_id = await find_user(demo_person(user))
        await record_sign_in(user_id, now=now)
        token = self.sessions.sign(user_id=user_id, session_id=new_id("ses"), now=now)
        seconds = int(self.sessions.lifetime.total_seconds())
        headers = NO_STORE | {"Set-Cookie": self.cookie.setting(token, seconds=seconds)}
        return JSONResponse({"accessToken": token, "expiresIn": seconds}, headers=headers)


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
