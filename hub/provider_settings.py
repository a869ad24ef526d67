"""The settings of the identity providers, judged together."""

from collections.abc import Iterator

from auth.providers.config import ORGANISATIONS, EntraConfig, GithubConfig, OidcConfig, SignInConfig
from hub.environment import Variables

REQUIRED = {
    "entra": ("azure_tenant_id", "azure_client_id", "azure_client_secret"),
    "github": ("github_client_id", "github_client_secret"),
    "oidc": ("oidc_issuer", "oidc_client_id", "oidc_client_secret"),
}
PROVIDER_VARIABLES = tuple(
    name
    for name in Variables.model_fields
    if name.startswith(("azure_", "github_", "oidc_", "allowed_github_", "allowed_email_"))
)


def provider_contradictions(variables: Variables) -> Iterator[str]:
    """Why nobody could sign in as it was meant."""
    enabled = set(variables.enabled_auth_providers)
    for provider in REQUIRED:
        for name in _missing(variables, provider) if provider in enabled else ():
            yield f"{name.upper()} isn't set, and ENABLED_AUTH_PROVIDERS has {provider}"
    several = variables.azure_tenant_id == ORGANISATIONS
    if "entra" in enabled and several and not variables.azure_allowed_tenants:
        yield f"AZURE_ALLOWED_TENANTS isn't set: with AZURE_TENANT_ID={ORGANISATIONS} it says who may come in"
    if "entra" in enabled and not several and variables.azure_allowed_tenants:
        yield f"AZURE_ALLOWED_TENANTS is for AZURE_TENANT_ID={ORGANISATIONS} alone: leave one of them out"
    if enabled == {"entra"} and variables.allowed_email_domains:
        yield (
            "ALLOWED_EMAIL_DOMAINS limits nobody here: what Entra says of an e-mail address is unverified. "
            "Leave it out; AZURE_TENANT_ID says who may come in"
        )


def provider_cautions(variables: Variables) -> Iterator[str]:
    """What was set in vain."""
    for provider, names in REQUIRED.items():
        given = [name.upper() for name in names if getattr(variables, name) is not None]
        if given and provider not in variables.enabled_auth_providers:
            yield f"{given[0]} is set, but ENABLED_AUTH_PROVIDERS has no {provider}: nobody signs in by it"
    if variables.allowed_github_orgs and "github" not in variables.enabled_auth_providers:
        yield "ALLOWED_GITHUB_ORGS is set, but ENABLED_AUTH_PROVIDERS has no github: it limits nobody"


def sign_in_config(variables: Variables) -> SignInConfig:
    """Of the providers that are enabled and completely set."""
    complete = {name for name in variables.enabled_auth_providers if not list(_missing(variables, name))}
    return SignInConfig(
        entra=_entra(variables) if "entra" in complete else None,
        github=_github(variables) if "github" in complete else None,
        oidc=_oidc(variables) if "oidc" in complete else None,
        allowed_email_domains=frozenset(variables.allowed_email_domains),
    )


def _missing(variables: Variables, provider: str) -> Iterator[str]:
    return (name for name in REQUIRED[provider] if getattr(variables, name) is None)


def _entra(variables: Variables) -> EntraConfig:
    return EntraConfig(
        tenant=variables.azure_tenant_id or "",
        client_id=variables.azure_client_id or "",
        client_secret=_secret(variables, "azure_client_secret"),
        allowed_tenants=frozenset(variables.azure_allowed_tenants),
        authority=variables.azure_authority,
        graph_url=variables.azure_graph_url,
    )


def _github(variables: Variables) -> GithubConfig:
    return GithubConfig(
        client_id=variables.github_client_id or "",
        client_secret=_secret(variables, "github_client_secret"),
        url=variables.github_url,
        allowed_orgs=frozenset(variables.allowed_github_orgs),
    )


def _oidc(variables: Variables) -> OidcConfig:
    return OidcConfig(
        issuer=variables.oidc_issuer or "",
        client_id=variables.oidc_client_id or "",
        client_secret=_secret(variables, "oidc_client_secret"),
        name=variables.oidc_name,
        groups_claim=variables.oidc_groups_claim,
        scopes=variables.oidc_scopes,
    )


def _secret(variables: Variables, name: str) -> str:
    secret = getattr(variables, name)
    return "" if secret is None else str(secret.get_secret_value())
