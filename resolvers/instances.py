"""Instances: what is remembered of them, listing and finding them."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from auth.identity import Identity
from auth.permissions import Permission
from auth.policy import Permit, Place, authorise, narrow
from cluster.feed import Fleet, InstanceFeed
from cluster.types import Deployment, InstanceState, InstanceStatus
from credentials.types import Credential, CredentialProblem
from models.errors import DatabaseUnavailable
from models.tables import Instance as InstanceRow
from resolvers.paging import Page, check_first, decode_cursor

MOST = 100
"""The largest page."""
PAUSE, RETRY = 0.05, 5.0
"""Seconds between two looks for new instances: while clusters change all the time, and while none does."""


class Registered(msgspec.Struct, frozen=True):
    """What the database remembers of an instance."""

    id: str
    display_name: str
    created_at: datetime
    updated_at: datetime


class InstanceView(msgspec.Struct, frozen=True):
    """One instance as it stands now. Equal views look the same to everybody."""

    registered: Registered
    state: InstanceState
    credential: Credential | None
    credential_error: str | None

    @property
    def id(self) -> str:
        return self.registered.id


class Registry:
    """The instances' rows, kept in memory: no query asks the database for them."""

    def __init__(self, known: Iterable[Registered] = ()) -> None:
        self._known: Mapping[str, Registered] = {each.id: each for each in known}

    def get(self, instance_id: str) -> Registered | None:
        return self._known.get(instance_id)

    async def register(self, names: Iterable[str]) -> None:
        """Remember instances that were never seen before. Safe in several processes at once."""
        for name in names:
            if name not in self._known:
                await InstanceRow.get_or_create(id=name, defaults={"display_name": name})
        self._known = {
            row.id: Registered(row.id, row.display_name, row.created_at, row.updated_at)
            for row in await InstanceRow.all()
        }

    async def follow(self, fleet: Fleet, *, registered: Callable[[], None]) -> None:
        """Endless: register the instances that appear; `registered` is called after each time."""
        changed = asyncio.Event()
        unsubscribe = fleet.subscribe(changed.set)
        try:
            while True:
                changed.clear()
                if any(name not in self._known for name in fleet.feeds):
                    with suppress(DatabaseUnavailable):  # tried again after the pause
                        await self.register(fleet.feeds)
                        registered()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY):  # wait_for loses a cancellation that comes with news
                        await changed.wait()
                await asyncio.sleep(PAUSE)
        finally:
            unsubscribe()


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
