"""Where a request comes from, and under which address its sender knows the hub: behind proxies too.

Anybody may write `X-Forwarded-…`, so it counts only from a peer in TRUSTED_PROXIES. Of `X-Forwarded-For` the
right-most address that isn't a trusted proxy's is the client: what stands left of it, the client wrote.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.environment import Network
from hub.settings import HttpSettings

Address = IPv4Address | IPv6Address


class ClientAddress:
    """Puts into the scope's state:

    client_address   the client's address as text; None where there is none, as on a Unix socket
    host             the host that the client asked for, as the Host header has it; None if that is unclear
    base_url         AUTH_CALLBACK_URL, else `http[s]://host` as the client asked; without a slash at its end
    """

    def __init__(self, app: ASGIApp, *, http: HttpSettings) -> None:
        self._app = app
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self._describe(scope)
        await self._app(scope, receive, send)

    def _describe(self, scope: Scope) -> None:
        state, headers = scope["state"], Headers(scope=scope)
        peer = _address(scope["client"][0]) if scope.get("client") else None
        given = headers.getlist("host")
        scheme, host = "http", given[0].lower() if len(given) == 1 else None
        client = peer
        if peer is not None and _is_in(peer, self._http.trusted_proxies):
            client = client_of(peer, _entries(headers, "x-forwarded-for"), self._http.trusted_proxies)
            if _entries(headers, "x-forwarded-proto")[:1] == ["https"]:
                scheme = "https"
            if forwarded := _entries(headers, "x-forwarded-host"):
                host = _same(forwarded)
        state["client_address"] = None if client is None else str(client)
        state["host"] = host
        state["base_url"] = self._http.public_url or f"{scheme}://{host}"


def client_of(peer: Address, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address:
    """The right-most address that isn't trusted; the left-most one if all are."""
    client = peer
    for entry in reversed(forwarded_for):
        if not _is_in(client, trusted) or (further := _address(entry)) is None:
            break
        client = further
    return client


def rate_key(address: str | None) -> str:
    """What is counted as one sender: whoever has an IPv6 address has the 2⁶⁴ of its network."""
    known = _address(address or "")
    if known is None:
        return "local"
    return str(known) if known.version == 4 else str(ip_network(f"{known}/64", strict=False))


def _address(text: str) -> Address | None:
    """With or without a port; an IPv4 address in IPv6's clothes is the IPv4 one."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _entries(headers: Headers, name: str) -> list[str]:
    """In order, over all lines of the header."""
    return [entry.strip() for line in headers.getlist(name) for entry in line.split(",") if entry.strip()]


def _same(values: Sequence[str]) -> str | None:
    """Proxies in a row may each say it."""
    different = {value.lower() for value in values}
    return different.pop() if len(different) == 1 else None
