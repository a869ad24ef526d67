"""Live questions: readers that turn what changed into events, by the rules of API.md's "Streams".

A reader is a position, what it has shown, and nothing else: no task, no queue. Whoever drives it (one task
for all sockets, or a generator for one) calls `drain` after a wake-up, and all of a drain happens with no
await between, so that readers at the same position are the same and can be shared.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec

from auth.identity import Identity
from auth.permissions import Permission
from auth.policy import Permit
from cluster.feed import Fleet
from cluster.types import Deployment

E = TypeVar("E")


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    SYNCED = "SYNCED"
    STALE = "STALE"


class DeploymentEvent(msgspec.Struct, frozen=True):
    type: EventType
    instance_id: str
    deployment_id: str | None
    deployment: Deployment | None
    observed_at: datetime


class Drained(msgspec.Struct, Generic[E], frozen=True):
    """What one turn gave."""

    events: list[E]
    again: float | None
    """Seconds until the next turn is due: 0 when more is waiting, None when only a wake-up brings more."""


class Reader(Protocol[E]):
    """One live question's place in the clusters' history."""

    def drain(self, limit: int = 256) -> Drained[E]:
        """What changed since the last turn, about `limit` events at the most.

        Raises `SlowConsumer` when it is too far behind to be caught up.
        """
        ...

    def clone(self) -> Self:
        """Another reader at the same position, having shown the same."""
        ...

    def same(self, other: object) -> bool:
        """Whether the two, asked from now on, will always give the same."""
        ...

    def could_show(self, permit: Permit) -> bool:
        """Whether it could show anything, now or later, to somebody with this permit."""
        ...

    def change_permit(self, permit: Permit) -> None:
        """From the next turn on, show what this permit allows."""
        ...

    def close(self) -> None: ...


def now() -> datetime:
    return datetime.now(UTC)


class Live(Generic[E]):
    """A live question that was allowed: what a subscription's resolver returns.

    Whoever serves it takes `reader`, `permission` (to narrow it again when the person's rights change),
    `pack` (from a turn's events to messages) and `shown_by` (what of a person the reader has to be told anew
    when it changes). Iterating it serves one subscriber alone.
    """

    def __init__(
        self,
        *,
        reader: Reader[E],
        permission: Permission,
        fleet: Fleet,
        pack: Callable[[list[E]], Sequence[Any]] = tuple,
        shown_by: Callable[[Identity], Hashable] = attrgetter("rights"),
    ) -> None:
        self.reader = reader
        self.permission = permission
        self.pack = pack
        self.shown_by = shown_by
        self._fleet = fleet

    async def __aiter__(self) -> AsyncIterator[Any]:
        changed = asyncio.Event()
        unsubscribe = self._fleet.subscribe(changed.set)
        try:
            while True:
                changed.clear()
                drained = self.reader.drain()
                for message in self.pack(drained.events):
                    yield message
                if drained.again != 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(drained.again):
                            await changed.wait()
        finally:
            unsubscribe()
            self.reader.close()
