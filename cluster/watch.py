"""Keeping up with one collection of one API server: list it, then watch it until something ends the watch.

    Empty ──first page──▶ Listing ──last page──▶ Listed ──accepted──▶ Watching
      ▲                      │                    │  ▲                   │
      │◀──── 410, failure ───┴──── 410, failure ──┘  └─── end, cut ──────┤
      └──────────────────────────────── 410 ─────────────────────────────┘

States are values and `step` makes one transition; it never sleeps. `watch` is the endless loop around it,
with the back-off. A relist buffers its pages and is told as one `Replaced` at its end.

A watch that is cut goes on at once from its last version, and nobody is told that anything is stale. A
failure always relists: only a list says what is of now before the first event.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Generic, TypeAlias

from cluster.client import Client
from cluster.errors import ApiError, ClusterError, Silent
from cluster.events import Opened, R, Undecodable, WatchEvent
from cluster.timing import Timing

GONE = 410
REFUSED = (401, 403)
MAX_INTERRUPTIONS = 2
"""In a row: a cut, and the 410 that it may lead to. One more is a failure."""


@dataclass(frozen=True, slots=True)
class Collection(Generic[R]):
    """What to watch, and through which client."""

    client: Client
    path: str
    type: type[R]


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing is known, or what is known is too old to go on from."""

    interruptions: int = 0
    """How many in a row led here, without an event between. So in every state."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    items: tuple[R, ...]
    undecodable: tuple[Undecodable, ...]
    next: str
    interruptions: int


@dataclass(frozen=True, slots=True)
class Listed:
    """All is known up to a resource version, from which a watch goes on."""

    version: str
    interruptions: int


@dataclass(frozen=True, slots=True)
class Watching(Generic[R]):
    version: str
    stream: AsyncGenerator[WatchEvent[R], None]
    interruptions: int


State: TypeAlias = Empty | Listing[R] | Listed | Watching[R]


@dataclass(frozen=True, slots=True)
class Replaced(Generic[R]):
    """All there is, as listed."""

    items: tuple[R, ...]
    undecodable: tuple[Undecodable, ...]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The watch ended in a way that is expected, or for the first time: it goes on at once."""

    error: ClusterError | None
    """None where the server ended the watch in good order."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What is known is no longer of now."""

    error: ClusterError


Outcome: TypeAlias = WatchEvent[R] | Replaced[R] | Interrupted | Failed


async def step(state: State[R], collection: Collection[R]) -> tuple[Outcome[R] | None, State[R]]:
    """One transition: what came of it, and the state after it."""
    match state:
        case Empty(interruptions):
            return await _list(Listing((), (), "", interruptions), collection)
        case Listing():
            return await _list(state, collection)
        case Listed():
            return await _open(state, collection)
        case Watching():
            return await _follow(state)


async def _list(state: Listing[R], collection: Collection[R]) -> tuple[Outcome[R] | None, State[R]]:
    try:
        page = await collection.client.page(collection.path, collection.type, token=state.next)
    except ClusterError as error:
        if _gone(error):  # the token of the next page has expired
            return _interrupted(error, state.interruptions)
        return Failed(error), Empty()
    items, undecodable = state.items + page.items, state.undecodable + page.undecodable
    if page.next:
        return None, Listing(items, undecodable, page.next, state.interruptions)
    return Replaced(items, undecodable), Listed(page.version, state.interruptions)


async def _open(state: Listed, collection: Collection[R]) -> tuple[Outcome[R], State[R]]:
    stream = collection.client.watch(collection.path, collection.type, version=state.version)
    try:
        opened = await anext(stream)
    except ClusterError as error:
        if _gone(error):
            return _interrupted(error, state.interruptions)
        return Failed(error), Empty()
    return opened, Watching(state.version, stream, state.interruptions)


async def _follow(state: Watching[R]) -> tuple[Outcome[R], State[R]]:
    try:
        event = await anext(state.stream)
    except StopAsyncIteration:
        return Interrupted(None), Listed(state.version, 0)
    except Silent as error:  # perhaps nothing happened: opening it anew will tell
        return Interrupted(error), Listed(state.version, state.interruptions)
    except ClusterError as error:
        return _interrupted(error, state.interruptions, version=state.version)
    version = "" if isinstance(event, Opened) else event.version
    return event, Watching(version or state.version, state.stream, 0)


def _interrupted(
    error: ClusterError, before: int, *, version: str | None = None
) -> tuple[Interrupted | Failed, Empty | Listed]:
    """It goes on at once, unless that was of no use for too many times."""
    if before >= MAX_INTERRUPTIONS:
        return Failed(error), Empty()
    if version is None or _gone(error):
        return Interrupted(error), Empty(before + 1)
    return Interrupted(error), Listed(version, before + 1)


def _gone(error: ClusterError) -> bool:
    return isinstance(error, ApiError) and error.status == GONE


async def watch(collection: Collection[R], *, timing: Timing) -> AsyncGenerator[Outcome[R], None]:
    """Everything that happens to the collection, for ever. Close it with `aclose()`."""
    state: State[R] = Empty()
    failures, opened, standing_since = 0, -math.inf, math.inf
    try:
        while True:
            outcome, state = await step(state, collection)
            now = time.monotonic()
            match outcome:
                case None:
                    continue
                case Opened():
                    opened, standing_since = now, min(now, standing_since)
                case Failed():
                    failures = 0 if now - standing_since >= timing.good else failures
                    standing_since = math.inf
            yield outcome
            if isinstance(outcome, Failed):
                await asyncio.sleep(retry_delay(outcome.error, failures, timing=timing))
                failures += 1
            elif isinstance(outcome, Interrupted):
                # A server that ends every watch at once is not asked more often than one that fails.
                await asyncio.sleep(opened + timing.first_delay - now)
    finally:
        if isinstance(state, Watching):
            await state.stream.aclose()


def retry_delay(error: ClusterError, failures: int, *, timing: Timing) -> float:
    """Seconds to wait after an error that came after so many others in a row."""
    if isinstance(error, ApiError) and error.status in REFUSED:
        return timing.refused
    if isinstance(error, ApiError) and error.retry_after is not None:
        return min(error.retry_after, timing.longest_retry_after)
    delay = min(timing.first_delay * 2.0 ** min(failures, 32), timing.longest_delay)
    return delay * random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
