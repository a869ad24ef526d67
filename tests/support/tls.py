"""Simulated clusters over https: uploaded kubeconfigs know no other way."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from hub.demo.cluster import SimulatedCluster
from tests.support.certificates import self_signed

NAME = "cluster.example"


@asynccontextmanager
async def over_https(
    cluster: SimulatedCluster, folder: Path, *, token: str | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """A kubeconfig with all that it takes embedded, for as long as the block lasts."""
    pair = self_signed(names=[NAME])
    file = folder / f"{cluster.name}.pem"
    file.write_bytes(pair.certificate + pair.key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    behind = urlsplit(cluster.url).port
    tasks: set[asyncio.Task[None]] = set()
    accepted: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", behind)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, back))
                both.create_task(_copy(there, writer))
        except OSError:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    config = cluster.kubeconfig(token=token)
    config["clusters"][0]["cluster"] = {
        "server": f"https://{host}:{server.sockets[0].getsockname()[1]}",
        "certificate-authority-data": base64.b64encode(pair.certificate).decode(),
        "tls-server-name": NAME,
    }
    try:
        yield yaml.safe_dump(config)
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in accepted:  # a task that was cancelled before it began closed nothing
            writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
    finally:
        target.close()
