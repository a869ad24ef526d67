"""The open connections and event streams, and asking again whether they may go on: at once where a change
concerns them, and all of them on a timer."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from auth.authenticator import Authenticator
from auth.errors import AuthError
from auth.identity import Identity
from models.bus import Change

EVERY = 1.0
"""Seconds between two looks at the database for all credentials that are in use (API.md, "Streams"): for what
ends by the clock, and for changes that nobody told."""
GAP = 0.02
"""Seconds after a look, in which changes gather for the next one."""
WAITING = 1_000
"""Connections that may wait for their connection_init. One more, and the one that waits longest goes: who
opens thousands fills no memory, and who means it is initialised within a round trip."""


class Held(Protocol):
    """What goes on for as long as its credential is good."""

    @property
    def credential(self) -> str | None:
        """None before it is known."""
        ...

    def recheck(self, verdict: Identity | AuthError) -> Coroutine[Any, Any, None] | None:
        """Take what the database says now of the credential; what remains to be awaited, if it ends by that.

        Called for everything that is open each second, so it makes no task: 1,000 of those held the loop for
        10 ms.
        """
        ...


class Waiting(Held, Protocol):
    def give_up(self) -> None: ...


class Connections:
    """What is open in this process."""

    def __init__(self) -> None:
        self._open: set[Held] = set()
        self._waiting: dict[Waiting, None] = {}
        """In the order of their coming."""
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def holding(self, held: Held) -> Iterator[None]:
        self._open.add(held)
        try:
            yield
        finally:
            self._open.discard(held)

    @contextmanager
    def awaiting_init(self, connection: Waiting) -> Iterator[None]:
        """Hold it, and make room for it among those that wait."""
        self._waiting[connection] = None
        if len(self._waiting) > WAITING:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.give_up()
        with self.holding(connection):
            try:
                yield
            finally:
                self.initialised(connection)

    def initialised(self, connection: Waiting) -> None:
        self._waiting.pop(connection, None)

    def heed(self, change: Change) -> None:
        """Look again at what the change concerns. A subscriber of the change bus, after the authenticator."""
        if change.kind != "audit":  # what was done changes nobody's rights by being written down
            self._changed.set()

    async def keep_checked(self, authenticator: Authenticator) -> None:
        """Endless: to be run as a task that has entered the database."""
        async with asyncio.TaskGroup() as closing:  # closing a stalled socket takes until it is dropped
            due = time.monotonic() + EVERY
            while True:
                await self._wait(due - time.monotonic())
                if time.monotonic() < due:
                    await self._check(authenticator, closing, authenticator.is_outdated)
                else:
                    due = time.monotonic() + EVERY
                    await self._check(authenticator, closing, lambda _credential: True)
                await asyncio.sleep(GAP)

    async def _wait(self, seconds: float) -> None:
        """For a change, and no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _check(
        self, authenticator: Authenticator, closing: asyncio.TaskGroup, concerned: Callable[[str], bool]
    ) -> None:
        known = [
            (each, credential)
            for each in self._open
            if (credential := each.credential) is not None and concerned(credential)
        ]
        verdicts = await authenticator.refresh({credential for _, credential in known})
        for held, credential in known:
            if held in self._open and (rest := held.recheck(verdicts[credential])) is not None:
                closing.create_task(rest, name="refusal")
