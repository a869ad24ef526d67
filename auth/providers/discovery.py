"""What an OpenID provider publishes of itself, and the keys that it signs with.

Both are kept for a while, never for ever: a key that the provider withdraws stops being good here. An unknown
key is looked for at once, because keys rotate, but at most once a minute: such a token may be anybody's.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from auth.providers.errors import Unbelievable
from auth.providers.web import Web, check_address, translated

KEPT = 600.0
"""Seconds for which metadata and keys are believed."""
SEARCH_EVERY = 60.0
"""Seconds between two searches for an unknown key."""


class Metadata(msgspec.Struct, frozen=True):
    """The part of OpenID Connect Discovery 1.0 that is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    prompt_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False
    msgraph_host: str | None = None
    """Entra's: where its cloud has Microsoft Graph."""


class Jwk(msgspec.Struct, frozen=True):
    key: Key
    issuer: str | None
    """Entra's: whose tokens alone it signs, with a literal `{tenantid}` if everybody's."""


class Discovery:
    def __init__(self, web: Web, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`url` is where the metadata is."""
        self._web = web
        self._url = url
        self._clock = clock
        self._lock = asyncio.Lock()
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, dict[str | None, Jwk]] | None = None
        self._searched_at = float("-inf")

    async def metadata(self) -> Metadata:
        async with self._lock:
            return await self._current_metadata()

    async def key(self, kid: str | None) -> Jwk:
        """The published key of this id; without an id, the only one. Raises `Unbelievable`."""
        async with self._lock:
            if self._keys is None or self._clock() - self._keys[0] >= KEPT:
                self._keys = (self._clock(), await self._read_keys())
            elif kid not in self._keys[1] and self._clock() - self._searched_at >= SEARCH_EVERY:
                self._searched_at = self._clock()
                self._keys = (self._clock(), await self._read_keys())
            found = self._keys[1].get(kid)
        if found is None:
            raise Unbelievable(f"{self._web.name} signed with the key {kid!r}, which it doesn't publish")
        return found

    async def _current_metadata(self) -> Metadata:
        if self._metadata is None or self._clock() - self._metadata[0] >= KEPT:
            self._metadata = (self._clock(), await self._read_metadata())
        return self._metadata[1]

    async def _read_metadata(self) -> Metadata:
        data = await self._web.get_object(self._url)
        with translated(self._web.name):
            metadata = msgspec.convert(data, Metadata)
        for endpoint in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
            metadata.userinfo_endpoint,
        ):
            if endpoint is not None:
                check_address(self._web.name, endpoint, like=self._url)
        return metadata

    async def _read_keys(self) -> dict[str | None, Jwk]:
        data = await self._web.get_object((await self._current_metadata()).jwks_uri)
        published = data.get("keys")
        if not isinstance(published, list):
            raise Unbelievable(f"{self._web.name} publishes no keys")
        keys = {jwk.get("kid"): key for jwk in published if (key := _signing_key(jwk)) is not None}
        if len(keys) == 1:
            keys[None] = next(iter(keys.values()))
        else:
            keys.pop(None, None)
        return keys


def _signing_key(jwk: Any) -> Jwk | None:
    """None for what signs nothing, or is of a kind that isn't known here."""
    kinds: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    if not isinstance(jwk, dict) or jwk.get("kty") not in kinds or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(jwk.get("kid"), str | None):
        return None
    try:
        key = kinds[jwk["kty"]].import_key(jwk)
    except (JoseError, ValueError):
        return None
    issuer = jwk.get("issuer")
    return Jwk(key, issuer if isinstance(issuer, str) else None)
