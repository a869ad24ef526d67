"""The server's end of connections: uvicorn's protocols, with a way past ASGI for what is already encoded.

ASGI shows no writability, and a `send` that waits for one reader would hold up all others of a shared turn.
So the fan-out writes finished bytes straight to the transport, and knows which sockets are full.
"""

import asyncio
import socket
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from typing import Any, cast
from weakref import ref

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SEND_BUFFER = 131_072
"""Bytes that the kernel keeps for a socket: by itself it would take megabytes from a stalled reader."""
STALLED_AFTER = 15.0
"""Seconds that a socket may take nothing before it is dropped."""
LOOK_EVERY = 1.0
"""Seconds between two looks at what a full socket still has to take."""
CLOSED_WITHIN = 2.0
"""Seconds that a client has to answer a close frame; uvicorn would hold 30 KB for 10."""
SCOPE_KEY = "hub.socket"
"""Where the ASGI scope's extensions hold a weak reference to the protocol, which lives as long as the
application is called."""


class Watched(asyncio.Protocol):
    """What every protocol of the server does about a reader that takes nothing."""

    transport: Transport
    loop: asyncio.AbstractEventLoop
    full = False
    """Whether the reader has to take some before more is sent. What is pushed all the same is kept."""
    _look: TimerHandle | None = None
    _least = 0
    """Bytes that were left when it last took some, …"""
    _took_at = 0.0
    """… and when that was."""
    _on_writable: Callable[[], None] | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def on_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the socket was full and takes bytes again."""
        self._on_writable = callback

    def push(self, data: bytes) -> None:
        """Write finished bytes, unless the connection is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.full = True
        self._least, self._took_at = self.transport.get_write_buffer_size(), self.loop.time()
        self._look = self.loop.call_later(LOOK_EVERY, self._drop_if_stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.full = False
        self._calm()
        if self._on_writable is not None:
            self._on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self._on_writable = None
        super().connection_lost(exc)

    def _drop_if_stalled(self) -> None:
        """A slow reader is a reader. One that takes nothing holds memory and never says goodbye: close()
        would wait for it too."""
        left, now = self.transport.get_write_buffer_size(), self.loop.time()
        if left < self._least:
            self._least, self._took_at = left, now
        if now - self._took_at >= STALLED_AFTER:
            self.transport.abort()
        else:
            self._look = self.loop.call_later(LOOK_EVERY, self._drop_if_stalled)

    def _calm(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None


class WebSocketProtocol(Watched, WebSocketsSansIOProtocol):
    """One WebSocket. Frames that are pushed must not need deflate, which the server has off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = CLOSED_WITHIN

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # a refused handshake has none
            cast("dict[str, Any]", self.scope["extensions"])[SCOPE_KEY] = ref(self)

    def start_keepalive(self) -> None:
        """The handshake is over. Its headers, several times over, would be 4 KB in each idle connection."""
        super().start_keepalive()
        self.request.headers.clear()
        self.response.headers.clear()
        cast("list[Any]", self.scope["headers"]).clear()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        if self.full:  # it would be closing until its reader takes what is there
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conn.parser.close()  # a circle, in which 15 KB would wait for the garbage collector

    def push(self, data: bytes) -> None:
        """Write finished frames, unless the connection is closing."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(data)
