"""Any OpenID Connect provider."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from auth.identity import Provider
from auth.people import Person
from auth.providers.config import OidcConfig
from auth.providers.errors import Denied, Misconfigured, ProviderError, Unbelievable, oauth_error
from auth.providers.oidc import Oidc
from auth.providers.types import Groups
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET, MISSING, OpenIdServer
from tests.support.sign_in import REDIRECT_URI, signed_in

CLAIMS = {
    "sub": "ada|1",
    "name": "Ada",
    "email": "ada@example.com",
    "email_verified": True,
    "picture": "https://id.example.com/ada.png",
    "groups": ["/ml", "ops"],
}


@pytest.fixture(scope="module")
async def module_server() -> AsyncIterator[OpenIdServer]:
    async with OpenIdServer().serving() as server:
        yield server


@pytest.fixture
def server(module_server: OpenIdServer) -> OpenIdServer:
    module_server.reset(claims=dict(CLAIMS))
    return module_server


def a_provider(server: OpenIdServer, **changes: Any) -> Oidc:
    settings = {"issuer": server.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return Oidc(OidcConfig(**settings | changes))


def group_ids(groups: Groups | ProviderError) -> list[str]:
    assert isinstance(groups, Groups), groups
    return [group.group_id for group in groups.found]


async def test_somebody_comes_in(server: OpenIdServer) -> None:
    found = await signed_in(a_provider(server))
    assert found.profile.person == Person(Provider.OIDC, f"{server.url}#ada|1")
    assert (found.profile.display_name, found.profile.email) == ("Ada", "ada@example.com")
    assert found.profile.email_verified
    assert found.profile.avatar_url == "https://id.example.com/ada.png"
    assert group_ids(found.groups) == ["/ml", "ops"]


@pytest.mark.parametrize(
    ("verified", "is_verified"),
    [(True, True), ("true", True), (False, False), ("yes", False), (MISSING, False)],
)
async def test_an_address_is_verified_if_that_is_said(
    server: OpenIdServer, verified: object, is_verified: bool
) -> None:
    server.claims["email_verified"] = verified
    assert (await signed_in(a_provider(server))).profile.email_verified is is_verified


async def test_what_the_id_token_lacks_comes_from_userinfo(server: OpenIdServer) -> None:
    server.claims = {"sub": "ada|1"}
    server.userinfo = dict(CLAIMS)
    found = await signed_in(a_provider(server))
    assert (found.profile.display_name, group_ids(found.groups)) == ("Ada", ["/ml", "ops"])


async def test_userinfo_of_somebody_else(server: OpenIdServer) -> None:
    server.claims = {"sub": "ada|1"}
    server.userinfo = {**CLAIMS, "sub": "bob"}
    with pytest.raises(Unbelievable, match="somebody else"):
        await signed_in(a_provider(server))


@pytest.mark.parametrize(
    ("told", "found"), [("ops", ["ops"]), ([], []), (MISSING, []), (["b", "a", "b"], ["a", "b"])]
)
async def test_shapes_of_the_groups_claim(server: OpenIdServer, told: object, found: list[str]) -> None:
    server.claims["roles"] = told
    provider = a_provider(server, groups_claim="roles")
    assert group_ids((await signed_in(provider)).groups) == found


@pytest.mark.parametrize("told", [[1], [""], ["x" * 257], {"a": "b"}])
async def test_a_groups_claim_that_is_not_understood(server: OpenIdServer, told: object) -> None:
    server.claims["groups"] = told
    assert isinstance((await signed_in(a_provider(server))).groups, Unbelievable)


async def test_scopes_that_the_provider_knows(server: OpenIdServer) -> None:
    plain = await a_provider(server).begin(redirect_uri=REDIRECT_URI)
    assert "scope=openid+profile+email&" in plain.url
    server.metadata = {"scopes_supported": ["openid", "groups", "offline_access"]}
    more = await a_provider(server).begin(redirect_uri=REDIRECT_URI)
    assert "scope=openid+profile+email+offline_access+groups&" in more.url
    own = await a_provider(server, scopes=("openid", "roles")).begin(redirect_uri=REDIRECT_URI)
    assert "scope=openid+roles&" in own.url


async def test_the_account_is_asked_for_where_that_is_known(server: OpenIdServer) -> None:
    plain = await a_provider(server).begin(redirect_uri=REDIRECT_URI, choose_account=True)
    assert "prompt=" not in plain.url
    server.metadata = {"prompt_values_supported": ["login", "select_account"]}
    chosen = await a_provider(server).begin(redirect_uri=REDIRECT_URI, choose_account=True)
    assert "prompt=select_account" in chosen.url


async def test_an_issuer_that_calls_itself_otherwise(server: OpenIdServer) -> None:
    with pytest.raises(Misconfigured, match="letter by letter"):
        await a_provider(server, issuer=f"{server.url}/").begin(redirect_uri=REDIRECT_URI)


async def test_a_wrong_client_secret(server: OpenIdServer) -> None:
    with pytest.raises(Misconfigured, match="invalid_client") as refused:
        await signed_in(a_provider(server, client_secret="a wrong secret"))
    assert "a wrong secret" not in str(refused.value)


async def test_a_token_endpoint_that_answers_no_json(server: OpenIdServer) -> None:
    server.metadata = {"token_endpoint": f"{server.url}/nowhere"}
    with pytest.raises(ProviderError):
        await signed_in(a_provider(server))


async def test_groups_are_read_again(server: OpenIdServer) -> None:
    provider = a_provider(server)
    found = await signed_in(provider)
    server.claims["groups"] = ["ops"]
    read = await provider.read_groups(found.profile.person, token=found.token or "")
    assert group_ids(read.groups) == ["ops"]
    assert read.token not in (None, found.token)


async def test_names_and_addresses_are_bounded_and_plain(server: OpenIdServer) -> None:
    server.claims |= {"name": "A\u202eda\n" * 200, "email": "no address", "picture": "javascript:alert(1)"}
    profile = (await signed_in(a_provider(server))).profile
    assert profile.display_name == ("Ada" * 200)[:256]
    assert (profile.email, profile.avatar_url) == (None, None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", "access_denied"),
        ("temporarily_unavailable", "provider_unavailable"),
        ("redirect_uri_mismatch", "misconfigured"),
        ("invalid_grant", "state_mismatch"),
        ("unverified_user_email", "email_unverified"),
        ("anything_new", "sign_in_failed"),
    ],
)
def test_errors_have_a_code_for_the_page(error: str, code: str) -> None:
    assert oauth_error(error, "text").code == code
    assert isinstance(oauth_error("access_denied", "text"), Denied)
