"""Speaking to a provider over HTTP, and what went wrong in this package's words."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import JoseError
from msgspec import MsgspecError

from auth.providers.errors import (
    Expired,
    Misconfigured,
    NotPermitted,
    ProviderError,
    Unavailable,
    Unbelievable,
)
from auth.providers.errors import oauth_error as by_oauth_error

PATIENCE = 10.0
"""Seconds that a provider has for one answer."""
AGENT = "kubeairunway-hub"
TEXT_LIMIT = 300
"""Characters that the log takes of a provider's own words."""


class Web:
    """Connections to one provider: redirects aren't followed, and TLS certificates are checked."""

    def __init__(self, name: str, *, url: str) -> None:
        """`name` is for messages. On loopback, the environment's proxies are left out."""
        self.name = name
        self._outside = not is_loopback_url(url)
        # 60 ms: once for all connections, and beside the event loop (`Providers.get`).
        self._tls = httpx2.create_ssl_context(trust_env=self._outside)

    def oauth(self, client_id: str, client_secret: str, **options: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id, client_secret, code_challenge_method="S256", **self._options(), **options
        )

    async def get(
        self, url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """A 2xx answer. Raises what `translated` does."""
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(**self._options()) as client:
            with translated(self.name, token):
                response = await client.get(url, headers={**(headers or {}), **authorization})
                if not response.is_success:
                    raise httpx2.HTTPStatusError(
                        f"HTTP {response.status_code} from {url}: {_excerpt(response.text)}",
                        request=response.request,
                        response=response,
                    )
                return response

    async def get_object(
        self, url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object there."""
        response = await self.get(url, token=token, headers={"Accept": "application/json", **(headers or {})})
        with translated(self.name, token):
            data = response.json()
        if not isinstance(data, dict):
            raise Unbelievable(f"{self.name}: {url} answers no JSON object")
        return data

    def _options(self) -> dict[str, Any]:
        return {
            "verify": self._tls,
            "timeout": PATIENCE,
            "trust_env": self._outside,
            "headers": {"User-Agent": AGENT},
        }


@asynccontextmanager
async def within(seconds: float, name: str) -> AsyncIterator[None]:
    """Several requests that have to be over together."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(f"{name} did not answer within {seconds:g} s") from error


@contextmanager
def translated(name: str, *secrets: str | None) -> Iterator[None]:
    """Library errors become ours; `secrets` are struck out of what they say."""
    try:
        yield
    except OAuthError as error:
        text = f"{name} answers {error.error}: {_excerpt(str(error.description))}"
        # Its own words may repeat what was shown, so it isn't chained.
        raise by_oauth_error(str(error.error), redacted(text, *secrets)) from None
    except httpx2.HTTPStatusError as error:
        raise _by_status(error.response, redacted(f"{name}: {error}", *secrets)) from None
    except httpx2.HTTPError as error:
        raise Unavailable(f"{name} can't be reached: {error!r}") from error
    except JoseError as error:
        raise Unbelievable(f"{name}'s token fails a check: {error}") from error
    except (ValueError, MsgspecError, httpx2.InvalidURL) as error:
        raise Unbelievable(f"{name}'s answer isn't understood: {error}") from error


def redacted(text: str, *secrets: str | None) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def is_loopback_url(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(name: str, url: str, *, like: str) -> str:
    """The address, if it is https, or http on loopback as `like` is. Raises `Unbelievable`."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback_url(url) and is_loopback_url(like)):
        return url
    raise Unbelievable(f"{name} names an address that isn't https: {_excerpt(url)}")


def same_host(url: str, base: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(base)[:2]


def _by_status(response: httpx2.Response, text: str) -> ProviderError:
    status, headers = response.status_code, response.headers
    # GitHub says 403 for "too often", too.
    too_often = status == 429 or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    if too_often or status >= 500:
        return Unavailable(text)
    if status == 401:
        return Expired(text)
    return NotPermitted(text) if status == 403 else Misconfigured(text)


def _excerpt(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:TEXT_LIMIT]
