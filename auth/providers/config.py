"""How each provider is set up, and who may come in by it. Judged by `hub.provider_settings`."""

from dataclasses import dataclass, field

GITHUB = "https://github.com"
MICROSOFT = "https://login.microsoftonline.com"
ORGANISATIONS = "organizations"
"""In place of a tenant: people of any tenant of Entra ID, of which only some are let in."""


@dataclass(frozen=True, kw_only=True)
class EntraConfig:
    tenant: str
    """A tenant's id or domain, or ORGANISATIONS."""
    client_id: str
    client_secret: str = field(repr=False)
    allowed_tenants: frozenset[str] = frozenset()
    """Tenant ids in lower case, with ORGANISATIONS alone."""
    authority: str = MICROSOFT
    """Without a slash at its end, like every address here."""
    graph_url: str | None = None
    """Where Microsoft Graph is. None: where the authority says."""


@dataclass(frozen=True, kw_only=True)
class GithubConfig:
    client_id: str
    client_secret: str = field(repr=False)
    url: str = GITHUB
    allowed_orgs: frozenset[str] = frozenset()
    """Numeric ids of organisations, one of which a person has to be in. Empty: no limit."""


@dataclass(frozen=True, kw_only=True)
class OidcConfig:
    issuer: str
    """As the provider writes it, slash at its end included."""
    client_id: str
    client_secret: str = field(repr=False)
    name: str = "single sign-on"
    """What the sign-in page calls it, after "Sign in with"."""
    groups_claim: str = "groups"
    scopes: tuple[str, ...] | None = None
    """None: `openid profile email`, and of `offline_access` and `groups` what the provider knows."""


@dataclass(frozen=True, kw_only=True)
class SignInConfig:
    """Those that are enabled; None for the others."""

    entra: EntraConfig | None = None
    github: GithubConfig | None = None
    oidc: OidcConfig | None = None
    allowed_email_domains: frozenset[str] = frozenset()
    """In lower case. Hold for GitHub and OIDC, by verified addresses. Empty: no limit."""
