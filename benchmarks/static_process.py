"""What the hub's lists are compared with: the same bytes, sent by a bare ASGI application.

Served with the hub's own settings of uvicorn, without any middleware; a path is the name of a file in the
folder that is given as argument. Run by `benchmarks.processes`.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from starlette.types import Receive, Scope, Send

from benchmarks.commands import obey
from benchmarks.raw_process import HTTP
from hub.server import Server, configure, listen


class Static:
    """Reads the request's body, which it has no use for, and sends an answer."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        body = self._answers[scope["path"]]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def main(app: Static) -> None:
    started = asyncio.Event()
    with listen(HTTP) as listening:
        async with asyncio.TaskGroup() as tasks:
            server = Server(configure(app), on_started=started.set)
            tasks.create_task(server.serve(sockets=[listening]))
            await started.wait()
            await obey({"port": listening.getsockname()[1]}, {})
            server.should_exit = True


if __name__ == "__main__":
    answers = {f"/{path.name}": path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
    uvloop.run(main(Static(answers)))
