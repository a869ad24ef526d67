"""The memory of registered instances, which every replica keeps as the database has it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec
from tortoise.transactions import in_transaction

from cluster.feed import Fleet, InstanceFeed, Unsubscribe
from models.bus import Change, publish
from models.errors import DatabaseUnavailable
from models.tables import Instance as InstanceRow

PAUSE, RETRY = 0.05, 5.0
"""Seconds between two looks: while clusters change all the time, and while nothing is told."""
RELOAD = 30.0
"""Seconds between two loadings that nothing told of: what is stored may be a megabyte."""


class Registered(msgspec.Struct, frozen=True):
    """What the database remembers of an instance, for everybody who sees it."""

    id: str
    display_name: str
    created_at: datetime
    updated_at: datetime


class Record(msgspec.Struct, frozen=True):
    """All that it remembers of it."""

    registered: Registered
    removed: bool = False
    """To stay so until it is registered again, whatever file there is."""
    cluster_uid: str | None = None
    """Which cluster the name stands for, once that is known."""
    sealed: str | None = None
    """The kubeconfig that it was registered with; None: it is a file's."""

    def __repr__(self) -> str:
        return f"<Record {self.registered.id}>"


class Registry:
    """The instances' rows, kept in memory: no query asks the database for them."""

    def __init__(self, known: Iterable[Registered] = ()) -> None:
        self._records: Mapping[str, Record] = {each.id: Record(each) for each in known}
        self._changed = asyncio.Event()
        """Something may be there that isn't known here."""
        self._outdated = False
        self._subscribers: dict[object, Callable[[], None]] = {}

    @property
    def records(self) -> Mapping[str, Record]:
        """By id, those of removed instances too."""
        return self._records

    def get(self, instance_id: str) -> Registered | None:
        record = self._records.get(instance_id)
        return None if record is None or record.removed else record.registered

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        """Call `wake` after every change of the records."""
        key = object()
        self._subscribers[key] = wake

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)

        return unsubscribe

    def heed(self, change: Change) -> None:
        """A subscriber of the change bus."""
        if change.kind in ("instances", "everything"):
            self._outdated = True
            self._changed.set()

    async def load(self) -> None:
        """Know all that the database knows. Raises DatabaseUnavailable."""
        self._outdated = False
        records = {row.id: _record(row) for row in await InstanceRow.all()}
        if records != self._records:
            self._records = records
            for wake in list(self._subscribers.values()):
                wake()

    async def register(self, names: Iterable[str]) -> None:
        """Remember instances that were never seen before. Safe in several processes at once."""
        for name in names:
            if name not in self._records:
                async with in_transaction():
                    _, created = await InstanceRow.get_or_create(id=name, defaults={"display_name": name})
                    if created:
                        await publish("instances", name)
        await self.load()

    async def follow(self, fleet: Fleet, *, registered: Callable[[], None]) -> None:
        """Endless: register the instances that appear, remember their clusters, and know what others changed.

        `registered` is called after each change.
        """
        unsubscribes = fleet.subscribe(self._changed.set), self.subscribe(registered)
        try:
            due = time.monotonic() + RELOAD
            while True:
                self._changed.clear()
                with suppress(DatabaseUnavailable):  # tried again after the pause
                    await self._keep_up(fleet, due=time.monotonic() >= due)
                if time.monotonic() >= due:
                    due = time.monotonic() + RELOAD
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY):  # wait_for loses a cancellation that comes with news
                        await self._changed.wait()
                await asyncio.sleep(PAUSE)
        finally:
            for unsubscribe in unsubscribes:
                unsubscribe()

    async def _keep_up(self, fleet: Fleet, *, due: bool) -> None:
        if self._outdated or due:
            await self.load()
        if any(name not in self._records for name in fleet.feeds):
            await self.register(fleet.feeds)
        for instance_id, feed in fleet.feeds.items():
            if _is_news(self._records.get(instance_id), feed):
                await _remember(instance_id, feed.state.cluster_uid)
                await self.load()


def _is_news(record: Record | None, feed: InstanceFeed) -> bool:
    """Whether it is learnt only now which cluster the name stands for: at its first sync."""
    state = feed.state
    if record is None or record.removed:
        return False
    return record.cluster_uid is None and state.cluster_uid is not None and state.live


async def _remember(instance_id: str, cluster_uid: str | None) -> None:
    """Unless another replica was faster, or it was removed meanwhile."""
    async with in_transaction():
        unknown = InstanceRow.filter(id=instance_id, cluster_uid=None, removed_at=None)
        if await unknown.update(cluster_uid=cluster_uid):
            await publish("instances", instance_id)


def _record(row: InstanceRow) -> Record:
    registered = Registered(row.id, row.display_name, row.created_at, row.updated_at)
    return Record(registered, row.removed_at is not None, row.cluster_uid, row.kubeconfig)
