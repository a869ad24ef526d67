"""One look at a cluster's health, besides its watches."""

import asyncio
from dataclasses import dataclass

import msgspec

from cluster import paths
from cluster.client import Client
from cluster.errors import ApiError, Unreachable
from cluster.wire import Resource


@dataclass(frozen=True, slots=True)
class Facts:
    """What a cluster says of itself; None for what the credential may not read."""

    kubernetes_version: str | None = None
    node_count: int | None = None


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str


async def probe(client: Client, *, deadline: float) -> Facts:
    """Raises what `Client` raises, and Unreachable after `deadline` seconds."""
    try:
        async with asyncio.timeout(deadline):
            return Facts(await _version(client), await _node_count(client))
    except TimeoutError as error:
        raise Unreachable(f"{client.endpoint}: the API server didn't answer within {deadline:g} s") from error


async def _version(client: Client) -> str | None:
    try:
        return (await client.get(paths.SERVER_VERSION, _Version)).git_version
    except ApiError as error:
        if error.status == 403:
            return None
        raise


async def _node_count(client: Client) -> int | None:
    try:
        page = await client.page(paths.NODES, Resource, limit=1)
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return len(page.items) + page.remaining
