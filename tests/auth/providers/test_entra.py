"""Entra ID: who is believed, and which groups they are in."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from auth.identity import Provider
from auth.people import Person
from auth.providers.config import EntraConfig
from auth.providers.entra import Entra
from auth.providers.errors import (
    Expired,
    NotAdmitted,
    NotPermitted,
    ProviderError,
    Unavailable,
    Unbelievable,
)
from auth.providers.types import Groups
from tests.support.graph_server import GraphServer
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET, FIRST, MISSING, SECOND, OpenIdServer
from tests.support.sign_in import REDIRECT_URI, a_callback, at_provider, signed_in

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
FOREIGN = "99999999-86f1-41af-91ab-2d7cd011db47"
ADA = "11111111-2222-3333-4444-555555555555"
CLAIMS = {
    "sub": "pairwise",
    "tid": TENANT,
    "oid": ADA,
    "name": "Ada Lovelace",
    "preferred_username": "ada@contoso.com",
    "groups": ["b", "a"],
}


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[tuple[OpenIdServer, GraphServer]]:
    async with OpenIdServer(path=f"/{TENANT}/v2.0").serving() as authority, GraphServer().serving() as graph:
        yield authority, graph


@pytest.fixture
def authority(servers: tuple[OpenIdServer, GraphServer]) -> OpenIdServer:
    servers[0].reset(claims=dict(CLAIMS))
    return servers[0]


@pytest.fixture
def graph(servers: tuple[OpenIdServer, GraphServer]) -> GraphServer:
    servers[1].reset()
    return servers[1]


@pytest.fixture
def entra(authority: OpenIdServer, graph: GraphServer) -> Entra:
    return Entra(a_config(authority, graph))


def a_config(authority: OpenIdServer, graph: GraphServer | None = None, **changes: Any) -> EntraConfig:
    settings = {
        "tenant": TENANT,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "authority": authority.url,
        "graph_url": graph and graph.url,
    }
    return EntraConfig(**settings | changes)


def group_ids(groups: Groups | ProviderError) -> list[str]:
    assert isinstance(groups, Groups), groups
    return [group.group_id for group in groups.found]


async def test_somebody_comes_in(entra: Entra, graph: GraphServer) -> None:
    found = await signed_in(entra)
    assert found.profile.person == Person(Provider.ENTRA, f"{TENANT}/{ADA}")
    assert found.profile.display_name == "Ada Lovelace"
    assert found.profile.email == "ada@contoso.com"
    assert not found.profile.email_verified
    assert group_ids(found.groups) == ["a", "b"]
    assert found.token is not None
    assert graph.asked == []


async def test_group_ids_are_in_lower_case_as_in_mappings(entra: Entra, authority: OpenIdServer) -> None:
    authority.claims["groups"] = [FOREIGN.upper(), "Named"]
    assert group_ids((await signed_in(entra)).groups) == [FOREIGN.lower(), "Named"]


async def test_what_is_asked_for(entra: Entra, authority: OpenIdServer) -> None:
    begun = await entra.begin(redirect_uri=REDIRECT_URI)
    for part in (
        "scope=openid+profile+email+offline_access+User.Read+GroupMember.Read.All",
        "code_challenge_method=S256",
        f"state={begun.state}",
        f"nonce={begun.nonce}",
    ):
        assert part in begun.url
    assert begun.verifier not in begun.url
    assert "prompt=" not in begun.url
    again = await entra.begin(redirect_uri=REDIRECT_URI, choose_account=True)
    assert "prompt=select_account" in again.url
    assert len({begun.state, begun.nonce, begun.verifier, again.state, again.nonce, again.verifier}) == 6
    assert authority.asked["openid-configuration"] == 1


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        pytest.param({"iss": "https://login.example.com/x/v2.0"}, "iss", id="wrong issuer"),
        pytest.param({"aud": "another"}, "aud", id="wrong audience"),
        pytest.param({"aud": [CLIENT_ID, "another"]}, "azp", id="one of two audiences"),
        pytest.param({"exp": int(time.time()) - 61}, "expired", id="expired"),
        pytest.param({"exp": MISSING}, "exp", id="no expiry"),
        pytest.param({"iat": int(time.time()) + 600}, "future", id="of the future"),
        pytest.param({"nonce": "another"}, "nonce", id="wrong nonce"),
        pytest.param({"nonce": MISSING}, "nonce", id="missing nonce"),
        pytest.param({"sub": MISSING}, "sub", id="no subject"),
        pytest.param({"tid": MISSING}, "tenant", id="no tenant"),
        pytest.param({"oid": MISSING}, "who has signed in", id="no object id"),
        pytest.param({"oid": "a b"}, "who has signed in", id="an odd object id"),
    ],
)
async def test_an_id_token_that_lies(
    entra: Entra, authority: OpenIdServer, lies: dict[str, Any], said: str
) -> None:
    authority.lies = lies
    with pytest.raises(Unbelievable, match=said):
        await signed_in(entra)


async def test_a_foreign_tenant_is_kept_out(entra: Entra, authority: OpenIdServer) -> None:
    authority.lies = {"tid": FOREIGN}
    with pytest.raises(NotAdmitted, match=FOREIGN) as refused:
        await signed_in(entra)
    assert refused.value.code == "not_allowed"


@pytest.mark.parametrize("part", ["id_token", "access_token"])
async def test_a_token_that_is_missing(entra: Entra, authority: OpenIdServer, part: str) -> None:
    authority.answer = {part: MISSING}
    with pytest.raises(Unbelievable, match="sent no"):
        await signed_in(entra)


async def test_the_algorithm_none_proves_nothing(entra: Entra, authority: OpenIdServer) -> None:
    authority.header = {"alg": "none"}
    with pytest.raises(Unbelievable, match="'none', which proves nothing"):
        await signed_in(entra)


async def test_a_public_key_is_no_secret(entra: Entra, authority: OpenIdServer) -> None:
    authority.header = {"alg": "HS256", "kid": "first"}
    with pytest.raises(Unbelievable, match="'HS256', which proves nothing"):
        await signed_in(entra)


async def test_a_signature_of_another_key(entra: Entra, authority: OpenIdServer) -> None:
    authority.signed_with = SECOND
    with pytest.raises(Unbelievable, match="bad_signature"):
        await signed_in(entra)


async def test_rotated_keys_are_taken_and_unknown_ones_searched_for_once(
    entra: Entra, authority: OpenIdServer
) -> None:
    await signed_in(entra)
    authority.published = [FIRST, SECOND]
    authority.header, authority.signed_with = {"alg": "RS256", "kid": "second"}, SECOND
    await signed_in(entra)
    assert authority.asked["keys"] == 2
    authority.header["kid"] = "unknown"
    for _ in range(3):
        with pytest.raises(Unbelievable, match="'unknown', which it doesn't publish"):
            await signed_in(entra)
    assert authority.asked["keys"] == 2


async def test_an_access_token_that_the_id_token_does_not_vouch_for(
    entra: Entra, authority: OpenIdServer
) -> None:
    authority.lies = {"at_hash": "another"}
    with pytest.raises(Unbelievable, match="at_hash"):
        await signed_in(entra)


@pytest.mark.parametrize(
    "issuer", ["https://login.example.com", "https://login.microsoftonline.com/common/v2.0"]
)
async def test_a_callback_of_another_issuer_keeps_its_code(
    entra: Entra, authority: OpenIdServer, issuer: str
) -> None:
    authority.callback = {"iss": issuer}
    with pytest.raises(Unbelievable, match="another issuer"):
        await signed_in(entra)
    assert authority.shown == []


async def test_a_callback_without_the_promised_issuer(entra: Entra, authority: OpenIdServer) -> None:
    authority.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(Unbelievable, match="lacks `iss`"):
        await signed_in(entra)
    authority.callback = {"iss": authority.issuer}
    assert (await signed_in(entra)).profile.display_name == "Ada Lovelace"


async def test_a_code_is_worth_something_once(entra: Entra) -> None:
    begun = await entra.begin(redirect_uri=REDIRECT_URI)
    callback = a_callback(begun, await at_provider(begun.url))
    await entra.finish(callback)
    with pytest.raises(Expired) as refused:
        await entra.finish(callback)
    for secret in (callback.code, callback.verifier, CLIENT_SECRET):
        assert secret not in str(refused.value)


async def test_another_verifier_gets_nothing(entra: Entra) -> None:
    mine, theirs = [await entra.begin(redirect_uri=REDIRECT_URI) for _ in range(2)]
    with pytest.raises(Expired):
        await entra.finish(a_callback(mine, await at_provider(theirs.url)))


class TestSeveralTenants:
    @pytest.fixture
    async def authority(self) -> AsyncIterator[OpenIdServer]:
        server = OpenIdServer(path="/organizations/v2.0", claims=dict(CLAIMS))
        async with server.serving():
            server.metadata = {"issuer": f"{server.url}/{{tenantid}}/v2.0"}
            server.lies = {"iss": f"{server.url}/{TENANT}/v2.0"}
            yield server

    @pytest.fixture
    def entra(self, authority: OpenIdServer) -> Entra:
        return Entra(a_config(authority, tenant="organizations", allowed_tenants=frozenset({TENANT})))

    async def test_an_allowed_one_comes_in(self, entra: Entra) -> None:
        assert (await signed_in(entra)).profile.person.subject == f"{TENANT}/{ADA}"

    async def test_another_is_kept_out(self, entra: Entra, authority: OpenIdServer) -> None:
        authority.lies = {"tid": FOREIGN, "iss": f"{authority.url}/{FOREIGN}/v2.0"}
        with pytest.raises(NotAdmitted):
            await signed_in(entra)

    @pytest.mark.parametrize("issuer", ["{tenantid}", FOREIGN])
    async def test_the_issuer_is_that_of_the_tenant(
        self, entra: Entra, authority: OpenIdServer, issuer: str
    ) -> None:
        authority.lies = {"iss": f"{authority.url}/{issuer}/v2.0"}
        with pytest.raises(Unbelievable, match="iss"):
            await signed_in(entra)

    async def test_the_callbacks_issuer_too(self, entra: Entra, authority: OpenIdServer) -> None:
        authority.callback = {"iss": f"{authority.url}/{TENANT}/v2.0"}
        await signed_in(entra)
        authority.callback = {"iss": f"{authority.url}/{FOREIGN}/v2.0"}
        with pytest.raises(Unbelievable, match="another issuer"):
            await signed_in(entra)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"groups": MISSING}, id="absent"),
        pytest.param({"groups": MISSING, "_claim_names": {"groups": "src1"}}, id="overage"),
        pytest.param({"groups": MISSING, "hasgroups": True}, id="overage, implicit"),
        pytest.param({"groups": ["some"], "_claim_names": {"groups": "src1"}}, id="some and overage"),
    ],
)
async def test_groups_that_are_not_in_the_token_come_from_graph(
    entra: Entra, authority: OpenIdServer, graph: GraphServer, told: dict[str, Any]
) -> None:
    sources = {"src1": {"endpoint": "http://127.0.0.1:1/never/called"}}
    authority.lies = {"_claim_sources": sources, **told}
    graph.groups, graph.page_size = [f"{number:03}" for number in range(250)], 200
    found = await signed_in(entra)
    assert group_ids(found.groups) == list(graph.groups)
    assert isinstance(found.groups, Groups)
    assert found.groups.found[0].name == "Group 000"
    assert len(graph.asked) == 2
    assert all(token.startswith("access-") for token in graph.asked)


async def test_graphs_next_page_is_on_the_same_host(
    entra: Entra, authority: OpenIdServer, graph: GraphServer
) -> None:
    authority.lies = {"groups": MISSING}
    graph.groups, graph.page_size = ["1", "2"], 1
    async with GraphServer(groups=["3"]).serving() as other:
        graph.next_host = other.url
        found = await signed_in(entra)
        assert other.asked == []
    assert isinstance(found.groups, Unbelievable)


@pytest.mark.parametrize(
    ("status", "kind"), [(503, Unavailable), (429, Unavailable), (403, NotPermitted), (401, Expired)]
)
async def test_a_failing_graph_is_not_no_groups(
    entra: Entra, authority: OpenIdServer, graph: GraphServer, status: int, kind: type[ProviderError]
) -> None:
    authority.lies = {"groups": MISSING}
    graph.status = status
    found = await signed_in(entra)
    assert found.profile.display_name == "Ada Lovelace"
    assert type(found.groups) is kind


async def test_the_authority_says_where_graph_is(authority: OpenIdServer, graph: GraphServer) -> None:
    authority.lies = {"groups": MISSING}
    authority.metadata = {"msgraph_host": graph.url.removeprefix("http://")}
    graph.groups = ["1"]
    assert group_ids((await signed_in(Entra(a_config(authority)))).groups) == ["1"]


async def test_groups_are_read_again(entra: Entra, authority: OpenIdServer) -> None:
    found = await signed_in(entra)
    assert found.token is not None
    authority.claims["groups"] = ["b"]
    read = await entra.read_groups(found.profile.person, token=found.token)
    assert group_ids(read.groups) == ["b"]
    assert read.token not in (None, found.token)
    assert "openid" in authority.shown[-1]["scope"]
    assert "offline_access" in authority.shown[-1]["scope"]
    with pytest.raises(Expired):
        await entra.read_groups(found.profile.person, token=found.token)


async def test_a_refreshed_token_of_somebody_else(entra: Entra, authority: OpenIdServer) -> None:
    found = await signed_in(entra)
    authority.claims["oid"] = FOREIGN
    with pytest.raises(Unbelievable, match="somebody else"):
        await entra.read_groups(found.profile.person, token=found.token or "")


async def test_an_authority_that_is_down(entra: Entra, authority: OpenIdServer) -> None:
    authority.down = True
    with pytest.raises(Unavailable):
        await entra.begin(redirect_uri=REDIRECT_URI)
    authority.down = False
    await signed_in(entra)
