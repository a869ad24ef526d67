"""An OpenID authority on loopback that can be told to lie: Entra ID's shape, or any provider's.

Whoever comes is signed in at once as the person of `claims`. It checks what a real one checks: the client,
the redirect address, each code once, PKCE, each refresh token once.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.serving import served

CLIENT_ID, CLIENT_SECRET = "hub", "the client's secret"
MISSING = object()
"""A claim, or a part of an answer, that is to be left out."""


def a_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, auto_kid=False)


FIRST, SECOND = a_key("first"), a_key("second")


@dataclass
class OpenIdServer:
    path: str = ""
    """What comes before `/.well-known`."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Of whoever signs in."""
    published: list[RSAKey] = field(default_factory=lambda: [FIRST])
    metadata: dict[str, Any] = field(default_factory=dict)
    """Instead of what it would say of itself."""
    lies: dict[str, Any] = field(default_factory=dict)
    """Claims of the ID token instead of the true ones."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Parts of the token answer instead of the true ones."""
    callback: dict[str, Any] = field(default_factory=dict)
    """Parameters of the callback instead of the true ones."""
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "first"})
    signed_with: Any = field(default_factory=lambda: FIRST)
    userinfo: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by the last part of their path."""
    shown: list[dict[str, str]] = field(default_factory=list)
    """What came to the token endpoint."""
    url: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _refresh_tokens: set[str] = field(default_factory=set)

    @property
    def issuer(self) -> str:
        return self.url + self.path

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OpenIdServer"]:
        handlers = {
            "/.well-known/openid-configuration": self._metadata,
            "/authorize": self._authorize,
            "/token": self._token,
            "/keys": self._keys,
            "/userinfo": self._userinfo,
        }
        routes = [
            Route(self.path + path, self._counted(handler), methods=["GET", "POST"])
            for path, handler in handlers.items()
        ]
        async with served(Starlette(routes=routes)) as self.url:
            yield self

    def _counted(self, handler: Any) -> Any:
        async def handle(request: Request) -> Response:
            self.asked[request.url.path.rpartition("/")[2]] += 1
            if self.down:
                return Response(status_code=503)
            response: Response = await handler(request)
            return response

        return handle

    async def _metadata(self, _request: Request) -> Response:
        endpoints = {
            name: f"{self.issuer}/{path}"
            for name, path in (
                ("authorization_endpoint", "authorize"),
                ("token_endpoint", "token"),
                ("jwks_uri", "keys"),
            )
        }
        methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        said = {"issuer": self.issuer, **endpoints, **methods, **self.metadata}
        if self.userinfo:
            said["userinfo_endpoint"] = f"{self.issuer}/userinfo"
        return JSONResponse(said)

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.published]})

    async def _userinfo(self, request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("Bearer access-"):
            return Response(status_code=401)
        return JSONResponse(self.userinfo)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT_ID or asked.get("code_challenge_method") != "S256":
            return Response(status_code=400)
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        said = {"code": code, "state": asked["state"], **self.callback}
        query = urlencode({name: value for name, value in said.items() if value is not MISSING})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        shown = dict(parse_qsl((await request.body()).decode()))
        self.shown.append(shown)
        if (shown.get("client_id"), shown.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _refused("invalid_client")
        if shown["grant_type"] == "refresh_token":
            if shown["refresh_token"] not in self._refresh_tokens:
                return _refused("invalid_grant")
            self._refresh_tokens.remove(shown["refresh_token"])
            return self._tokens({})
        begun = self._codes.pop(shown["code"], None)
        if begun is None or begun["redirect_uri"] != shown["redirect_uri"]:
            return _refused("invalid_grant")
        digest = hashlib.sha256(shown["code_verifier"].encode()).digest()
        if _text(digest) != begun["code_challenge"]:
            return _refused("invalid_grant")
        return self._tokens({"nonce": begun["nonce"]})

    def _tokens(self, repeated: dict[str, str]) -> Response:
        refresh_token = f"refresh-{secrets.token_urlsafe()}"
        self._refresh_tokens.add(refresh_token)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 600,
            **repeated,
            **self.claims,
            **self.lies,
        }
        true = {
            "access_token": f"access-{secrets.token_urlsafe()}",
            "token_type": "Bearer",
            "refresh_token": refresh_token,
            "id_token": self._signed(_present(claims)),
        }
        return JSONResponse(_present({**true, **self.answer}))

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.header["alg"] == "none":
            return ".".join([*(_text(json.dumps(part).encode()) for part in (self.header, claims)), ""])
        if self.header["alg"] == "HS256":
            # As if the public key were a secret; joserfc would refuse to.
            signed = ".".join(_text(json.dumps(part).encode()) for part in (self.header, claims))
            return f"{signed}.{_text(hmac.digest(FIRST.as_pem(private=False), signed.encode(), 'sha256'))}"
        algorithms = [self.header["alg"]]
        return jwt.encode(self.header, claims, self.signed_with, algorithms=algorithms)

    def reset(self, **fields: Any) -> None:
        """As if it had just been made, with these fields; it goes on serving where it is."""
        vars(self).update(vars(OpenIdServer(path=self.path, url=self.url, **fields)))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _present(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if value is not MISSING}


def _refused(error: str) -> Response:
    return JSONResponse({"error": error, "error_description": "as it says"}, 400)
