"""The reader behind `deploymentEvents` and `deploymentChanges`."""

from collections import deque
from collections.abc import Iterator
from copy import copy
from typing import Self

from auth.policy import Permit
from cluster.errors import FellBehind
from cluster.feed import Fleet, InstanceFeed
from cluster.types import Change, Deployment
from resolvers import places
from resolvers.errors import SlowConsumer
from resolvers.filters import DeploymentFilter, predicate
from resolvers.streams import DeploymentEvent, Drained, EventType, now

Key = tuple[str, str]
"""(namespace, name)"""


class _Shown:
    """How far one instance was read, and what of it was shown."""

    __slots__ = ("deployments", "epoch", "live", "position")

    def __init__(self, epoch: str, position: int, *, live: bool | None) -> None:
        self.epoch = epoch
        self.position = position
        self.live = live
        """Whether SYNCED (true) or STALE (false) was the last word; None before either."""
        self.deployments: dict[Key, Deployment] = {}

    def clone(self) -> "_Shown":
        other = _Shown(self.epoch, self.position, live=self.live)
        other.deployments = self.deployments.copy()
        return other

    def same(self, other: "_Shown") -> bool:
        return (self.epoch, self.position, self.live) == (
            other.epoch,
            other.position,
            other.live,
        ) and self.deployments.keys() == other.deployments.keys()


