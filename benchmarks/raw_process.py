"""What the fan-out is compared with: one loop that sends the same text to every socket.

Served with the hub's own settings of uvicorn, without any middleware. Run by `benchmarks.processes`.
"""

import asyncio
import time

import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.commands import obey
from benchmarks.subscribers import STAMP
from hub.server import Server, configure, listen
from hub.settings import HttpSettings

HTTP = HttpSettings(host="127.0.0.1", port=0, public_url=None, allowed_origins=())


class Broadcast:
    def __init__(self) -> None:
        self._sockets: list[WebSocket] = []
        self._text = ("", "")

    async def endpoint(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="graphql-transport-ws")
        self._sockets.append(websocket)
        async for _ in websocket.iter_text():
            pass
        self._sockets.remove(websocket)

    async def take(self, text: str) -> None:
        """Send this from now on, with a new stamp each time."""
        found = STAMP.search(text.encode())
        assert found is not None, text
        self._text = text[: found.start(1)], text[found.end(1) :]

    async def event(self) -> None:
        before, after = self._text
        text = f"{before}{time.monotonic_ns()}{after}"
        for websocket in self._sockets:
            await websocket.send_text(text)


async def main() -> None:
    broadcast, started = Broadcast(), asyncio.Event()
    app = Starlette(routes=[WebSocketRoute("/raw", broadcast.endpoint)])
    with listen(HTTP) as listening:
        async with asyncio.TaskGroup() as tasks:
            server = Server(configure(app), on_started=started.set)
            tasks.create_task(server.serve(sockets=[listening]))
            await started.wait()
            hello = {"port": listening.getsockname()[1]}
            await obey(hello, {"text": broadcast.take, "event": broadcast.event})
            server.should_exit = True


if __name__ == "__main__":
    uvloop.run(main())
