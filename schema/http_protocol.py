"""HTTP/1.1 under the application: uvicorn's protocol, with bounds on what a slow client may hold, and with
bodies that are pushed past ASGI.

A pushed body's response begins and ends through ASGI, so that uvicorn knows where the connection stands:
`http.response.start`, then whatever is pushed, then an empty `http.response.body`.
"""

import socket
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from typing import Any, cast
from weakref import ref

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from schema.sockets import SCOPE_KEY, Watched

REQUEST_WITHIN = 20.0
"""Seconds that a connection may take for its first whole request, and each later one from its first byte."""
HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers; a longer head is 431."""
VANISHED_AFTER = 30_000
"""Milliseconds that what was sent may stay unacknowledged; the kernel's own patience is a quarter of an hour.
A WebSocket has pings for this, an event stream only what it sends."""


class HttpProtocol(Watched, HttpToolsProtocol):
    """One connection, for as long as it speaks HTTP."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: RequestResponseCycle | None = None
        """The request that is being answered: `cycle` is the last one that came, which may wait behind it."""
        self._gone: Callable[[], None] | None = None
        self._late: TimerHandle | None = None
        self._head = 0
        """Bytes of a head that isn't complete, at least; 0 when there is none."""
        self._ending = False

    # ------------------------------------------------------------ pushed bodies

    def begin_pushing(self, gone: Callable[[], None]) -> bool:
        """Before the response's start: its body will be pushed. Whether in chunks, as HTTP/1.0 knows none.

        `gone` is called when nobody is there to push to, because the client or the server went away.
        """
        running = cast("RequestResponseCycle", self._running)  # it is what asks
        chunked = running.scope["http_version"] != "1.0"
        running.chunked_encoding = None if chunked else False
        self._gone = gone
        if self._ending or self.transport.is_closing():
            self._cut()
        return chunked

    def on_response_complete(self) -> None:
        self._gone = None
        super().on_response_complete()

    def _cut(self) -> None:
        """End a pushed body where it stands. Its client sees a response that is incomplete, and comes again:
        one that ended well would be taken for a stream that has no more to say."""
        if self._running is not None:
            self._running.disconnected = True
        if self.full:  # it would be closing until its reader takes what is there
            self.transport.abort()
        else:
            self.transport.close()
        self._tell_gone()

    def _tell_gone(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        raw = transport.get_extra_info("socket")
        if raw is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, VANISHED_AFTER)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_came()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._tell_gone()
        self.pipeline.clear()  # circles, which would wait for the garbage collector

    def shutdown(self) -> None:
        """The server ends."""
        self._ending = True
        super().shutdown()
        if self._gone is not None:
            self._cut()

    def handle_websocket_upgrade(self) -> None:
        self._request_came()
        super().handle_websocket_upgrade()
        # What is left of HTTP is 10 KB in a circle, which would wait for the garbage collector.
        self.parser = self.scope = self.headers = self.cycle = None  # type: ignore[assignment]

    # ------------------------------------------------------------ requests

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head:
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                self._refuse_head()

    def on_message_begin(self) -> None:
        self._head = 1
        self._expect_request()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head:  # not the trailers of a body, which would join the headers that were judged
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._request_came()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cast("dict[str, Any]", cycle.scope)["extensions"] = {SCOPE_KEY: ref(self)}
        super()._start_asgi_task(cycle, app)

    def _expect_request(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(REQUEST_WITHIN, self._give_up)

    def _request_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.flow.read_paused:  # it is us who take no more for now
            self._expect_request()
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        if self._running is None or self._running.response_complete:
            name, value = CLOSE_HEADER
            self.push(STATUS_LINE[431] + name + b": " + value + b"\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
