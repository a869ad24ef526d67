"""npm's `oidc-provider`, a certified OpenID provider, in a process of its own on loopback.

`tests/identity/provider.mjs` sets it up. It asks for a name and a password as a real one does.
"""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from tests.support.node import IDENTITY

CLIENT_ID, CLIENT_SECRET = "hub", "the secret of a client: 100% + more"
STARTED_WITHIN = 30.0


@dataclass(frozen=True)
class IdentityProvider:
    issuer: str

    @property
    def base(self) -> str:
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    async def change(self, name: str, claims: Mapping[str, Any]) -> None:
        """The person of this name is made, or described otherwise from now on."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.put(f"{self.base}/people/{name}", json=dict(claims))
        assert answer.status_code == 204


@asynccontextmanager
async def identity_provider(
    node: str,
    *,
    path: str,
    redirect_uris: Sequence[str],
    people: Mapping[str, Mapping[str, Any]],
    discovery: Mapping[str, Any] | None = None,
) -> AsyncIterator[IdentityProvider]:
    """`path` comes after the host in its issuer; `discovery` is added to its metadata."""
    settings = {
        "path": path,
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUris": list(redirect_uris),
        "discovery": dict(discovery or {}),
        "people": {name: dict(claims) for name, claims in people.items()},
    }
    process = await asyncio.create_subprocess_exec(
        node, "provider.mjs", cwd=IDENTITY, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        async with asyncio.timeout(STARTED_WITHIN):
            issuer = (await process.stdout.readline()).decode().strip()
        assert issuer, "the provider ended before it listened"
        yield IdentityProvider(issuer)
    finally:
        process.stdin.close()
        await process.wait()


async def signed_in_as(name: str, url: str) -> str:
    """Follow the address of a sign-in, fill in both forms as a person does: where it leads back to."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        for _ in range(12):
            answer = await browser.get(url)
            if answer.status_code == 200:
                asked = "login" if 'name="login"' in answer.text else "consent"
                form = {"prompt": asked} | ({"login": name, "password": "any"} if asked == "login" else {})
                answer = await browser.post(url, data=form)
            assert answer.status_code in (302, 303), answer.text
            url = urljoin(url, answer.headers["location"])
            if "code=" in url or "error=" in url:
                return url
    raise AssertionError(f"still at {url}")
