"""Serving the application, and ending well."""

import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from hub.app import running_hub
from hub.settings import HttpSettings, Settings
from schema.http_protocol import HttpProtocol
from schema.sockets import WebSocketProtocol

log = structlog.get_logger("hub.server")

GRACE = 3
"""Seconds that open requests have to end after a SIGTERM, so that all is over within five."""
MESSAGE_LIMIT = 65_536
"""Bytes of one WebSocket message from a client; a larger one closes with 1009."""
PING_EVERY = 20.0
"""Seconds between two pings, and that a peer has to answer one."""


class Server(uvicorn.Server):
    """uvicorn's server, without its habit of raising the signal anew: that would skip our own ending."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Long-lived objects are most of the heap: looking through them again and again costs p99 145 ms at
        # 2,000 events a second, and 12 ms like this (docs/fanout.md).
        gc.collect()
        gc.freeze()
        # Small generations all the same: some bad documents leave 16,000 objects each, and with 50,000 in the
        # youngest a flood of those made everybody wait for 60 ms at a time, with 5,000 for 6.
        gc.set_threshold(5_000, 10, 1000)
        gc.enable()  # `hub.__main__` turned it off
        # How long the thread that checks documents keeps the event loop waiting: 5 ms by default.
        sys.setswitchinterval(0.001)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # What is left after the grace has an answer that its reader doesn't take.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def configure(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MESSAGE_LIMIT,
        ws_per_message_deflate=False,  # frames are pushed as they are, and it costs 3 to 8 µs each
        ws_ping_interval=PING_EVERY,
        ws_ping_timeout=PING_EVERY,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


def listen(http: HttpSettings) -> socket.socket:
    """The listening socket. Raises OSError with what to do if the address can't be had."""
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        return socket.create_server((http.host, http.port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(f"Can't listen on {http.host} port {http.port} ({error.strerror}): set PORT") from error


def allow_many_connections() -> None:
    """Open as many files as the system lets this process have: each connection is one, and what a shell gives
    is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS has less than its own limit says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(settings: Settings) -> None:
    """Run the hub until SIGINT or SIGTERM."""
    allow_many_connections()
    for warning in settings.warnings:
        log.warning(warning)
    with listen(settings.http) as listening:
        async with running_hub(settings) as hub:
            host, port = listening.getsockname()[:2]
            mode = "local" if settings.local else "hub"
            server = Server(
                configure(hub.app),
                on_started=lambda: log.info("ready", address=f"http://{host}:{port}", mode=mode),
            )
            await server.serve(sockets=[listening])
