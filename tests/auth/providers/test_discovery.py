"""What a provider publishes is believed for a while; an unknown key is searched for at most once a minute."""

from collections.abc import AsyncIterator

import pytest

from auth.providers.discovery import KEPT, SEARCH_EVERY, Discovery
from auth.providers.errors import Misconfigured, Unavailable, Unbelievable
from auth.providers.web import Web
from tests.support.openid_server import FIRST, SECOND, OpenIdServer, a_key

WELL_KNOWN = "/.well-known/openid-configuration"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
async def module_server() -> AsyncIterator[OpenIdServer]:
    async with OpenIdServer().serving() as server:
        yield server


@pytest.fixture
def server(module_server: OpenIdServer) -> OpenIdServer:
    module_server.reset()
    return module_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def discovery(server: OpenIdServer, clock: Clock) -> Discovery:
    return Discovery(Web("the provider", url=server.url), server.url + WELL_KNOWN, clock=clock)


async def test_both_are_asked_for_once(discovery: Discovery, server: OpenIdServer) -> None:
    for _ in range(3):
        assert (await discovery.metadata()).issuer == server.url
        assert (await discovery.key("first")).key.kid == "first"
    assert server.asked == {"openid-configuration": 1, "keys": 1}


async def test_a_rotated_key_is_found_at_once(discovery: Discovery, server: OpenIdServer) -> None:
    await discovery.key("first")
    server.published = [FIRST, SECOND]
    assert (await discovery.key("second")).key.kid == "second"
    assert server.asked["keys"] == 2


async def test_searches_for_unknown_keys_are_throttled(
    discovery: Discovery, server: OpenIdServer, clock: Clock
) -> None:
    await discovery.key("first")
    for _ in range(5):
        with pytest.raises(Unbelievable, match="'forged', which it doesn't publish"):
            await discovery.key("forged")
    assert server.asked["keys"] == 2
    clock.now += SEARCH_EVERY
    with pytest.raises(Unbelievable):
        await discovery.key("forged")
    assert server.asked["keys"] == 3


async def test_a_withdrawn_key_stops_being_good(
    discovery: Discovery, server: OpenIdServer, clock: Clock
) -> None:
    await discovery.key("first")
    server.published = [SECOND]
    clock.now += KEPT
    with pytest.raises(Unbelievable):
        await discovery.key("first")


async def test_no_key_outlives_a_provider_that_is_down(
    discovery: Discovery, server: OpenIdServer, clock: Clock
) -> None:
    await discovery.key("first")
    server.down = True
    assert (await discovery.key("first")).key.kid == "first"
    clock.now += KEPT
    with pytest.raises(Unavailable):
        await discovery.key("first")


async def test_a_token_without_a_key_id(discovery: Discovery, server: OpenIdServer, clock: Clock) -> None:
    assert (await discovery.key(None)).key.kid == "first"
    server.published = [FIRST, a_key("third")]
    clock.now += KEPT
    with pytest.raises(Unbelievable):
        await discovery.key(None)


async def test_endpoints_are_https_or_on_loopback_like_the_provider(
    discovery: Discovery, server: OpenIdServer
) -> None:
    server.metadata = {"token_endpoint": "http://id.example.com/token"}
    with pytest.raises(Unbelievable, match="isn't https"):
        await discovery.metadata()


async def test_an_address_where_no_provider_is(server: OpenIdServer) -> None:
    lost = Discovery(Web("the provider", url=server.url), server.url + "/elsewhere" + WELL_KNOWN)
    with pytest.raises(Misconfigured, match="404"):
        await lost.metadata()


async def test_metadata_that_lacks_something(discovery: Discovery, server: OpenIdServer) -> None:
    server.metadata = {"jwks_uri": None}
    with pytest.raises(Unbelievable, match="jwks_uri"):
        await discovery.metadata()
