"""What the hub's account may not do on a cluster, of all that the hub does there."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from cluster import paths
from cluster.client import Client
from cluster.errors import Unreachable

_ON_DEPLOYMENTS = ("create", "delete", "list", "watch")
_ON_PODS = ("list", "watch")
_OF_THE_CLUSTER = (
    ("", "namespaces", ("get", "list", "watch")),
    ("", "nodes", ("list",)),
    ("apiextensions.k8s.io", "customresourcedefinitions", ("list", "watch")),
)


class Right(msgspec.Struct, frozen=True):
    """One verb on one type of resource; everywhere without a namespace."""

    verb: str
    group: str
    resource: str
    namespace: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {name}" + (f" in {self.namespace}" if self.namespace else "")


class _Verdict(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Verdict = _Verdict()


async def missing_rights(
    client: Client, *, api_group: str | None, namespaces: Sequence[str], deadline: float
) -> tuple[str, ...]:
    """Such as `create modeldeployments.airunway.ai`. What isn't allowed everywhere is asked for each of the
    credential's namespaces. Raises what `Client` raises, and Unreachable after `deadline` seconds.
    """
    try:
        async with asyncio.timeout(deadline):
            return tuple(
                [
                    str(missing)
                    for right in _needed(api_group)
                    for missing in await _missing(client, right, namespaces)
                ]
            )
    except TimeoutError as error:
        raise Unreachable(f"{client.endpoint}: the API server didn't answer within {deadline:g} s") from error


def _needed(api_group: str | None) -> Iterator[Right]:
    if api_group is not None:
        yield from (Right(verb, api_group, paths.DEPLOYMENTS) for verb in _ON_DEPLOYMENTS)
    yield from (Right(verb, "", "pods") for verb in _ON_PODS)
    for group, resource, verbs in _OF_THE_CLUSTER:
        yield from (Right(verb, group, resource) for verb in verbs)


async def _missing(client: Client, right: Right, namespaces: Sequence[str]) -> list[Right]:
    if await _allowed(client, right):
        return []
    if right.resource not in (paths.DEPLOYMENTS, "pods") or not namespaces:
        return [right]
    each = [msgspec.structs.replace(right, namespace=namespace) for namespace in namespaces]
    return [one for one in each if not await _allowed(client, one)]


async def _allowed(client: Client, right: Right) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": msgspec.to_builtins(right)},
    }
    return (await client.create(paths.ACCESS_REVIEWS, body, _Review, params={})).value.status.allowed
