"""One change, many sockets: a question's answer is read, executed and encoded once for all who ask it.

    Question    a subscription as asked with the same rights: one encoding
    Cohort      subscribers of a question at the same point of history: one reader
    Subscriber  one operation: a WebSocket's, or an event stream

Everybody begins in a cohort with whoever begins at the same moment. A cohort that has caught up with another
one of its question, having shown the same, joins it. Members whose sockets are full leave together and stay
behind at their own position, until a socket takes messages again or is dropped. So nobody waits for anybody,
what a slow reader costs is a position, and joining, lagging and changed rights are one mechanism.

One task does it all (`run`), and never awaits a socket. docs/fanout.md has the argument and the figures.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from auth.identity import Identity
from auth.policy import narrow
from cluster.feed import Fleet
from resolvers.streams import Live, Reader
from schema.errors import StreamEnded
from schema.frames import Batch
from schema.questions import Question
from schema.sockets import Watched

TURN = 256
"""Events that a cohort reads in one turn."""
SLICE = 0.005
"""Seconds that a turn may keep the event loop to itself."""


@dataclass(eq=False, slots=True)
class Cohort:
    """Subscribers at the same point of history."""

    question: Question
    live: Live[Any]
    reader: Reader[Any]
    members: "set[Subscriber]" = field(default_factory=set)
    due: float | None = None
    """When it wants a turn without being woken, by `time.monotonic`."""

    @property
    def stalled(self) -> bool:
        """Whether none of its sockets takes messages: who joined it would have to part from it at once."""
        return all(member.connection.full for member in self.members)


class Subscriber(ABC):
    """One operation. Each transport has its own kind."""

    __slots__ = ("cohort", "connection", "rights")

    def __init__(self, connection: Watched) -> None:
        self.connection = connection
        self.cohort: Cohort | None = None
        """None as long as it isn't subscribed."""
        self.rights: Hashable = None
        """What it is shown by, from its next turn on at the latest."""

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Push the messages, whether or not the connection is full."""

    @abstractmethod
    def end(self, error: BaseException) -> None:
        """The hub ended the stream, which is unsubscribed already."""


class FanOut:
    """All live questions of this process."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._cohorts: dict[Hashable, list[Cohort]] = {}
        self._changed_rights: list[tuple[Subscriber, Identity]] = []
        self._news = asyncio.Event()
        self._slice_began = 0.0

    # ------------------------------------------------------------ subscribers

    def subscribe(self, subscriber: Subscriber, *, question: Question, live: Live[Any]) -> None:
        """Answer the question until `unsubscribe`, or until the subscriber's `end` is called."""
        cohort = self._place(Cohort(question, live, live.reader))
        identity = question.context.identity
        subscriber.cohort = cohort
        subscriber.rights = None if identity is None else live.shown_by(identity)
        cohort.members.add(subscriber)
        subscriber.connection.on_writable(self.wake)
        self.wake()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """No more of it; nothing happens if it isn't subscribed."""
        cohort, subscriber.cohort = subscriber.cohort, None
        if cohort is not None:
            cohort.members.discard(subscriber)
            if not cohort.members:
                self._drop(cohort)

    def end(self, subscriber: Subscriber, error: BaseException) -> None:
        """Unsubscribe, and tell why."""
        self.unsubscribe(subscriber)
        subscriber.end(error)

    def change_rights(self, subscriber: Subscriber, identity: Identity) -> None:
        """From its next turn on, show the subscriber what `identity` may see, if that is something else."""
        if subscriber.cohort is None:
            return
        shown_by = subscriber.cohort.live.shown_by(identity)
        if shown_by == subscriber.rights:
            return
        subscriber.rights = shown_by
        self._changed_rights.append((subscriber, identity))
        self.wake()

    def wake(self) -> None:
        """Something may have changed. Called by the clusters' stores, so it does no more than this."""
        self._news.set()

    # ------------------------------------------------------------ turns

    async def run(self) -> None:
        """Give turns for as long as the hub runs."""
        unsubscribe = self._fleet.subscribe(self.wake)
        try:
            while True:
                await self._wait()
                await self.turn()
        finally:
            unsubscribe()

    async def _wait(self) -> None:
        """Until something changed or a cohort is due; at least one round of the loop for everybody else."""
        dues = [cohort.due for cohort in self._all() if cohort.due is not None]
        delay = min(dues) - time.monotonic() if dues else None
        if delay is not None and delay <= 0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._news.wait()

    async def turn(self) -> None:
        """One turn for every cohort."""
        self._news.clear()
        self._slice_began = time.perf_counter()
        changed, self._changed_rights = self._changed_rights, []
        for subscriber, identity in changed:
            self._move(subscriber, identity)
        for cohort in self._all():
            await self._breathe()
            await self._advance(cohort)

    def _all(self) -> list[Cohort]:
        return [cohort for cohorts in self._cohorts.values() for cohort in cohorts]

    async def _advance(self, cohort: Cohort) -> None:
        """Read the cohort's next events and write them to all its members."""
        cohort.due = None
        if cohort.stalled:  # a socket that takes messages again wakes us
            return
        if full := {member for member in cohort.members if member.connection.full}:
            self._leave(cohort, full)
        # Who joins while we encode stands behind these events already, and must not get them.
        members = cohort.members.copy()
        try:
            drained = cohort.reader.drain(TURN)
            messages = cohort.live.pack(drained.events)
            payloads = [await self._encode(cohort.question, message) for message in messages]
        except Exception as error:
            for member in members & cohort.members:
                self.end(member, error)
            return
        if payloads:
            batch = Batch(payloads)
            for member in members & cohort.members:
                member.write(batch)
        if drained.again is not None:
            cohort.due = time.monotonic() + drained.again
        if drained.again != 0 and cohort.members:
            self._join(cohort)

    async def _encode(self, question: Question, message: Any) -> bytes:
        await self._breathe()
        return await question.payload(message)

    async def _breathe(self) -> None:
        """Let everybody else run, if a slice is over."""
        if time.perf_counter() - self._slice_began > SLICE:
            await asyncio.sleep(0)
            self._slice_began = time.perf_counter()

    # ------------------------------------------------------------ cohorts

    def _place(self, cohort: Cohort) -> Cohort:
        """The cohort itself, now kept, or another one that it is the same as."""
        cohorts = self._cohorts.setdefault(cohort.question.key, [])
        # Most are in the first; whoever begins at the same moment is in the last.
        for other in (*cohorts[:2], *cohorts[-1:]):
            if other is not cohort and not other.stalled and cohort.reader.same(other.reader):
                cohort.reader.close()
                return other
        if cohort not in cohorts:
            cohorts.append(cohort)
        return cohort

    def _join(self, cohort: Cohort) -> None:
        target = self._place(cohort)
        if target is not cohort:
            for member in cohort.members:
                member.cohort = target
            target.members |= cohort.members
            self._drop(cohort)

    def _leave(self, cohort: Cohort, members: Collection[Subscriber]) -> None:
        """Part the members from their cohort, at its position."""
        self._split(cohort, members, Cohort(cohort.question, cohort.live, cohort.reader.clone()))

    def _split(self, cohort: Cohort, members: Collection[Subscriber], new: Cohort) -> None:
        cohort.members -= set(members)
        new.members |= set(members)
        for member in members:
            member.cohort = new
        # Not first and not last: those are where others look for company.
        self._cohorts.setdefault(new.question.key, []).insert(1, new)
        if not cohort.members:
            self._drop(cohort)

    def _move(self, subscriber: Subscriber, identity: Identity) -> None:
        """Ask the subscriber's question anew with other rights, from where it stands."""
        cohort = subscriber.cohort
        if cohort is None:  # unsubscribed meanwhile
            return
        question, permission = cohort.question.asked_by(identity), cohort.live.permission
        permit, before = narrow(identity, permission), narrow(cohort.question.context.identity, permission)
        if cohort.reader.could_show(before) and not cohort.reader.could_show(permit):
            message = "Nothing that this stream could show is yours to see any longer"
            self.end(subscriber, StreamEnded("FORBIDDEN", message, "ROLE_REVOKED"))
            return
        reader = cohort.reader.clone()
        reader.change_permit(permit)
        self._split(cohort, [subscriber], Cohort(question, cohort.live, reader))

    def _drop(self, cohort: Cohort) -> None:
        cohort.reader.close()
        cohorts = self._cohorts.get(cohort.question.key, [])
        if cohort in cohorts:
            cohorts.remove(cohort)
        if not cohorts:
            self._cohorts.pop(cohort.question.key, None)
