"""The reader behind `deploymentEvents` and `deploymentChanges`."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from copy import copy
from typing import Self

from auth.policy import Permit
from cluster.errors import FellBehind
from cluster.feed import Fleet, InstanceFeed
from cluster.types import Deployment
from resolvers import places
from resolvers.errors import SlowConsumer
from resolvers.filters import DeploymentFilter, predicate
from resolvers.streams import DeploymentEvent, Drained, EventType, now

Key = tuple[str, str]
"""(namespace, name)"""


class _Shown:
    """How far one instance was read, and what of it was shown."""

    __slots__ = ("deployments", "epoch", "live", "position", "unread")

    def __init__(self, epoch: str, position: int, *, live: bool | None) -> None:
        self.epoch = epoch
        self.position = position
        self.live = live
        """Whether SYNCED (true) or STALE (false) was the last word; None before either."""
        self.deployments: dict[Key, Deployment] = {}
        self.unread: deque[Key] = deque()
        """What is to be looked at beside the log: it lies before the position, or the permit changed."""

    def clone(self) -> "_Shown":
        other = _Shown(self.epoch, self.position, live=self.live)
        other.deployments = self.deployments.copy()
        other.unread = self.unread.copy()
        return other

    def caught_up(self, feed: InstanceFeed) -> bool:
        return (
            self.position == feed.head
            and self.live is feed.state.live
            and self.epoch == feed.epoch
            and not self.unread
        )

    def same(self, other: "_Shown") -> bool:
        return (
            not (self.unread or other.unread)
            and (self.epoch, self.position, self.live) == (other.epoch, other.position, other.live)
            and self.deployments == other.deployments
        )


class DeploymentReader:
    """Per deployment ADDED, MODIFIED*, DELETED; per instance SYNCED and STALE.

    What it has shown is what was given out, never what waits: a changed permit acts on all that follows.
    Everything is told in an order that what was shown decides, so that those who are the same say the same.
    """

    def __init__(
        self, *, fleet: Fleet, permit: Permit, wanted: DeploymentFilter, include_initial: bool
    ) -> None:
        self._fleet = fleet
        self._permit = permit
        self._wanted = wanted
        self._matches = predicate(wanted)
        self._shown: dict[str, _Shown] = {}
        self._known_feeds: Mapping[str, InstanceFeed] | None = None
        self._own_feeds: Mapping[str, InstanceFeed] = {}
        self._next: str | None = None
        if not include_initial:
            for feed in self._feeds().values():
                self._shown[feed.instance_id] = _Shown(feed.epoch, feed.head, live=feed.state.live)

    def clone(self) -> Self:
        other = copy(self)
        other._shown = {key: shown.clone() for key, shown in self._shown.items()}
        return other

    def same(self, other: object) -> bool:
        return (
            isinstance(other, DeploymentReader)
            and self._permit.scopes == other._permit.scopes
            and self._wanted == other._wanted
            and self._next == other._next
            and self._shown.keys() == other._shown.keys()
            and all(shown.same(other._shown[key]) for key, shown in self._shown.items())
        )

    def could_show(self, permit: Permit) -> bool:
        return places.any_left(permit=permit, wanted=self._wanted)

    def change_permit(self, permit: Permit) -> None:
        before, self._permit, self._known_feeds = self._permit, permit, None
        for feed in self._feeds().values():
            if (shown := self._shown.get(feed.instance_id)) is None:
                continue  # all of it is news
            lost = [key for key in sorted(shown.deployments) if not permit.allows(feed.instance_id, key[0])]
            won = [
                (namespace, deployment.name)
                for namespace in places.namespaces(feed=feed, permit=permit, wanted=self._wanted)
                if not before.allows(feed.instance_id, namespace)
                for deployment in feed.by_name(namespace)
            ]
            shown.unread.extend(lost + won)

    def close(self) -> None:
        self._shown.clear()

    def drain(self, limit: int = 256) -> Drained[DeploymentEvent]:
        events: list[DeploymentEvent] = []
        feeds = self._feeds()
        caught_up = self._shown.keys() <= feeds.keys() or self._forget_all_but(feeds.keys(), events, limit)
        for instance_id, feed in self._in_turn(feeds):
            shown = self._shown.get(instance_id)
            # Most questions have nothing to do in most turns: this line is what they cost.
            if shown is not None and shown.caught_up(feed):
                continue
            if len(events) >= limit:
                self._next = instance_id
                return Drained(events, 0)
            caught_up &= self._read(feed, events, limit)
        self._next = None
        return Drained(events, None if caught_up else 0)

    def _in_turn(self, feeds: Mapping[str, InstanceFeed]) -> Iterable[tuple[str, InstanceFeed]]:
        """All of them, beginning with the one that there was no room for: a flood holds up nobody else."""
        if self._next is None or self._next not in feeds:
            return feeds.items()
        items = list(feeds.items())
        first = list(feeds).index(self._next)
        return items[first:] + items[:first]

    # ------------------------------------------------------------ one instance

    def _feeds(self) -> Mapping[str, InstanceFeed]:
        """The instances that the question is about: worked out anew only when instances or rights change."""
        if self._known_feeds is not self._fleet.feeds:
            own = places.instances(fleet=self._fleet, permit=self._permit, wanted=self._wanted)
            self._own_feeds = {feed.instance_id: feed for feed in own}
            self._known_feeds = self._fleet.feeds
        return self._own_feeds

    def _read(self, feed: InstanceFeed, events: list[DeploymentEvent], limit: int) -> bool:
        """Add what is new on the instance, as long as there is room; whether that was all."""
        shown = self._shown.get(feed.instance_id)
        if shown is None:
            shown = self._shown[feed.instance_id] = _Shown(feed.epoch, feed.head, live=None)
            self._look_at_all(feed, shown)
        elif shown.epoch != feed.epoch:
            self._look_at_all(feed, shown)
        while shown.unread and len(events) < limit:
            key = shown.unread.popleft()
            events += self._turn(feed.instance_id, shown, key, feed.get(*key))
        if shown.position < feed.head and len(events) < limit:
            self._follow(feed, shown, events, limit)
        if shown.unread or shown.position < feed.head:
            return False
        if shown.live is not feed.state.live:
            shown.live = feed.state.live
            events.append(_marker(feed))
        return True

    def _look_at_all(self, feed: InstanceFeed, shown: _Shown) -> None:
        """Note all differences between what the instance holds now and what was shown of it."""
        shown.epoch, shown.position = feed.epoch, feed.head
        current = {
            (namespace, deployment.name): deployment
            for namespace in places.namespaces(feed=feed, permit=self._permit, wanted=self._wanted)
            for deployment in feed.by_name(namespace)
            if self._matches(deployment)
        }
        shown.unread = deque(key for key in sorted(shown.deployments) if key not in current)
        shown.unread.extend(
            key for key, deployment in current.items() if shown.deployments.get(key) != deployment
        )

    def _follow(self, feed: InstanceFeed, shown: _Shown, events: list[DeploymentEvent], limit: int) -> None:
        """The log's next changes."""
        room = limit - len(events)
        try:
            changes = feed.changes(shown.position, room)
        except FellBehind as error:
            raise SlowConsumer from error
        for change in changes:
            key = (change.namespace, change.name)
            # Most changes are none of most questions' business: these lines are what they cost.
            if key not in shown.deployments and not self._matches(change.deployment):
                continue
            events += self._turn(feed.instance_id, shown, key, change.deployment, gone=change.deleted)
        shown.position = changes[-1].sequence if len(changes) == room else feed.head

    def _turn(
        self, instance_id: str, shown: _Shown, key: Key, state: Deployment | None, *, gone: bool = False
    ) -> Iterator[DeploymentEvent]:
        """One deployment, from what was shown of it to its newest state, or its last one if it is gone."""
        before = shown.deployments.get(key)
        allowed = self._permit.allows(instance_id, key[0])
        current = state if allowed and not gone and state is not None and self._matches(state) else None
        if current is before:
            return
        if before is not None and (current is None or current.uid != before.uid):
            del shown.deployments[key]
            last = state if state is not None and state.uid == before.uid else before
            yield DeploymentEvent(EventType.DELETED, instance_id, before.id, last if allowed else None, now())
        if current is not None:
            kind = EventType.MODIFIED if key in shown.deployments else EventType.ADDED
            shown.deployments[key] = current
            yield DeploymentEvent(kind, instance_id, current.id, current, current.observed_at)

    def _forget_all_but(self, instance_ids: Set[str], events: list[DeploymentEvent], limit: int) -> bool:
        """Instances went, or may no longer be seen: so does everything that was shown of them."""
        for instance_id in sorted(self._shown.keys() - instance_ids):
            shown = self._shown[instance_id]
            for key in sorted(shown.deployments)[: max(0, limit - len(events))]:
                events += self._turn(instance_id, shown, key, None)
            if shown.deployments:
                return False
            del self._shown[instance_id]
        return True


def _marker(feed: InstanceFeed) -> DeploymentEvent:
    state = feed.state
    if state.live:
        return DeploymentEvent(EventType.SYNCED, feed.instance_id, None, None, state.synced_at or now())
    return DeploymentEvent(EventType.STALE, feed.instance_id, None, None, now())
