"""Against a certified OpenID provider, which asks for a password and for consent."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from auth.providers.config import EntraConfig, OidcConfig
from auth.providers.entra import Entra
from auth.providers.errors import Expired
from auth.providers.oidc import Oidc
from auth.providers.types import Groups, Provider, SignedIn
from tests.support.graph_server import GraphServer
from tests.support.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    identity_provider,
    signed_in_as,
)
from tests.support.sign_in import REDIRECT_URI, a_callback

pytestmark = pytest.mark.node

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ADA = {
    "oid": "11111111-2222-3333-4444-555555555555",
    "tid": TENANT,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "email_verified": True,
    "groups": ["ml"],
}


@pytest.fixture(scope="module")
async def graph() -> AsyncIterator[GraphServer]:
    async with GraphServer().serving() as server:
        yield server


@pytest.fixture(scope="module")
async def server(node_identity: str, graph: GraphServer) -> AsyncIterator[IdentityProvider]:
    discovery = {"msgraph_host": graph.url.removeprefix("http://")}
    async with identity_provider(
        node_identity,
        path=f"/{TENANT}/v2.0",
        redirect_uris=[REDIRECT_URI],
        people={},
        discovery=discovery,
    ) as provider:
        yield provider


@pytest.fixture
def entra(server: IdentityProvider) -> Entra:
    config = EntraConfig(
        tenant=TENANT, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, authority=server.base
    )
    return Entra(config)


async def come_in(provider: Provider, name: str) -> SignedIn:
    begun = await provider.begin(redirect_uri=REDIRECT_URI)
    address = await signed_in_as(name, begun.url)
    returned = dict(parse_qsl(urlsplit(address).query))
    assert returned["state"] == begun.state
    assert "iss" in returned
    return await provider.finish(a_callback(begun, returned))


def group_ids(found: object) -> list[str]:
    assert isinstance(found, Groups), found
    return [group.group_id for group in found.found]


async def test_entras_shape(entra: Entra, server: IdentityProvider, graph: GraphServer) -> None:
    await server.change("ada", ADA)
    found = await come_in(entra, "ada")
    assert found.profile.person.subject == f"{TENANT}/{ADA['oid']}"
    assert found.profile.display_name == "Ada Lovelace"
    assert group_ids(found.groups) == ["ml"]

    # With too many groups for the token, Graph is asked; twice, because the refresh token changes.
    person = {name: value for name, value in ADA.items() if name != "groups"}
    await server.change("ada", {**person, "_claim_names": {"groups": "src1"}})
    graph.groups, graph.page_size = [f"{number:03}" for number in range(250)], 200
    token = found.token
    for _ in range(2):
        assert token is not None
        read = await entra.read_groups(found.profile.person, token=token)
        assert group_ids(read.groups) == list(graph.groups)
        assert read.token not in (None, token)
        used, token = token, read.token
    with pytest.raises(Expired):
        await entra.read_groups(found.profile.person, token=used)


async def test_any_provider(server: IdentityProvider) -> None:
    await server.change("bob", ADA | {"name": "Bob"})
    config = OidcConfig(issuer=server.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    found = await come_in(Oidc(config), "bob")
    assert found.profile.person.subject == f"{server.issuer}#bob"
    assert (found.profile.email, found.profile.email_verified) == ("ada@example.com", True)
    assert group_ids(found.groups) == ["ml"]