class DeploymentReader:
    """Per deployment ADDED, MODIFIED*, DELETED; per instance SYNCED and STALE."""

    def __init__(
        self, *, fleet: Fleet, permit: Permit, wanted: DeploymentFilter, include_initial: bool
    ) -> None:
        self._fleet = fleet
        self._permit = permit
        self._wanted = wanted
        self._matches = predicate(wanted)
        self._include_initial = include_initial
        self._shown: dict[str, _Shown] = {}
        self._pending: deque[DeploymentEvent] = deque()
        """Events of changes that were read, in order, until turns have taken them."""
        self._before: Permit | None = None
        """What was allowed until the permit changed, while instances are to be compared for it."""
        self._resync: set[str] = set()
        if not include_initial:
            for feed in places.instances(fleet=fleet, permit=permit, wanted=wanted):
                self._shown[feed.instance_id] = _Shown(feed.epoch, feed.head, live=feed.state.live)

    def clone(self) -> Self:
        other = copy(self)
        other._shown = {key: shown.clone() for key, shown in self._shown.items()}
        other._pending = self._pending.copy()
        other._resync = self._resync.copy()
        return other

    def same(self, other: object) -> bool:
        return (
            isinstance(other, DeploymentReader)
            and not (self._pending or other._pending or self._resync or other._resync)
            and self._permit.scopes == other._permit.scopes
            and self._shown.keys() == other._shown.keys()
            and all(shown.same(other._shown[key]) for key, shown in self._shown.items())
        )

    def change_permit(self, permit: Permit) -> None:
        self._before = self._before or self._permit
        self._permit = permit
        self._resync.update(self._shown)

    def close(self) -> None:
        self._shown.clear()
        self._pending.clear()

    def drain(self, limit: int = 256) -> Drained[DeploymentEvent]:
        behind = False
        if not self._pending:
            behind = self._read_all(limit)
        events = [self._pending.popleft() for _ in range(min(limit, len(self._pending)))]
        return Drained(events, 0 if behind or self._pending else None)

    def _read_all(self, limit: int) -> bool:
        """Read about `limit` events' worth of every instance; whether there is more to read."""
        feeds = {
            feed.instance_id: feed
            for feed in places.instances(fleet=self._fleet, permit=self._permit, wanted=self._wanted)
        }
        for instance_id in self._shown.keys() - feeds.keys():
            self._pending.extend(self._forget(instance_id))
        for feed in feeds.values():
            if len(self._pending) >= limit:
                return True
            self._pending.extend(self._read(feed, limit))
        self._before = None
        return any(self._shown[key].position < feed.head for key, feed in feeds.items())

    def _read(self, feed: InstanceFeed, limit: int) -> Iterator[DeploymentEvent]:
        shown = self._shown.get(feed.instance_id)
        if shown is None:
            shown = self._shown[feed.instance_id] = _Shown(feed.epoch, 0, live=None)
            yield from self._compare(feed, shown)
        elif shown.epoch != feed.epoch or feed.instance_id in self._resync:
            yield from self._compare(feed, shown)
        elif shown.position < feed.head:
            yield from self._follow(feed, shown, limit)
        if shown.position == feed.head and shown.live is not feed.state.live:
            shown.live = feed.state.live
            yield _marker(feed)

    def _follow(self, feed: InstanceFeed, shown: _Shown, limit: int) -> Iterator[DeploymentEvent]:
        """The log's next changes."""
        try:
            changes = feed.changes(shown.position, limit)
        except FellBehind as error:
            raise SlowConsumer from error
        for change in changes:
            shown.position = change.sequence
            yield from self._change(feed.instance_id, shown, change)
        if len(changes) < limit:
            shown.position = feed.head

    def _change(self, instance_id: str, shown: _Shown, change: Change) -> Iterator[DeploymentEvent]:
        allowed = self._permit.allows(instance_id, change.namespace)
        matches = allowed and not change.deleted and self._matches(change.deployment)
        key = (change.namespace, change.name)
        yield from self._turn(
            shown, key, change.deployment if matches else None, last=change.deployment if allowed else None
        )

    def _compare(self, feed: InstanceFeed, shown: _Shown) -> Iterator[DeploymentEvent]:
        """All that the instance holds now against all that was shown of it."""
        self._resync.discard(feed.instance_id)
        shown.epoch, shown.position = feed.epoch, feed.head
        current = {
            (deployment.namespace, deployment.name): deployment
            for namespace in places.namespaces(feed=feed, permit=self._permit, wanted=self._wanted)
            for deployment in feed.by_name(namespace)
            if self._matches(deployment)
        }
        for key in shown.deployments.keys() - current.keys():
            allowed = self._permit.allows(feed.instance_id, key[0])
            yield from self._turn(
                shown, key, None, last=(feed.get(*key) or shown.deployments[key]) if allowed else None
            )
        for key, deployment in current.items():
            before = shown.deployments.get(key)
            if before is None and self._passed_over(feed.instance_id, key[0]):
                continue
            if before is not deployment:
                yield from self._turn(shown, key, deployment, last=None)

    def _passed_over(self, instance_id: str, namespace: str) -> bool:
        """Whether what is there unshown was there before, for a reader that wanted no initial state."""
        before = self._before
        return not self._include_initial and before is not None and before.allows(instance_id, namespace)

    def _turn(
        self, shown: _Shown, key: Key, current: Deployment | None, *, last: Deployment | None
    ) -> Iterator[DeploymentEvent]:
        """One deployment from what was shown of it to `current`; `last` goes with a DELETED."""
        before = shown.deployments.get(key)
        if before is not None and (current is None or current.uid != before.uid):
            del shown.deployments[key]
            gone = last if last is None or last.uid == before.uid else before
            yield DeploymentEvent(
                EventType.DELETED,
                before.instance_id,
                before.id,
                before if current is not None else gone,
                now(),
            )
        if current is not None:
            known = key in shown.deployments
            shown.deployments[key] = current
            kind = EventType.MODIFIED if known else EventType.ADDED
            yield DeploymentEvent(
                kind, current.instance_id, current.id, current, current.observed_at
            )

    def _forget(self, instance_id: str) -> Iterator[DeploymentEvent]:
        """The instance went, or may no longer be seen: so does everything that was shown of it."""
        shown = self._shown.pop(instance_id)
        self._resync.discard(instance_id)
        allowed = self._permit.reaches(instance_id)
        for key, before in list(shown.deployments.items()):
            yield from self._turn(shown, key, None, last=before if allowed else None)


def _marker(feed: InstanceFeed) -> DeploymentEvent:
    state = feed.state
    if state.live:
        return DeploymentEvent(EventType.SYNCED, feed.instance_id, None, None, state.synced_at or now())
    return DeploymentEvent(EventType.STALE, feed.instance_id, None, None, now())
