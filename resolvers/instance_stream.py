"""The reader behind `instanceEvents`."""

import time
from collections.abc import Callable
from copy import copy
from datetime import datetime
from typing import Self

import msgspec

from auth.permissions import Permission
from auth.policy import Permit, narrow
from cluster.feed import Fleet
from resolvers.instances import InstanceView, deployment_count, visible
from resolvers.places import in_detail
from resolvers.registry import Registry
from resolvers.streams import Drained, EventType, now

COUNTS_EVERY = 1.0
"""Seconds between two events for the same instance that tell nothing but counts (API.md)."""


class InstanceEvent(msgspec.Struct, frozen=True):
    type: EventType
    instance_id: str | None
    instance: InstanceView | None
    observed_at: datetime


class _Seen(msgspec.Struct, frozen=True):
    view: InstanceView
    facts: InstanceView
    """The part of the view whose change is told at once."""
    count: int | None
    told_at: float
    at: tuple[str, int]
    """Where the instance's change log was, so that nothing is counted twice."""


class InstanceReader:
    """ADDED, MODIFIED*, DELETED of instances, and one SYNCED behind the initial ones."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        registry: Registry,
        permit: Permit,
        include_initial: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._registry = registry
        self._permit = permit
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._sync = include_initial
        """Whether the SYNCED that ends the initial state is still owed."""
        if not include_initial:
            self._seen = {view.id: self._look(view) for view in self._views()}

    def clone(self) -> Self:
        other = copy(self)
        other._seen = self._seen.copy()
        return other

    def same(self, other: object) -> bool:
        return (
            isinstance(other, InstanceReader)
            and not (self._sync or other._sync)
            and self._permit.scopes == other._permit.scopes
            and {key: (seen.facts, seen.count) for key, seen in self._seen.items()}
            == {key: (seen.facts, seen.count) for key, seen in other._seen.items()}
        )

    def could_show(self, permit: Permit) -> bool:
        return bool(permit.scopes)

    def change_permit(self, permit: Permit) -> None:
        self._permit = permit
        unknown = ("", 0)  # other rights, other counts
        self._seen = {key: msgspec.structs.replace(seen, at=unknown) for key, seen in self._seen.items()}

    def close(self) -> None:
        self._seen.clear()

    def drain(self, limit: int = 256) -> Drained[InstanceEvent]:
        events: list[InstanceEvent] = []
        again: float | None = None
        views = {view.id: view for view in self._views()}
        for instance_id in self._seen.keys() - views.keys():
            last = self._seen.pop(instance_id).view
            seen = last if self._permit.reaches(instance_id) else None
            events.append(InstanceEvent(EventType.DELETED, instance_id, seen, now()))
        for view in views.values():
            if len(events) >= limit:
                return Drained(events, 0)
            wait = self._tell(view, events)
            if wait is not None:
                again = wait if again is None else min(again, wait)
        if self._sync and self._permit.scopes:  # without rights a stream is silent (API.md)
            self._sync = False
            events.append(InstanceEvent(EventType.SYNCED, None, None, now()))
        return Drained(events, again)

    def _tell(self, view: InstanceView, events: list[InstanceEvent]) -> float | None:
        """Add the instance's event, if one is due; else the seconds until one will be."""
        before = self._seen.get(view.id)
        if before is not None and before.view == view and before.at == self._position(view):
            return None
        current = self._look(view)
        if before is not None and before.facts == current.facts:
            if before.count == current.count:
                self._seen[view.id] = msgspec.structs.replace(current, told_at=before.told_at)
                return None
            wait = before.told_at + COUNTS_EVERY - current.told_at
            if wait > 0:
                return wait
        self._seen[view.id] = current
        kind = EventType.ADDED if before is None else EventType.MODIFIED
        events.append(InstanceEvent(kind, view.id, view, now()))
        return None

    def _views(self) -> list[InstanceView]:
        return list(visible(fleet=self._fleet, registry=self._registry, permit=self._permit))

    def _position(self, view: InstanceView) -> tuple[str, int]:
        feed = self._fleet.feeds[view.id]
        return feed.epoch, feed.head

    def _look(self, view: InstanceView) -> _Seen:
        permit = narrow(self._permit.identity, Permission.VIEW_DEPLOYMENTS)
        count = deployment_count(fleet=self._fleet, permit=permit, instance_id=view.id)
        facts = _facts(view, detailed=in_detail(permit))
        return _Seen(view, facts, count, self._clock(), self._position(view))


def _facts(view: InstanceView, *, detailed: bool) -> InstanceView:
    """What makes an event by itself: never when the API server last answered, nor what isn't shown."""
    state = msgspec.structs.replace(view.state, last_seen_at=None)
    if detailed:
        return msgspec.structs.replace(view, state=state)
    public = msgspec.structs.replace(
        state, reason=None, endpoint=None, cluster_uid=None, missing_verbs=(), warnings=()
    )
    return msgspec.structs.replace(view, state=public, credential=None, credential_error=None)
