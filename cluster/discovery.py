"""Which API group of AI Runway a cluster serves."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from cluster import paths
from cluster.client import Client
from cluster.errors import ApiError, ClusterError
from cluster.timing import Timing
from cluster.watch import retry_delay


class _ApiResource(msgspec.Struct, frozen=True):
    name: str


class _ApiResourceList(msgspec.Struct, frozen=True):
    resources: tuple[_ApiResource, ...] = ()


async def served_group(client: Client) -> str | None:
    """The newest API group that serves ModelDeployments; None without their CRD.

    Raises what `Client` raises: that it isn't known is no None.
    """
    for api_group in paths.API_GROUPS:
        try:
            found = await client.get(paths.group(api_group), _ApiResourceList)
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        if any(resource.name == paths.DEPLOYMENTS for resource in found.resources):
            return api_group
    return None


def concerns_deployments(crd: str) -> bool:
    """Whether a CRD of this name coming or going may change the answer."""
    return crd.partition(".")[0] == paths.DEPLOYMENTS


async def look_out(
    client: Client, *, changed: asyncio.Event, timing: Timing
) -> AsyncGenerator[str | ClusterError | None, None]:
    """What each look found, for ever: the API group, None without one, or why it can't be told.

    `changed` says that CRDs may have come or gone. The API server serves a new group some moments after its
    CRD came, so looks are close together at first.
    """
    failures, delay = 0, timing.discovery_first
    while True:
        changed.clear()
        try:
            yield await served_group(client)
        except ClusterError as error:
            yield error
            pause = retry_delay(error, failures, timing=timing)
            failures += 1
        else:
            failures, pause, delay = 0, delay, min(delay * 2, timing.discovery)
        try:
            async with asyncio.timeout(pause):  # wait_for loses a cancellation that comes with a change
                await changed.wait()
            delay = timing.discovery_first
        except TimeoutError:
            continue
