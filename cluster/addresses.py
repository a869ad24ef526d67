"""Where a kubeconfig that somebody sent may not lead: to this machine, and to what only its network card sees
(link-local addresses, among them the clouds' metadata services)."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from cluster.errors import CredentialRejected

_REFUSED = (
    "the server's address leads to the hub's own machine or to a link-local address, which a kubeconfig that "
    "was sent may not name. Send one with the API server's own address, or put a file into the credentials "
    "directory"
)


def is_local(address: str) -> bool:
    """Of an IP address in figures; a zone (`%eth0`) is looked away from."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _inner(ip)
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, if it does: mapped, 6to4, or NAT64's (RFC 6052)."""
    if ip in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def check_literal(host: str) -> None:
    """Raises CredentialRejected. A name is judged when it is resolved."""
    try:
        local = is_local(host)
    except ValueError:
        return
    if local:
        raise CredentialRejected(_REFUSED)


class OutwardResolver(AbstractResolver):
    """Judges what a name leads to, each time: aiohttp connects to the very addresses that it is given."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(is_local(each["host"]) for each in found):
            raise CredentialRejected(_REFUSED)
        return found

    async def close(self) -> None:
        await self._resolver.close()
