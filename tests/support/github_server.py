"""GitHub on loopback: OAuth with PKCE, and the part of the API that tells who somebody is, in its ways."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.serving import served

CLIENT_ID, CLIENT_SECRET = "hub", "the client's secret"
OCTOCAT = {
    "id": 583231,
    "login": "octocat",
    "name": "The Octocat",
    "avatar_url": "https://avatars.example.com/u/583231",
}


def a_mail(address: str, *, primary: bool = True, verified: bool = True) -> dict[str, Any]:
    return {"email": address, "primary": primary, "verified": verified, "visibility": None}


def an_organisation(number: int) -> dict[str, Any]:
    return {"id": number, "login": f"org-{number}"}


def a_team(number: int, organisation: int) -> dict[str, Any]:
    return {"id": number, "slug": f"team-{number}", "organization": an_organisation(organisation)}


@dataclass
class GithubServer:
    user: dict[str, Any] = field(default_factory=lambda: dict(OCTOCAT))
    emails: Sequence[dict[str, Any]] = (a_mail("octocat@example.com"),)
    organisations: Sequence[dict[str, Any]] = ()
    teams: Sequence[dict[str, Any]] = ()
    scope: str = "read:org,read:user,user:email"
    """Those that the person grants."""
    hides: str | None = None
    """X-GitHub-SSO."""
    token_error: str | None = None
    refuses: bool = False
    """The person says no."""
    status: int = 200
    """Of the API."""
    next_host: str | None = None
    shown: list[dict[str, str]] = field(default_factory=list)
    """What came to the token endpoint."""
    url: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["GithubServer"]:
        lists = {"user/emails": "emails", "user/orgs": "organisations", "user/teams": "teams"}
        routes = [
            Route("/login/oauth/authorize", self._authorize),
            Route("/login/oauth/access_token", self._token, methods=["POST"]),
            Route("/api/v3/user", self._user),
            *(Route(f"/api/v3/{path}", self._listing(name)) for path, name in lists.items()),
        ]
        async with served(Starlette(routes=routes)) as self.url:
            yield self

    def reset(self) -> None:
        """As if it had just been made; it goes on serving where it is."""
        vars(self).update(vars(GithubServer(url=self.url)))

    def revoke_tokens(self) -> None:
        self._tokens.clear()

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT_ID or asked.get("code_challenge_method") != "S256":
            return Response(status_code=404)
        code = secrets.token_hex(10)
        self._codes[code] = asked
        said = {"code": code}
        if self.refuses:
            said = {"error": "access_denied", "error_description": "The user has denied access"}
        return RedirectResponse(
            f"{asked['redirect_uri']}?{urlencode({**said, 'state': asked['state']})}", 302
        )

    async def _token(self, request: Request) -> Response:
        """Errors come with 200; without `Accept: application/json` the answer would be a form."""
        shown = dict(parse_qsl((await request.body()).decode()))
        self.shown.append(shown)
        assert request.headers["accept"] == "application/json"
        if self.token_error is not None:
            return _error(self.token_error)
        if (shown.get("client_id"), shown.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _error("incorrect_client_credentials")
        begun = self._codes.pop(shown["code"], None)
        digest = hashlib.sha256(shown["code_verifier"].encode()).digest()
        if begun is None or urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
            return _error("bad_verification_code")
        token = f"gho_{secrets.token_hex(18)}"
        self._tokens.add(token)
        return JSONResponse({"access_token": token, "token_type": "bearer", "scope": self.scope})

    async def _user(self, request: Request) -> Response:
        return self._answer(request, self.user)

    def _listing(self, name: str) -> Any:
        async def listing(request: Request) -> Response:
            rows, page = getattr(self, name), int(request.query_params.get("page", "1"))
            size = int(request.query_params["per_page"])
            response = self._answer(request, rows[(page - 1) * size : page * size])
            if page * size < len(rows):
                base = self.next_host or self.url
                following = f"{base}{request.url.path}?per_page={size}&page={page + 1}"
                response.headers["Link"] = f'<{following}>; rel="next", <{following}>; rel="last"'
            if self.hides is not None and name != "emails":
                response.headers["X-GitHub-SSO"] = self.hides
            return response

        return listing

    def _answer(self, request: Request, body: Any) -> Response:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            return JSONResponse({"message": "Bad credentials"}, 401)
        if self.status != 200:
            return JSONResponse({"message": "as it says"}, self.status)
        return JSONResponse(body, headers={"X-OAuth-Scopes": self.scope.replace(",", ", ")})


def _error(error: str) -> Response:
    return JSONResponse({"error": error, "error_description": "as it says"})
