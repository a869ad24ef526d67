"""The audit of one process: acts with their outcomes, and the queue of what can't wait for the database.

    acting    an act: nothing is done that wasn't written down before
    record    something that is done in the caller's transaction, with it or not at all
    note      a refusal: queued, and written with others by one task

Refusals cost whoever makes them nothing, so they must not cost the hub a write each: the queue is bounded,
half of it is for people who have signed in, and what is dropped is counted, logged and itself an entry.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.audit import (
    Act,
    Entry,
    Means,
    Origin,
    Outcome,
    Verdict,
    make_entry,
    mark_unknown,
    sweep_entries,
    system_origin,
    told,
    utcnow,
    write_entries,
    write_outcomes,
)
from models.errors import DatabaseUnavailable
from models.ids import new_id

log = logging.getLogger(__name__)

QUEUED = 1_000
"""Refusals that wait to be written, at the most."""
BATCH = 200
"""Entries that are written together."""
PAUSE = 0.5
"""Seconds between two batches, in which refusals gather: at most 400 of them a second are written."""
SWEEP_EVERY = 60.0
"""Seconds between two looks for what is too old, and for attempts without an outcome."""

Judge = Callable[[BaseException], Verdict]
"""What is to be written of an error."""


@dataclass(slots=True)
class Attempt:
    """An act under way, for whoever learns while doing it what it is done to."""

    entry: Entry
    note: str | None = None

    def makes(self, made_id: str) -> None:
        """Something new came of it, with this id."""
        self.note = told(self.note, f"made {made_id}")


class AuditTrail:
    """One process's. Whoever calls it has entered the database."""

    def __init__(self, *, queued: int = QUEUED, clock: Callable[[], datetime] = utcnow) -> None:
        self._clock = clock
        self._capacity = queued
        self._queue: deque[Entry] = deque()
        self._outcomes: dict[str, Verdict] = {}
        """Of attempts, which couldn't be written when they were due."""
        self._dropped = 0
        self.dropped = 0
        """Refusals that were never written, since the start."""
        self._news = asyncio.Event()

    @asynccontextmanager
    async def acting(self, origin: Origin, act: Act, *, judge: Judge) -> AsyncIterator[Attempt]:
        """Do the act inside. Raises DatabaseUnavailable before anything is done, if it can't be written down.

        What is raised inside goes on to the caller, and `judge` says what is written of it.
        """
        entry = make_entry(origin, act, Verdict(Outcome.ATTEMPTED), now=self._clock())
        await write_entries([entry])
        attempt = Attempt(entry, note=act.note)
        try:
            yield attempt
        except Exception as error:
            verdict = judge(error)
            words = told(verdict.message, act.note)
            await self._conclude(entry, Verdict(verdict.outcome, verdict.code, words))
            raise
        except BaseException:  # given up: it may or may not have happened
            words = told("given up before it was over", act.note)
            self._conclude_later(entry, Verdict(Outcome.UNKNOWN, None, words))
            raise
        await self._conclude(entry, Verdict(Outcome.SUCCEEDED, None, attempt.note))

    async def record(self, origin: Origin, act: Act, verdict: Verdict | None = None) -> None:
        """In the caller's transaction. Raises DatabaseUnavailable."""
        succeeded = Verdict(Outcome.SUCCEEDED)
        await write_entries([make_entry(origin, act, verdict or succeeded, now=self._clock())])

    def note(self, origin: Origin, act: Act, verdict: Verdict) -> None:
        """Write it down soon. Waits for nothing."""
        anonymous = origin.method is Means.ANONYMOUS
        if len(self._queue) >= (self._capacity // 2 if anonymous else self._capacity):
            self._dropped += 1
            self.dropped += 1
        else:
            self._queue.append(make_entry(origin, act, verdict, now=self._clock()))
        self._news.set()

    async def keep_written(self) -> None:
        """Endless: to be run as a task that has entered the database."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.write()
            await asyncio.sleep(PAUSE)

    async def write(self) -> None:
        """One batch of what waits. What can't be written waits on."""
        self._note_drops()
        outcomes = dict(self._outcomes)
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        try:
            if batch:
                await write_entries(batch)
            batch = []
            if outcomes:
                await write_outcomes(outcomes)
            self._outcomes = {key: each for key, each in self._outcomes.items() if key not in outcomes}
        except DatabaseUnavailable:
            self._queue.extendleft(reversed(batch))
        if self._queue or self._outcomes:
            self._news.set()

    async def close(self) -> None:
        """Write all that waits, unless the database is away."""
        before = -1
        while before != (before := len(self._queue) + len(self._outcomes)) and before:
            await self.write()

    async def keep_swept(self, retention: timedelta) -> None:
        """Endless: to be run as a task that has entered the database. The first look is at once: whoever
        crashed left attempts behind."""
        while True:
            with suppress(DatabaseUnavailable):  # the next time will do
                await mark_unknown(now=self._clock())
                await sweep_entries(now=self._clock(), retention=retention)
            await asyncio.sleep(SWEEP_EVERY)

    async def _conclude(self, entry: Entry, verdict: Verdict) -> None:
        try:
            await write_outcomes({entry.id: verdict})
        except DatabaseUnavailable:
            self._conclude_later(entry, verdict)

    def _conclude_later(self, entry: Entry, verdict: Verdict) -> None:
        if len(self._outcomes) < self._capacity:
            self._outcomes[entry.id] = verdict
            self._news.set()
        else:  # the entry becomes UNKNOWN
            log.error("the outcome of %s is lost: %s", entry.id, verdict.outcome)

    def _note_drops(self) -> None:
        if not self._dropped:
            return
        message = f"{self._dropped} refusals were dropped: more came than can be written"
        log.warning("the audit is incomplete: %s", message)
        act, verdict = Act(action="auditDropped"), Verdict(Outcome.FAILED, None, message)
        # In front, and beyond the queue's bounds: it is one.
        self._queue.appendleft(make_entry(system_origin(new_id("req")), act, verdict, now=self._clock()))
        self._dropped = 0
