"""Instances: listing and finding them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from auth.identity import Identity
from auth.permissions import Permission
from auth.policy import Permit, Place, authorise, narrow
from cluster.feed import Fleet, InstanceFeed
from cluster.types import Deployment, InstanceState, InstanceStatus
from credentials.types import Credential, CredentialProblem
from resolvers.paging import Page, check_first, decode_cursor
from resolvers.registry import Registered, Registry

MOST = 100
"""The largest page."""


class InstanceView(msgspec.Struct, frozen=True):
    """One instance as it stands now. Equal views look the same to everybody."""

    registered: Registered
    state: InstanceState
    credential: Credential | None
    credential_error: str | None

    @property
    def id(self) -> str:
        return self.registered.id

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be mended of its credential, for those who manage instances."""
        return (*(self.credential.warnings if self.credential else ()), *self.state.warnings)


class InstanceFilter(msgspec.Struct, frozen=True):
    search: str | None = None
    statuses: tuple[InstanceStatus, ...] | None = None

    def lets_through(self, view: InstanceView) -> bool:
        if self.statuses is not None and view.state.status not in self.statuses:
            return False
        text = (self.search or "").lower()
        return text in view.id or text in view.registered.display_name.lower()


def list_instances(
    *,
    fleet: Fleet,
    registry: Registry,
    permit: Permit,
    wanted: InstanceFilter,
    first: int | None,
    after: str | None,
) -> Page[InstanceView]:
    """One page of the instances that the permit reaches, by name."""
    size = check_first(first, MOST)
    cursor = ("", "") if after is None else decode_cursor(after)
    views = [
        view for view in visible(fleet=fleet, registry=registry, permit=permit) if wanted.lets_through(view)
    ]
    found = [view for view in views if (view.id, view.id) > cursor]
    items = found[:size]
    return Page(
        items=items,
        key=lambda view: (view.id, view.id),
        has_next=len(found) > size,
        has_previous=after is not None,
        total=lambda: len(views),
    )


def visible(*, fleet: Fleet, registry: Registry, permit: Permit) -> Iterable[InstanceView]:
    """Every instance that the permit reaches, by name; one that isn't registered yet follows in a moment."""
    for instance_id, feed in fleet.feeds.items():
        registered = registry.get(instance_id)
        if registered is not None and permit.reaches(instance_id):
            yield _view(fleet, feed, registered)


def find_instance(
    *, fleet: Fleet, registry: Registry, permit: Permit, instance_id: str
) -> InstanceView | None:
    feed, registered = fleet.feeds.get(instance_id), registry.get(instance_id)
    if feed is None or registered is None or not permit.reaches(instance_id):
        return None
    return _view(fleet, feed, registered)


def owner(*, fleet: Fleet, registry: Registry, deployment: Deployment) -> InstanceView:
    """The instance of a deployment that was shown, even where its credential is gone by now."""
    instance_id = deployment.instance_id
    at = deployment.resource.metadata.creation_timestamp or datetime.now(UTC)
    registered = registry.get(instance_id) or Registered(instance_id, instance_id, at, at)
    feed = fleet.feeds.get(instance_id)
    if feed is not None:
        return _view(fleet, feed, registered)
    gone = "Its credential is gone from the credentials directory"
    state = InstanceState(instance_id, InstanceStatus.DISCONNECTED, reason=gone, public_reason=gone)
    return InstanceView(registered, state, None, None)


def registered_instance(*, fleet: Fleet, registry: Registry, instance_id: str) -> InstanceView | None:
    """An instance as whoever manages it is shown it, its credential there or not."""
    registered, feed = registry.get(instance_id), fleet.feeds.get(instance_id)
    if registered is None:
        return None
    if feed is not None:
        return _view(fleet, feed, registered)
    waiting = "There is no credential for it yet, or none any more"
    state = InstanceState(instance_id, InstanceStatus.CONNECTING, reason=waiting, public_reason=waiting)
    return InstanceView(registered, state, None, None)


def _view(fleet: Fleet, feed: InstanceFeed, registered: Registered) -> InstanceView:
    return InstanceView(
        registered,
        feed.state,
        fleet.credential(feed.instance_id),
        fleet.credential_error(feed.instance_id),
    )


def problems(*, fleet: Fleet, permit: Permit) -> Sequence[CredentialProblem]:
    """The files that never were good credentials: all of them to whom the hub itself is permitted."""
    return fleet.problems if permit.scopes else ()


def deployment_count(*, fleet: Fleet, permit: Permit, instance_id: str) -> int | None:
    """How many deployments the permit shows there; None while nobody knows."""
    feed = fleet.feeds.get(instance_id)
    if feed is None or feed.state.synced_at is None:
        return None
    allowed = permit.namespaces(instance_id)
    return sum(
        sum(feed.counts(namespace).values())
        for namespace in feed.namespaces()
        if allowed is None or namespace in allowed
    )


def namespaces(*, fleet: Fleet, permit: Permit, instance_id: str) -> Collection[str] | None:
    """The instance's namespaces that the permit allows, sorted; None while they couldn't be read."""
    feed = fleet.feeds.get(instance_id)
    known = None if feed is None else feed.known_namespaces()
    if known is None:
        return None
    allowed = permit.namespaces(instance_id)
    return sorted(name for name in known if allowed is None or name in allowed)


def viewer_can(*, identity: Identity | None, instance_id: str, namespace: str | None) -> list[Permission]:
    """What the person may do there; without a namespace, what is allowed in some namespace."""
    if namespace is None:
        return [p for p in Permission if narrow(identity, p).reaches(instance_id)]
    place = Place(instance_id, namespace)
    return [p for p in Permission if isinstance(authorise(identity, p, place), Permit)]
