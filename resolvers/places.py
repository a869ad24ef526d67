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


def in_detail(permit: Permit) -> bool:
    """Whether reasons may name addresses, files and accounts: to those who manage instances (API.md)."""
    return bool(narrow(permit.identity, Permission.MANAGE_INSTANCES).scopes)
