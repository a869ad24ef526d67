"""Any OpenID Connect provider. People are keyed by issuer and `sub`."""

from collections.abc import Mapping
from typing import Any

from auth.identity import Provider
from auth.people import Person
from auth.providers import profiles
from auth.providers.config import OidcConfig
from auth.providers.discovery import Discovery, Jwk, Metadata
from auth.providers.errors import Misconfigured, ProviderError, Unbelievable
from auth.providers.flow import CodeFlow, Tokens
from auth.providers.types import Begun, Callback, Groups, GroupsRead, Profile, SignedIn
from auth.providers.web import Web, within

SCOPES = ("openid", "profile", "email")
SCOPES_IF_KNOWN = ("offline_access", "groups")
"""Some providers refuse a scope that they don't know."""
WITHIN = 20.0


class Oidc:
    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self._web = Web("the OpenID provider", url=config.issuer)
        self._discovery = Discovery(
            self._web, config.issuer.rstrip("/") + "/.well-known/openid-configuration"
        )
        self._flow = CodeFlow(
            web=self._web,
            discovery=self._discovery,
            client_id=config.client_id,
            client_secret=config.client_secret,
            issuer_of=self._issuer_of,
        )

    async def begin(self, *, redirect_uri: str, choose_account: bool = False) -> Begun:
        async with within(WITHIN, self._web.name):
            metadata = await self._discovery.metadata()
            self._check_issuer(metadata)
            known = tuple(scope for scope in SCOPES_IF_KNOWN if scope in metadata.scopes_supported)
            scopes = self._config.scopes or SCOPES + known
            choose = choose_account and "select_account" in metadata.prompt_values_supported
            prompt = "select_account" if choose else None
            return await self._flow.begin(redirect_uri=redirect_uri, scopes=scopes, prompt=prompt)

    async def finish(self, callback: Callback) -> SignedIn:
        async with within(WITHIN, self._web.name):
            tokens = await self._flow.finish(callback)
            claims = await self._completed(tokens)
        return SignedIn(
            profile=self._profile(claims), groups=self._groups(claims), token=tokens.refresh_token
        )

    async def read_groups(self, person: Person, *, token: str) -> GroupsRead:
        async with within(WITHIN, self._web.name):
            tokens = await self._flow.refresh(token)
            if self._person(tokens.claims) != person:
                raise Unbelievable(f"{self._web.name} refreshed the token of somebody else")
            try:
                groups = self._groups(await self._completed(tokens))
            except ProviderError as error:
                return GroupsRead(groups=error, token=tokens.refresh_token)
        return GroupsRead(groups=groups, token=tokens.refresh_token)

    async def _completed(self, tokens: Tokens) -> Mapping[str, Any]:
        """The ID token's claims, with what only the userinfo endpoint tells where the provider has one."""
        wanted = ("name", "email", self._config.groups_claim)
        endpoint = (await self._discovery.metadata()).userinfo_endpoint
        if endpoint is None or all(name in tokens.claims for name in wanted):
            return tokens.claims
        told = await self._web.get_object(endpoint, token=tokens.access_token)
        if told.get("sub") != tokens.claims["sub"]:
            raise Unbelievable(f"{self._web.name}'s userinfo is about somebody else")
        return {**told, **tokens.claims}

    def _issuer_of(self, metadata: Metadata, _claims: Mapping[str, Any], _jwk: Jwk) -> str:
        self._check_issuer(metadata)
        return metadata.issuer

    def _check_issuer(self, metadata: Metadata) -> None:
        if metadata.issuer != self._config.issuer:
            raise Misconfigured(
                f"OIDC_ISSUER is {self._config.issuer}, but the provider calls itself "
                f"{metadata.issuer[:300]}: the two have to be the same, letter by letter"
            )

    def _person(self, claims: Mapping[str, Any]) -> Person:
        issuer, subject = claims["iss"], claims["sub"]
        profiles.subject(issuer, subject, name=self._web.name)
        return Person(Provider.OIDC, f"{issuer}#{subject}")

    def _profile(self, claims: Mapping[str, Any]) -> Profile:
        person = self._person(claims)
        return Profile(
            person=person,
            display_name=profiles.text(claims, "name", "preferred_username", "email") or claims["sub"],
            email=profiles.email(claims, "email"),
            # Some write the boolean as a text.
            email_verified=claims.get("email_verified") in (True, "true"),
            avatar_url=profiles.picture(claims, "picture"),
        )

    def _groups(self, claims: Mapping[str, Any]) -> Groups | ProviderError:
        """Without the claim there are none: many providers leave it out then."""
        told = claims.get(self._config.groups_claim) or []
        listed = told if isinstance(told, list) else [told]
        try:
            return Groups(
                profiles.groups(Provider.OIDC, ((each, None) for each in listed), name=self._web.name)
            )
        except ProviderError as error:
            return error
