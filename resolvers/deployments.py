"""Deployments: list, find, create, delete."""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import islice

import msgspec

from auth.policy import Permit
from cluster.drafts import DeploymentDraft
from cluster.errors import InstanceUnavailable
from cluster.feed import Fleet, InstanceFeed
from cluster.manifests import build_manifest
from cluster.types import Deployment, InstanceStatus, Phase
from cluster.wakeups import until
from resolvers import places
from resolvers.discretion import discreet
from resolvers.errors import NotFound
from resolvers.filters import DeploymentFilter, predicate
from resolvers.paging import Key, Page, check_first, decode_cursor
from resolvers.scans import scan
from resolvers.services import Services

MOST = 1000
"""The largest page."""
SEEN_WITHIN = 1.0
"""Seconds that a mutation waits until the store shows its result (API.md); the watch alone writes stores."""


class OrderField(StrEnum):
    NAME = "NAME"
    INSTANCE = "INSTANCE"
    NAMESPACE = "NAMESPACE"
    MODEL = "MODEL"
    PHASE = "PHASE"
    CREATED_AT = "CREATED_AT"


class Direction(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


class Order(msgspec.Struct, frozen=True):
    field: OrderField = OrderField.NAME
    direction: Direction = Direction.ASC

    @property
    def descending(self) -> bool:
        return self.direction is Direction.DESC

    def key(self, deployment: Deployment) -> Key:
        return (_order_key(self.field, deployment), deployment.id)

    @property
    def kind(self) -> type[str] | type[int]:
        return int if self.field in (OrderField.PHASE, OrderField.CREATED_AT) else str


def _order_key(field: OrderField, deployment: Deployment) -> str | int:
    match field:
        case OrderField.NAME:
            return deployment.name
        case OrderField.INSTANCE:
            return deployment.instance_id
        case OrderField.NAMESPACE:
            return deployment.namespace
        case OrderField.MODEL:
            return deployment.model_id
        case OrderField.PHASE:
            return _LIFE.index(deployment.phase)
        case OrderField.CREATED_AT:
            created = deployment.resource.metadata.creation_timestamp
            return 0 if created is None else int(created.timestamp() * 1_000_000)


_LIFE = tuple(Phase)


class Source(msgspec.Struct, frozen=True):
    """How far one instance's part of an answer can be trusted."""

    instance_id: str
    status: InstanceStatus
    stale: bool
    synced_at: datetime | None
    error: str | None
    """For those who manage instances in full, else a fixed sentence; None where all is well."""


async def list_deployments(
    *,
    services: Services,
    permit: Permit,
    wanted: DeploymentFilter,
    order: Order,
    first: int | None,
    after: str | None,
) -> Page[Deployment]:
    """One page of the deployments that the permit allows and the filter wants."""
    size = check_first(first, MOST)
    cursor = None if after is None else decode_cursor(after, order.kind)
    if wanted.only_places and order.field is OrderField.NAME:
        return await _page_by_name(services, permit, wanted, order, size, cursor)
    return await _page_by_scan(services, permit, wanted, order, size, cursor)


async def _page_by_name(
    services: Services,
    permit: Permit,
    wanted: DeploymentFilter,
    order: Order,
    size: int,
    cursor: Key | None,
) -> Page[Deployment]:
    """Stores are sorted by name per namespace: merging them scans nothing."""

    async def compute() -> Page[Deployment]:
        shelves = list(places.shelves(fleet=services.fleet, permit=permit, wanted=wanted))
        merged = heapq.merge(
            *(_from_cursor(feed, namespace, order, cursor) for feed, namespace in shelves),
            key=order.key,
            reverse=order.descending,
        )
        found = list(islice(merged, size + 1))
        return Page(
            items=found[:size],
            key=order.key,
            has_next=len(found) > size,
            has_previous=cursor is not None,
            total=lambda: sum(sum(feed.counts(namespace).values()) for feed, namespace in shelves),
        )

    return await services.pages.shared((permit.scopes, wanted, order, size, cursor), compute)


def _from_cursor(
    feed: InstanceFeed, namespace: str, order: Order, cursor: Key | None
) -> Iterator[Deployment]:
    """One namespace's deployments behind the cursor. Other namespaces may hold its name too: ids decide."""
    if cursor is None:
        yield from feed.by_name_descending(namespace) if order.descending else feed.by_name(namespace)
        return
    name = str(cursor[0])
    same = feed.get(namespace, name)
    if same is not None and (order.key(same) < cursor if order.descending else order.key(same) > cursor):
        yield same
    yield from (
        feed.by_name_descending(namespace, name) if order.descending else feed.by_name(namespace, name)
    )


async def _page_by_scan(
    services: Services,
    permit: Permit,
    wanted: DeploymentFilter,
    order: Order,
    size: int,
    cursor: Key | None,
) -> Page[Deployment]:
    async def compute() -> tuple[list[Key], list[Deployment]]:
        lets_through = predicate(wanted)
        found = [
            (order.key(deployment), deployment)
            async for deployment in scan(fleet=services.fleet, permit=permit, wanted=wanted)
            if lets_through(deployment)
        ]
        found.sort(key=lambda pair: pair[0])
        return [key for key, _ in found], [deployment for _, deployment in found]

    keys, deployments = await services.scans.shared(("list", permit.scopes, wanted, order.field), compute)
    if order.descending:
        end = len(keys) if cursor is None else bisect_left(keys, cursor)
        start = max(0, end - size)
        window, has_next = slice(start, end), start > 0
    else:
        start = 0 if cursor is None else bisect_right(keys, cursor)
        window, has_next = slice(start, start + size), start + size < len(keys)
    step = -1 if order.descending else 1
    return Page(
        items=deployments[window][::step],
        key=order.key,
        has_next=has_next,
        has_previous=cursor is not None,
        total=lambda: len(keys),
    )


def sources(*, fleet: Fleet, permit: Permit, wanted: DeploymentFilter) -> list[Source]:
    """One line for each instance that an answer draws from."""
    detailed = places.in_detail(permit)
    return [
        Source(
            instance_id=feed.instance_id,
            status=feed.state.status,
            stale=not feed.state.live,
            synced_at=feed.state.synced_at,
            error=None if feed.state.live else (feed.state.reason if detailed else feed.state.public_reason),
        )
        for feed in places.instances(fleet=fleet, permit=permit, wanted=wanted)
    ]


def find_deployment(
    *, fleet: Fleet, permit: Permit, instance_id: str, namespace: str, name: str
) -> Deployment | None:
    """The deployment, or None where there is none that the person may see.

    Raises `InstanceUnavailable` while the instance was never synced: nobody knows yet.
    """
    feed = fleet.feeds.get(instance_id)
    if feed is None or not permit.allows(instance_id, namespace):
        return None
    found = feed.get(namespace, name)
    if found is None and feed.state.synced_at is None:
        raise InstanceUnavailable(instance_id, feed.state.status, feed.state.public_reason)
    return found


def is_live(*, fleet: Fleet, deployment: Deployment) -> bool:
    """Whether the deployment's instance is watched live, so that what is shown is of now."""
    feed = fleet.feeds.get(deployment.instance_id)
    return feed is not None and feed.state.live


class Created(msgspec.Struct, frozen=True):
    deployment: Deployment
    warnings: tuple[str, ...]


async def create_deployment(
    *, services: Services, permit: Permit, instance_id: str, draft: DeploymentDraft, dry_run: bool
) -> Created:
    """Create a ModelDeployment; with `dry_run` the API server judges it and keeps nothing."""
    feed = _managed(services.fleet, permit, instance_id, draft.namespace)
    author = permit.identity.display_name if permit.identity else None
    with discreet(permit):
        created, warnings = await services.fleet.create_deployment(
            instance_id=instance_id,
            namespace=draft.namespace,
            manifest=build_manifest(draft, created_by=author),
            dry_run=dry_run,
        )
    if not dry_run:
        await until(feed, lambda: _holds(feed, draft.namespace, draft.name, created.uid), within=SEEN_WITHIN)
    shown = feed.get(draft.namespace, draft.name)
    return Created(shown if shown is not None and shown.uid == created.uid else created, warnings)


async def delete_deployment(
    *,
    services: Services,
    permit: Permit,
    instance_id: str,
    namespace: str,
    name: str,
    uid: str | None,
    dry_run: bool,
) -> Deployment | None:
    """Ask for the deployment's deletion. Its last known state, usually Terminating; None if it is gone.

    With `uid`, only that very object is deleted, not one that was created anew under its name.
    """
    feed = _managed(services.fleet, permit, instance_id, namespace)
    before = feed.get(namespace, name)
    with discreet(permit):
        deleted = await services.fleet.delete_deployment(
            instance_id=instance_id, namespace=namespace, name=name, uid=uid, dry_run=dry_run
        )
    if dry_run:
        return before
    if before is not None:
        await until(
            feed,
            lambda: not _holds(feed, namespace, name, before.uid, being_deleted=False),
            within=SEEN_WITHIN,
        )
    return feed.get(namespace, name) or deleted or before


def _managed(fleet: Fleet, permit: Permit, instance_id: str, namespace: str) -> InstanceFeed:
    feed = fleet.feeds.get(instance_id)
    if feed is None or not permit.allows(instance_id, namespace):
        raise NotFound
    return feed


def _holds(
    feed: InstanceFeed, namespace: str, name: str, uid: str, *, being_deleted: bool | None = None
) -> bool:
    found = feed.get(namespace, name)
    if found is None or found.uid != uid:
        return False
    marked = found.resource.metadata.deletion_timestamp is not None
    return being_deleted is None or marked is being_deleted
