"""The WebSocket transport: uvicorn's protocol, with a way past ASGI for what is already encoded.

ASGI shows no writability, and a `send` that waits for one reader would hold up all others of a shared turn.
So the fan-out writes finished frames straight to the transport, and knows which sockets are full.
"""

import socket
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

SEND_BUFFER = 131_072
"""Bytes that the kernel keeps for a socket: by itself it would take megabytes from a stalled reader."""
STALLED_AFTER = 15.0
"""Seconds that a socket may take nothing before it is dropped."""
SCOPE_KEY = "hub.socket"
"""Where the ASGI scope's extensions hold the protocol."""


class Socket(WebSocketsSansIOProtocol):
    """One connection. Frames that are pushed must not need deflate, which the server has off."""

    stalled_after = STALLED_AFTER
    full = False
    _stalled: TimerHandle | None = None
    _on_writable: Callable[[], None] | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # a refused handshake has none
            cast("dict[str, Any]", self.scope["extensions"])[SCOPE_KEY] = self

    def start_keepalive(self) -> None:
        """The handshake is over. Its headers, several times over, would be 4 KB in each idle connection."""
        super().start_keepalive()
        self.request.headers.clear()
        self.response.headers.clear()
        cast("list[Any]", self.scope["headers"]).clear()

    def on_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the socket was full and takes frames again."""
        self._on_writable = callback

    def pause_writing(self) -> None:
        super().pause_writing()
        self.full = True
        # A reader that takes nothing holds memory and never says goodbye: close() would wait for it too.
        self._stalled = self.loop.call_later(self.stalled_after, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.full = False
        self._calm()
        if self._on_writable is not None:
            self._on_writable()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        if self.full:  # it would be closing until its reader takes what is there
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self._on_writable = None
        super().connection_lost(exc)

    def push(self, data: bytes) -> None:
        """Write finished frames, unless the connection is closing."""
        if self.conn.state is State.OPEN and not self.transport.is_closing():
            self.transport.write(data)

    def _calm(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
