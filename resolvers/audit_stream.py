"""`auditEvents`: entries as they are written, by whichever replica.

The change bus says which entries are new or have their outcome now. One task reads them from the database,
for all readers of this process and only while there are some, into a short history that readers walk along.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from itertools import islice
from typing import Self
from weakref import WeakSet

from auth.audit import Entry
from auth.audit_log import AuditFilter, find_entries, list_entries
from auth.policy import Permit
from models.bus import Change
from models.errors import DatabaseUnavailable
from resolvers.errors import SlowConsumer
from resolvers.streams import Drained, now

KEPT = 2_000
"""Entries that a reader may be behind."""
TOGETHER = 500
"""Entries that are read from the database together."""
AGAIN = 1.0
"""Seconds until the database is asked again that was away."""
OVERLAP = timedelta(minutes=1)
"""How far back is looked when changes may have been missed: clocks differ, and writing takes time."""


class AuditFeed:
    """One process's newest entries. Its callers have entered the database."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._history: deque[Entry] = deque(maxlen=kept)
        self._shown: dict[str, Entry] = {}
        """What of each entry the history has last."""
        self._readers: WeakSet[AuditReader] = WeakSet()
        self._told: dict[str, None] = {}
        self._missed = False
        self._opened_at = now()
        """Since when there are readers, without a gap."""
        self._read_at = self._opened_at
        self._news = asyncio.Event()
        self.end = 0
        """How many entries there were in the history so far."""

    def heed(self, change: Change) -> None:
        """A subscriber of the change bus."""
        if not self._readers:
            return
        if change.kind == "audit":
            self._told.update(dict.fromkeys(change.id.split()))
            if len(self._told) > self._kept:  # the database has been away for long
                self._told.clear()
                self._missed = True
        elif change.kind == "everything":
            self._missed = True
        else:
            return
        self._news.set()

    def join(self, reader: "AuditReader") -> None:
        if not self._readers:
            self._told.clear()
            self._missed = False
            self._opened_at = self._read_at = now()
        self._readers.add(reader)

    def leave(self, reader: "AuditReader") -> None:
        self._readers.discard(reader)

    def behind(self, position: int) -> list[Entry]:
        """The entries from the position on. Raises SlowConsumer if they aren't there any longer."""
        waiting = self.end - position
        if waiting > len(self._history):
            raise SlowConsumer
        return list(islice(self._history, len(self._history) - waiting, None))

    async def keep_read(self, wake: Callable[[], None]) -> None:
        """Endless: to be run as a task. `wake` is called when there is something new."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.read()
                wake()
            except DatabaseUnavailable:
                self._news.set()
                await asyncio.sleep(AGAIN)

    async def read(self) -> None:
        """All that was told until now. Raises DatabaseUnavailable, and forgets nothing then."""
        began = now()
        if self._missed:
            since = max(self._opened_at, self._read_at - OVERLAP)
            recent = await list_entries(AuditFilter(since=since), first=self._kept)
            self._missed = False
            self._take(list(reversed(recent)))
        while self._told:
            ids = list(islice(self._told, TOGETHER))
            found = await find_entries(ids)
            for each in ids:
                self._told.pop(each, None)
            self._take(found)
        self._read_at = began

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self._shown.get(entry.id) != entry:
                self._shown.pop(entry.id, None)
                self._shown[entry.id] = entry
                self._history.append(entry)
                self.end += 1
        while len(self._shown) > self._kept:
            del self._shown[next(iter(self._shown))]


class AuditReader:
    """One question's place in the feed."""

    def __init__(self, *, feed: AuditFeed, permit: Permit, wanted: AuditFilter) -> None:
        feed.join(self)
        self._feed = feed
        self._allowed = bool(permit.scopes)
        self._wanted = wanted
        self._position = feed.end

    def drain(self, limit: int = 256) -> Drained[Entry]:
        behind = self._feed.behind(self._position)
        turn = behind[:limit]
        self._position += len(turn)
        events = [entry for entry in turn if self._allowed and self._wanted.matches(entry)]
        return Drained(events, 0 if len(behind) > limit else None)

    def clone(self) -> Self:
        other = copy(self)
        self._feed.join(other)
        return other

    def same(self, other: object) -> bool:
        return (
            isinstance(other, AuditReader)
            and (self._feed, self._wanted, self._allowed) == (other._feed, other._wanted, other._allowed)
            and self._position == other._position
        )

    def could_show(self, permit: Permit) -> bool:
        return bool(permit.scopes)

    def change_permit(self, permit: Permit) -> None:
        self._allowed = bool(permit.scopes)

    def close(self) -> None:
        self._feed.leave(self)
