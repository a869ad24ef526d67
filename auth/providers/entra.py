"""Microsoft Entra ID. People are keyed by tenant and object id; an e-mail address proves nothing."""

from collections.abc import Mapping
from typing import Any

from auth.identity import Provider
from auth.people import Person
from auth.providers import profiles
from auth.providers.config import ORGANISATIONS, EntraConfig
from auth.providers.discovery import Discovery, Jwk, Metadata
from auth.providers.errors import Misconfigured, NotAdmitted, ProviderError, Unbelievable
from auth.providers.flow import TENANT, CodeFlow, Tokens
from auth.providers.graph import groups_of_me
from auth.providers.types import Begun, Callback, Groups, GroupsRead, Profile, SignedIn
from auth.providers.web import Web, is_loopback_url, within

NAME = "Entra ID"
SCOPES = ("openid", "profile", "email", "offline_access", "User.Read", "GroupMember.Read.All")
"""`oid` and `tid` come with profile, the refresh token with offline_access."""
SIGN_IN_WITHIN = 20.0
GROUPS_WITHIN = 40.0


class Entra:
    def __init__(self, config: EntraConfig) -> None:
        self._config = config
        self._web = Web(NAME, url=config.authority)
        self._discovery = Discovery(
            self._web, f"{config.authority}/{config.tenant}/v2.0/.well-known/openid-configuration"
        )
        self._flow = CodeFlow(
            web=self._web,
            discovery=self._discovery,
            client_id=config.client_id,
            client_secret=config.client_secret,
            issuer_of=self._issuer_of,
        )

    async def begin(self, *, redirect_uri: str, choose_account: bool = False) -> Begun:
        prompt = "select_account" if choose_account else None
        async with within(SIGN_IN_WITHIN, NAME):
            return await self._flow.begin(redirect_uri=redirect_uri, scopes=SCOPES, prompt=prompt)

    async def finish(self, callback: Callback) -> SignedIn:
        async with within(SIGN_IN_WITHIN, NAME):
            tokens = await self._flow.finish(callback)
        profile = _profile(tokens.claims)
        return SignedIn(profile=profile, groups=await self._groups(tokens), token=tokens.refresh_token)

    async def read_groups(self, person: Person, *, token: str) -> GroupsRead:
        async with within(SIGN_IN_WITHIN, NAME):
            # Without openid there would be no ID token, without offline_access no refresh token.
            tokens = await self._flow.refresh(token, scopes=SCOPES)
        if _profile(tokens.claims).person != person:
            raise Unbelievable(f"{NAME} refreshed the token of somebody else")
        return GroupsRead(groups=await self._groups(tokens), token=tokens.refresh_token)

    async def _groups(self, tokens: Tokens) -> Groups | ProviderError:
        """Those of the ID token, else Graph's: above 200, or without a groups claim, it doesn't hold them.

        The address that the token names for them is never called: it belongs to an API that has ended.
        """
        try:
            if (told := _told(tokens.claims)) is not None:
                return Groups(profiles.groups(Provider.ENTRA, ((each, None) for each in told), name=NAME))
            async with within(GROUPS_WITHIN, "Microsoft Graph"):
                base = await self._graph_url()
                return Groups(await groups_of_me(self._web, base, token=tokens.access_token))
        except ProviderError as error:
            return error

    async def _graph_url(self) -> str:
        if self._config.graph_url is not None:
            return self._config.graph_url
        host = (await self._discovery.metadata()).msgraph_host
        if not host:
            raise Misconfigured(f"{NAME} doesn't say where Microsoft Graph is: set AZURE_GRAPH_URL")
        plain = is_loopback_url(self._config.authority) and is_loopback_url(f"http://{host}")
        return f"http://{host}" if plain else f"https://{host}"

    def _issuer_of(self, metadata: Metadata, claims: Mapping[str, Any], jwk: Jwk) -> str:
        tenant = claims.get("tid")
        if not isinstance(tenant, str):
            raise Unbelievable(f"{NAME}'s ID token names no tenant")
        self._check_tenant(tenant.lower(), metadata)
        issuer = metadata.issuer.replace(TENANT, tenant)
        if jwk.issuer is not None and jwk.issuer.replace(TENANT, tenant) != issuer:
            raise Unbelievable(f"{NAME}'s ID token is signed by the key of another tenant")
        return issuer

    def _check_tenant(self, tenant: str, metadata: Metadata) -> None:
        wanted = self._config.tenant
        if wanted == ORGANISATIONS:
            allowed = tenant in self._config.allowed_tenants
        elif "." in wanted:  # a domain, whose metadata has its tenant's own id in the issuer
            allowed = f"/{tenant}/" in metadata.issuer.lower()
        else:
            allowed = tenant == wanted
        if not allowed:
            raise NotAdmitted(
                f"{NAME} vouches for somebody of the tenant {tenant[:80]!r}, which may not come in"
            )


def _profile(claims: Mapping[str, Any]) -> Profile:
    tenant, person = claims.get("tid"), claims.get("oid")
    profiles.subject(tenant, person, name=NAME)
    subject = f"{tenant}/{person}".lower()
    return Profile(
        person=Person(Provider.ENTRA, subject),
        display_name=profiles.text(claims, "name", "preferred_username") or subject,
        email=profiles.email(claims, "email", "preferred_username"),
        email_verified=False,
        avatar_url=None,
    )


def _told(claims: Mapping[str, Any]) -> list[object] | None:
    """The group ids in the token; None if they aren't there, or not all of them."""
    elsewhere, told = claims.get("_claim_names"), claims.get("groups")
    if (isinstance(elsewhere, dict) and "groups" in elsewhere) or claims.get("hasgroups"):
        return None
    return told if isinstance(told, list) else None
