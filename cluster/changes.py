"""The change log: what last became of every object, in the order of the changes.

One log serves any number of readers, who each hold no more than a sequence number: a writer never waits or
copies for a reader, and what a slow reader costs is a number. An object's earlier entries are compacted away.
What can't be compacted are deletions; they are kept for a time, and a reader who stayed away longer is told.
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from cluster.errors import FellBehind
from cluster.types import Change, Deployment

MAX_TOMBSTONES = 10_000
MAX_TOMBSTONE_AGE = 600.0
"""Seconds."""
MIN_HOLES = 256


class ChangeLog:
    """One entry an object. `clock` gives seconds that never go back."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[int, Change] = {}
        self._sequences = array("Q")
        """The keys of `_entries` in order, with holes: numbers whose entry was compacted away."""
        self._newest: dict[tuple[str, str], int] = {}
        self._tombstones: OrderedDict[int, float] = OrderedDict()
        self._dropped = 0
        self.head = 0
        """The sequence number of the newest change; 0 before any."""

    def append(self, deployment: Deployment, *, deleted: bool) -> None:
        """Note that the object now is so, or was so before its deletion."""
        self.head += 1
        namespace, name = key = deployment.namespace, deployment.name
        if (earlier := self._newest.get(key)) is not None:
            del self._entries[earlier]
            self._tombstones.pop(earlier, None)
        self._newest[key] = self.head
        self._entries[self.head] = Change(self.head, namespace, name, deployment, deleted)
        self._sequences.append(self.head)
        if deleted:
            self._tombstones[self.head] = self._clock()
        self._forget_tombstones()
        if len(self._sequences) - len(self._entries) > max(len(self._entries), MIN_HOLES):
            self._sequences = array("Q", self._entries)

    def changes(self, after: int, limit: int) -> list[Change]:
        """At most `limit` changes later than `after`, oldest first.

        Costs a bisection and a step for each change since `after`, never one for each object.
        Raises `FellBehind` when a deletion later than `after` was forgotten.
        """
        self._forget_tombstones()
        if after < self._dropped:
            raise FellBehind(f"position {after} lies before {self._dropped}")
        found: list[Change] = []
        for index in range(bisect_right(self._sequences, after), len(self._sequences)):
            if (change := self._entries.get(self._sequences[index])) is not None:
                found.append(change)
                if len(found) >= limit:
                    break
        return found

    def _forget_tombstones(self) -> None:
        oldest_kept = self._clock() - MAX_TOMBSTONE_AGE
        while self._tombstones:
            sequence, since = next(iter(self._tombstones.items()))
            if since >= oldest_kept and len(self._tombstones) <= MAX_TOMBSTONES:
                return
            del self._tombstones[sequence]
            change = self._entries.pop(sequence)
            del self._newest[change.namespace, change.name]
            self._dropped = sequence
