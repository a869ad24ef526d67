"""Signing in without a browser: what its address bar and its cookies would do."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from auth.providers.config import EntraConfig, GithubConfig, OidcConfig, SignInConfig
from auth.providers.types import Begun, Callback, Provider, SignedIn
from tests.support.github_server import GithubServer
from tests.support.hub import HubClient
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET, OpenIdServer

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_TENANT = "99999999-86f1-41af-91ab-2d7cd011db47"
ADA = "11111111-2222-3333-4444-555555555555"
CLAIMS = {"sub": "s", "tid": TENANT, "oid": ADA, "name": "Ada", "groups": ["ml"]}
REDIRECT_URI = "http://127.0.0.1:1/callback"


async def at_provider(url: str) -> dict[str, str]:
    """Where the provider sends the browser back to, as the parameters of that address."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def a_callback(begun: Begun, returned: Mapping[str, str]) -> Callback:
    return Callback(
        code=returned["code"],
        issuer=returned.get("iss"),
        redirect_uri=REDIRECT_URI,
        verifier=begun.verifier,
        nonce=begun.nonce,
    )


async def signed_in(provider: Provider) -> SignedIn:
    """The whole way, as the provider sees it. Raises `ProviderError`."""
    begun = await provider.begin(redirect_uri=REDIRECT_URI)
    return await provider.finish(a_callback(begun, await at_provider(begun.url)))


@dataclass(frozen=True)
class Visitor:
    """A browser at a hub, with its cookies."""

    http: httpx2.AsyncClient

    async def begin(self, provider: str, **parameters: str) -> httpx2.Response:
        """The answer that sends it to the provider."""
        return await self.http.get(f"/api/auth/login/{provider}", params=parameters)

    async def sent_back(self, provider: str, **parameters: str) -> str:
        """The address of the callback, not yet visited."""
        answer = await self.begin(provider, **parameters)
        assert answer.status_code == 302, answer.text
        back = await self.http.get(answer.headers["location"])
        assert back.status_code == 302, back.text
        return str(back.headers["location"])

    async def sign_in(self, provider: str, **parameters: str) -> httpx2.Response:
        """The hub's answer to the callback."""
        return await self.http.get(await self.sent_back(provider, **parameters))


def failure(answer: httpx2.Response) -> str:
    """The code with which the sign-in page is opened."""
    assert answer.status_code == 302, answer.text
    address = urlsplit(answer.headers["location"])
    assert address.path == "/login", address
    return dict(parse_qsl(address.query))["error"]


@dataclass(frozen=True)
class Providers:
    """One of each kind."""

    entra: OpenIdServer
    github: GithubServer
    oidc: OpenIdServer

    @property
    def config(self) -> SignInConfig:
        client: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return SignInConfig(
            entra=EntraConfig(tenant=TENANT, authority=self.entra.url, **client),
            github=GithubConfig(url=self.github.url, **client),
            oidc=OidcConfig(issuer=self.oidc.issuer, name="Example", **client),
            allowed_email_domains=frozenset({"example.com"}),
        )

    def reset(self) -> None:
        """All tell the truth again."""
        self.entra.reset(claims=dict(CLAIMS))
        self.github.reset()
        self.oidc.reset(claims={"sub": "ada", "email": "ada@example.com", "email_verified": True})


@asynccontextmanager
async def serving_providers() -> AsyncIterator[Providers]:
    entra, oidc = OpenIdServer(path=f"/{TENANT}/v2.0"), OpenIdServer()
    async with entra.serving(), GithubServer().serving() as github, oidc.serving():
        providers = Providers(entra, github, oidc)
        providers.reset()
        yield providers


@asynccontextmanager
async def visiting(hub: HubClient) -> AsyncIterator[Visitor]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", trust_env=False) as http:
        yield Visitor(http)
