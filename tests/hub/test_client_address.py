"""Who asks and under which address, as a proxy tells it; and nothing of it from anybody else."""

from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest

from hub.client_address import client_of, rate_key
from models.database import Database
from tests.support.echo_hub import PUBLIC, Hub, a_hub

PROXIES = ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")


@pytest.fixture(scope="module")
async def proxied(shared_database: Database) -> AsyncIterator[Hub]:
    """Its peers are trusted proxies."""
    async with a_hub(shared_database, trusted_proxies=PROXIES) as hub:
        yield hub


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # no proxy of ours: it may say what it likes
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.66, 203.0.113.9", "203.0.113.9"),  # the left one is the client's own invention
        ("10.0.0.1", "192.0.2.66,203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_proxy(
    peer: str, forwarded_for: str, client: str
) -> None:
    entries = [entry.strip() for entry in forwarded_for.split(",") if entry]
    assert str(client_of(ip_address(peer), entries, tuple(map(ip_network, PROXIES)))) == client


async def test_nobody_is_believed_unless_trusted(hub: Hub) -> None:
    told = (
        await hub.get(
            "/page",
            x_forwarded_for="203.0.113.9",
            x_forwarded_host="evil.example",
            x_forwarded_proto="https",
        )
    ).json()
    assert (told["clientAddress"], told["baseUrl"]) == ("127.0.0.1", f"http://127.0.0.1:{hub.port}")


async def test_a_trusted_proxy_tells_who_asks_for_what(proxied: Hub) -> None:
    headers = {
        "x_forwarded_for": "192.0.2.66, 203.0.113.9",
        "x_forwarded_host": "localhost:8443",
        "x_forwarded_proto": "https",
    }
    for told in ((await proxied.get("/page", **headers)).json(), await proxied.handshake(**headers)):
        assert (told["clientAddress"], told["baseUrl"]) == ("203.0.113.9", "https://localhost:8443")


async def test_a_header_on_several_lines_is_one_list(proxied: Hub) -> None:
    lines = [("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "203.0.113.9, 10.1.2.3")]
    told = (await proxied.client.get("/page", headers=lines)).json()
    assert told["clientAddress"] == "203.0.113.9"


@pytest.mark.parametrize(
    "forged", ["evil.example", "localhost, evil.example", "localhost.evil.example", "a b"]
)
async def test_a_forged_forwarded_host_is_refused(proxied: Hub, forged: str) -> None:
    """A proxy that hands on what the client wrote: no address outside is made of it."""
    answer = await proxied.get("/api/auth/providers", x_forwarded_host=forged)
    assert answer.status_code == 421
    assert answer.headers["x-request-id"]
    assert (await proxied.handshake(x_forwarded_host=forged))["status"] == 421


async def test_behind_a_proxy_the_public_name_is_the_hubs(shared_database: Database) -> None:
    async with a_hub(
        shared_database, host="0.0.0.0", public_url=PUBLIC, trusted_proxies=("127.0.0.1",)
    ) as hub:
        asked = {"host": "10.0.0.7:3001", "x_forwarded_proto": "http"}  # a proxy that writes its own Host
        told = (await hub.get("/page", x_forwarded_host="Hub.Example.com, hub.example.com", **asked)).json()
        assert told["baseUrl"] == PUBLIC
        assert (await hub.get("/page", x_forwarded_host="evil.example", **asked)).status_code == 421
        assert (await hub.get("/page", **asked)).status_code == 421
        assert (await hub.get("/healthz", **asked)).status_code == 200


def test_senders_are_told_apart_by_what_they_can_have_only_one_of() -> None:
    assert rate_key("203.0.113.9") == "203.0.113.9"
    assert rate_key("2001:db8:1:2:3::4") == rate_key("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert rate_key("2001:db8:1:3::") != rate_key("2001:db8:1:2::")
    assert rate_key(None) == "local"
