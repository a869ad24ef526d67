"""One watch stream: from a version on, every change as a JSON line."""

import asyncio
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
        bookmark_at = clock() + self._options.bookmark_interval
        if self._options.version is None:
            await response.write(b"".join(self._initial()))
        while clock() < end and self._still_served:
            self._wake.clear()
            if self._strikes(Silence):
                await self._sleep_until(end)
                continue
            lines, more, failed = self._due()
            if self._options.bookmarks and not more and clock() >= bookmark_at and not failed:
                bookmark_at = clock() + self._options.bookmark_interval
                lines.append(self._bookmark())
            if self._strikes(CutMidLine):
                await self._cut(request, response, lines or [self._bookmark()])
                return
            if lines:
                await response.write(b"".join(lines))
            if failed:
                return
            if not more:
                await self._sleep_until(min(end, bookmark_at if self._options.bookmarks else end))

    @property
    def _still_served(self) -> bool:
        return self._store.collection(self._collection.resource) is self._collection

    def _strikes(self, kind: type[Any]) -> bool:
        return self._faults.strike(kind, self._collection.resource.plural, Verb.WATCH) is not None

    def _initial(self) -> Iterator[bytes]:
        """What is there now; takes the position with it."""
        self._position = self._store.version
        stored = self._collection.scan(self._selection.namespace)
        return (watch_line("ADDED", each.body) for each in stored if self._selection.holds(each))

    def _due(self) -> tuple[list[bytes], bool, bool]:
        """Lines to write now, whether more wait, whether the last is an error that ends the stream."""
        try:
            if self._strikes(GoneInStream):
                raise expired("The resourceVersion for the provided watch is too old.")
            events = self._collection.since(self._position, BATCH)
        except StatusError as error:
            return [watch_line("ERROR", msgspec.json.encode(error.body()))], False, True
        lines = list(selected_lines(events, self._selection))
        more = len(events) == BATCH
        self._position = events[-1].version if more else self._store.version
        return lines, more, False

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
