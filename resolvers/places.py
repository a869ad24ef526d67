"""The places of a question: what the permit allows, less what the filter leaves out."""

from collections.abc import Collection, Iterator

from auth.permissions import Permission
from auth.policy import Permit, narrow
from cluster.feed import Fleet, InstanceFeed
from resolvers.filters import DeploymentFilter


def instances(*, fleet: Fleet, permit: Permit, wanted: DeploymentFilter) -> Iterator[InstanceFeed]:
    """The feeds that the question is about, by instance id."""
    for instance_id, feed in fleet.feeds.items():
        if permit.reaches(instance_id) and (
            wanted.instance_ids is None or instance_id in wanted.instance_ids
        ):
            yield feed


def namespaces(*, feed: InstanceFeed, permit: Permit, wanted: DeploymentFilter) -> Collection[str]:
    """The namespaces with deployments on one instance that the question is about."""
    allowed = permit.namespaces(feed.instance_id)
    return [
        namespace
        for namespace in feed.namespaces()
        if (allowed is None or namespace in allowed)
        and (wanted.namespaces is None or namespace in wanted.namespaces)
    ]


def shelves(*, fleet: Fleet, permit: Permit, wanted: DeploymentFilter) -> Iterator[tuple[InstanceFeed, str]]:
    """Every (instance, namespace) of the question: each holds its deployments sorted by name."""
    for feed in instances(fleet=fleet, permit=permit, wanted=wanted):
        for namespace in namespaces(feed=feed, permit=permit, wanted=wanted):
            yield feed, namespace


def any_left(*, permit: Permit, wanted: DeploymentFilter) -> bool:
    """Whether the permit allows any of the places that the filter names."""
    if wanted.ids is not None and not any(_allows(permit, deployment_id) for deployment_id in wanted.ids):
        return False
    return any(
        (scope.instance_id is None or wanted.instance_ids is None or scope.instance_id in wanted.instance_ids)
        and (
            scope.namespaces is None
            or wanted.namespaces is None
            or not set(scope.namespaces).isdisjoint(wanted.namespaces)
        )
        for scope in permit.scopes
    )


def _allows(permit: Permit, deployment_id: str) -> bool:
    instance_id, _, rest = deployment_id.partition("/")
    return permit.allows(instance_id, rest.partition("/")[0])


def in_detail(permit: Permit) -> bool:
    """Whether reasons may name addresses, files and accounts: to those who manage instances (API.md)."""
    return bool(narrow(permit.identity, Permission.MANAGE_INSTANCES).scopes)
