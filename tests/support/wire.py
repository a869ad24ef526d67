"""The network between the hub and one API server, to be cut by a test."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Wire:
    """Passes bytes on, until it is cut: then what stands breaks, and new connections wait to be mended."""

    def __init__(self, target: str) -> None:
        self._host, self._port = urlsplit(target).hostname, urlsplit(target).port
        self._whole = asyncio.Event()
        self._whole.set()
        self._writers: set[StreamWriter] = set()
        self._accepted: set[StreamWriter] = set()
        """Until they are aborted; a task that is cancelled before it began aborts nothing."""
        self._connections: set[asyncio.Task[None]] = set()
        self._closed = False

    def cut(self) -> None:
        self._whole.clear()
        for writer in self._writers:  # of the hub's side; the other side's end follows
            writer.transport.abort()

    def mend(self) -> None:
        self._whole.set()

    def accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        self._accepted.add(writer)
        task = asyncio.create_task(self._connect(reader, writer), name="a connection of the wire")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        self._closed = True
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in self._accepted:
            writer.transport.abort()

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection of the hub's, to its end."""
        ends = {writer}
        self._writers.add(writer)
        try:
            await self._whole.wait()
            # Where nobody listens, the hub meets a connection that is cut at once.
            there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
            ends.add(there_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass_on(reader, there_writer), name="to the API server")
                tasks.create_task(_pass_on(there_reader, writer), name="from the API server")
        except OSError:
            return
        finally:
            self._writers.discard(writer)
            self._accepted.discard(writer)
            for each in ends:
                each.transport.abort()


@asynccontextmanager
async def wire_to(target: str) -> AsyncIterator[tuple[Wire, str]]:
    """The wire, and the address to use in place of `target`'s."""
    wire = Wire(target)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield wire, f"{urlsplit(target).scheme}://{host}:{port}"
    finally:
        server.close()
        await wire.close()
        await server.wait_closed()


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    """Either side's end is the other's."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
