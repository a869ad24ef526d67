"""The authorisation code flow of OpenID Connect, with PKCE, state and nonce."""

from dataclasses import dataclass, field

import msgspec
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth.providers.discovery import Discovery, Metadata
from auth.providers.errors import Unbelievable
from auth.providers.id_tokens import Claims, IssuerOf, read_id_token
from auth.providers.types import Begun, Callback
from auth.providers.web import Web, translated

TENANT = "{tenantid}"
"""Stands in the issuer of Entra's metadata where it is that of several tenants."""


class Tokens(msgspec.Struct, frozen=True):
    """A token answer whose ID token was verified."""

    claims: Claims
    access_token: str
    refresh_token: str | None

    def __repr__(self) -> str:
        return "<Tokens>"


@dataclass(frozen=True, kw_only=True)
class CodeFlow:
    """With one provider, for one registered client. Everything raises `ProviderError`."""

    web: Web
    discovery: Discovery
    client_id: str
    client_secret: str = field(repr=False)
    issuer_of: IssuerOf

    async def begin(self, *, redirect_uri: str, scopes: tuple[str, ...], prompt: str | None = None) -> Begun:
        metadata = await self.discovery.metadata()
        verifier, nonce = generate_token(48), generate_token(32)
        async with self._client(metadata, redirect_uri=redirect_uri, scope=" ".join(scopes)) as client:
            url, state = client.create_authorization_url(
                metadata.authorization_endpoint,
                code_verifier=verifier,
                nonce=nonce,
                **({} if prompt is None else {"prompt": prompt}),
            )
        return Begun(url, state, verifier, nonce)

    async def finish(self, callback: Callback) -> Tokens:
        """The code for tokens."""
        if not callback.nonce or not callback.verifier:
            raise Unbelievable("this sign-in was begun without a nonce or a verifier")
        metadata = await self.discovery.metadata()
        # Before the code leaves this place: it may be another provider's (RFC 9207).
        _check_issuer(self.web.name, metadata, callback.issuer)
        async with self._client(metadata, redirect_uri=callback.redirect_uri) as client:
            with translated(self.web.name, callback.code, callback.verifier, self.client_secret):
                answer = await client.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=callback.code,
                    code_verifier=callback.verifier,
                )
        tokens = await self._verified(dict(answer), nonce=callback.nonce)
        if callback.issuer not in (None, tokens.claims["iss"]):
            raise Unbelievable(f"{self.web.name}'s callback is another issuer's than its ID token")
        return tokens

    async def refresh(self, refresh_token: str, *, scopes: tuple[str, ...] = ()) -> Tokens:
        """New tokens. Some providers change the refresh token with each use; the old one is then void.

        Without `scopes`, for all that was granted.
        """
        metadata = await self.discovery.metadata()
        async with self._client(metadata) as client:
            with translated(self.web.name, refresh_token, self.client_secret):
                answer = await client.refresh_token(
                    metadata.token_endpoint,
                    refresh_token=refresh_token,
                    **({"scope": " ".join(scopes)} if scopes else {}),
                )
        return await self._verified({"refresh_token": refresh_token, **answer}, nonce=None)

    async def _verified(self, answer: dict[str, object], *, nonce: str | None) -> Tokens:
        claims = await read_id_token(
            answer,
            name=self.web.name,
            discovery=self.discovery,
            client_id=self.client_id,
            issuer_of=self.issuer_of,
            nonce=nonce,
        )
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access, str):
            raise Unbelievable(f"{self.web.name} sent no access token")
        return Tokens(claims, access, refresh if isinstance(refresh, str) else None)

    def _client(self, metadata: Metadata, **options: str) -> AsyncOAuth2Client:
        # In the body where it can be: Authlib doesn't encode a secret for HTTP Basic as RFC 6749 wants.
        posts = "client_secret_post" in metadata.token_endpoint_auth_methods_supported
        return self.web.oauth(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method="client_secret_post" if posts else "client_secret_basic",
            **options,
        )


def _check_issuer(name: str, metadata: Metadata, given: str | None) -> None:
    """Of the callback's address."""
    if given is None:
        if metadata.authorization_response_iss_parameter_supported:
            raise Unbelievable(f"{name}'s callback lacks `iss`, which it says that it sends")
        return
    before, placeholder, after = metadata.issuer.partition(TENANT)
    if given != metadata.issuer and not (placeholder and given.startswith(before) and given.endswith(after)):
        raise Unbelievable(f"the callback is of another issuer than {name}")
