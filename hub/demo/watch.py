"""One watch stream: from a version on, every change as a JSON line."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from aiohttp import web

from hub.demo.faults import CutMidLine, Faults, GoneInStream, Silence, Verb
from hub.demo.objects import Collection, Event, Json, Store, watch_line
from hub.demo.selectors import Selection
from hub.demo.status import StatusError, expired

BATCH = 1_000
"""Events written at once at the most: what bounds a write and the delay of cancellation."""

LAST_BOOKMARK = 2.0
"""Seconds before the end of a stream that its last bookmark is sent, as a real server does."""


def selected_lines(events: Sequence[Event], selection: Selection) -> Iterator[bytes]:
    """The lines of a filtered watch: entering the selection is ADDED, leaving it DELETED."""
    if selection.unfiltered and not selection.namespace:
        yield from (event.line for event in events)
        return
    for event in events:
        now = event.type != "DELETED" and selection.holds(event.stored)
        before = selection.holds(event.previous)
        if now:
            yield event.line if before else watch_line("ADDED", event.stored.body)
        elif before:
            yield watch_line("DELETED", event.stored.body)


class WatchOptions(msgspec.Struct, frozen=True):
    version: int | None
    """The position to begin after; None begins with an ADDED for all that is there."""
    bookmarks: bool
    timeout: float
    """Seconds until the server ends the stream."""
    bookmark_interval: float
    """Seconds."""


class _Due(msgspec.Struct):
    """One turn of a stream."""

    lines: list[bytes]
    more: bool = False
    """More events wait already."""
    last: bool = False
    """The stream ends with these lines: an error, or the type is served no longer."""


class WatchStream:
    """One client's watch, from its first line to its end."""

    def __init__(
        self,
        *,
        store: Store,
        collection: Collection,
        faults: Faults,
        selection: Selection,
        options: WatchOptions,
    ) -> None:
        self._store = store
        self._collection = collection
        self._faults = faults
        self._selection = selection
        self._options = options
        self._position = options.version or 0
        self._wake = asyncio.Event()

    async def run(self, request: web.BaseRequest) -> web.StreamResponse:
        """Write until the timeout, an error or the client's leaving (which cancels)."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        async with AsyncExitStack() as stack:
            stack.callback(self._collection.subscribe(self._wake.set))
            stack.callback(self._faults.subscribe(self._wake.set))
            await response.prepare(request)
            await self._write_all(request, response)
        return response

    async def _write_all(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + self._options.timeout
        bookmark_at = self._next_bookmark(clock(), end)
        if self._options.version is None:
            await response.write(b"".join(self._initial()))
        while (now := clock()) < end:
            self._wake.clear()
            if self._strikes(Silence):
                await self._sleep_until(end)
                continue
            due = self._due()
            if now >= bookmark_at and not due.last:
                bookmark_at = self._next_bookmark(now, end)
                due.lines.append(self._bookmark())
            if self._strikes(CutMidLine):
                await self._cut(request, response, due.lines or [self._bookmark()])
                return
            if due.lines:
                await response.write(b"".join(due.lines))
            if due.last:
                return
            if not due.more:
                await self._sleep_until(min(end, bookmark_at))

    def _next_bookmark(self, now: float, end: float) -> float:
        if not self._options.bookmarks:
            return math.inf
        regular, last = now + self._options.bookmark_interval, end - LAST_BOOKMARK
        return last if now < last < regular else regular

    def _strikes(self, kind: type[Any]) -> bool:
        return self._faults.strike(kind, self._collection.resource.plural, Verb.WATCH) is not None

    def _initial(self) -> Iterator[bytes]:
        """What is there now; takes the position with it."""
        self._position = self._store.version
        stored = self._collection.scan(self._selection.namespace)
        return (watch_line("ADDED", each.body) for each in stored if self._selection.holds(each))

    def _due(self) -> _Due:
        """What to write now; moves the position behind it."""
        try:
            if self._strikes(GoneInStream):
                raise expired("The resourceVersion for the provided watch is too old.")
            events = self._collection.since(self._position, BATCH)
        except StatusError as error:
            return _Due([watch_line("ERROR", msgspec.json.encode(error.body()))], last=True)
        lines = list(selected_lines(events, self._selection))
        if len(events) == BATCH:
            self._position = events[-1].version
            return _Due(lines, more=True)
        self._position = self._store.version
        served = self._store.collection(self._collection.resource) is self._collection
        return _Due(lines, last=not served)

    def _bookmark(self) -> bytes:
        resource = self._collection.resource
        body: Json = {"kind": resource.kind, "apiVersion": resource.api_version}
        body["metadata"] = {"resourceVersion": str(self._position), "creationTimestamp": None}
        return watch_line("BOOKMARK", msgspec.json.encode(body))

    async def _sleep_until(self, moment: float) -> None:
        try:
            async with asyncio.timeout_at(moment):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _cut(self, request: web.BaseRequest, response: web.StreamResponse, lines: list[bytes]) -> None:
        last = lines[-1]
        await response.write(b"".join(lines[:-1]) + last[: len(last) // 2])
        if request.transport is not None:
            request.transport.abort()
