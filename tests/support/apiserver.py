"""A real API server with etcd behind it, as a process that tests start, kill and start again."""

import asyncio
import ssl
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from tests.support.kubeconfigs import client_certificate, kubeconfig
from tests.support.kubectl import Kubectl

UNCACHED_WATCHES = "--watch-cache-sizes=modeldeployments.airunway.ai#0"
"""With this flag a watch or a `continue` token from before a compaction is 410 Gone; else the watch cache
hides compactions. The last version but one still works: write twice after the version in question."""

ADMIN_TOKEN = "admin-token"
START_WITHIN = 120.0
STOP_WITHIN = 30.0


class StartFailed(Exception):
    """The process ended before it was ready; the message is the end of its log."""


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """What the binary prints once it is ready."""

    url: str
    control: str
    ca_file: Path
    admin_cert_file: Path
    admin_key_file: Path


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts the binary on one data directory, so each time as the same cluster."""

    binary: Path
    directory: Path
    flags: Sequence[str]

    async def launch(self, *, port: int, tokens: Mapping[str, str]) -> tuple[Process, Endpoint]:
        token_file = self.directory / "tokens.csv"
        users = "".join(f"{token},{user},{user}\n" for token, user in tokens.items())
        token_file.write_text(f"{ADMIN_TOKEN},admin,admin,system:masters\n{users}")
        own = ("-data", str(self.directory), "-port", str(port))
        command = (str(self.binary), *own, "--", f"--token-auth-file={token_file}", *self.flags)
        with (self.directory / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=log)
        try:
            return process, await self._ready(process)
        except BaseException:
            await _kill(process)
            raise

    async def _ready(self, process: Process) -> Endpoint:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_WITHIN)
        if not line:
            raise StartFailed((self.directory / "log").read_text()[-4000:])
        return msgspec.json.decode(line, type=Endpoint, dec_hook=lambda kind, text: kind(text))


class ApiServer:
    """A control plane without controllers: nothing is scheduled, run or garbage-collected.

    `kubectl` acts on it as an admin. Pods, and nodes to bind them to, are made by hand.
    """

    def __init__(
        self, *, launcher: Launcher, process: Process, endpoint: Endpoint, session: aiohttp.ClientSession
    ) -> None:
        self._launcher = launcher
        self._process = process
        self._endpoint = endpoint
        self._session = session
        self.kubectl = Kubectl(session=session, url=endpoint.url, token=ADMIN_TOKEN)

    @property
    def url(self) -> str:
        """Stays the same over restarts."""
        return self._endpoint.url

    def kubeconfig(self, *, user: Mapping[str, str] | None = None, namespaces: Sequence[str] = ()) -> str:
        """The text of a kubeconfig with the CA embedded, as an admin by client certificate unless `user`
        is given (`{"token": …}`, `{"tokenFile": …}`); with a context per namespace, if any."""
        return kubeconfig(
            server=self.url,
            ca=self._endpoint.ca_file.read_bytes(),
            user=self._admin() if user is None else user,
            namespaces=namespaces,
        )

    def _admin(self) -> dict[str, str]:
        return client_certificate(
            certificate=self._endpoint.admin_cert_file.read_bytes(),
            key=self._endpoint.admin_key_file.read_bytes(),
        )

    async def compact(self) -> int:
        """Makes etcd forget every version before the present one, which it returns (see UNCACHED_WATCHES)."""
        async with self._session.post(f"{self._endpoint.control}/compact", raise_for_status=True) as answer:
            return int(await answer.text())

    async def kill(self) -> None:
        """SIGKILL to API server and etcd at once: connections break, then are refused."""
        await _kill(self._process)

    async def restart(self, *, tokens: Mapping[str, str] | None = None) -> None:
        """Kills it, unless that was done, and starts it on the same data, port and certificates (2–3 s).

        `tokens` replace the static tokens of before. Every earlier resourceVersion is now 410 Gone to a
        watch. Raises StartFailed.
        """
        await self.kill()
        port = int(self.url.rpartition(":")[2])
        self._process, self._endpoint = await self._launcher.launch(port=port, tokens=tokens or {})

    async def stop(self) -> None:
        """An orderly end (2–3.5 s), by the end of its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN)
        finally:
            await _kill(self._process)


@asynccontextmanager
async def running_api_server(
    *, binary: Path, flags: Sequence[str] = (), tokens: Mapping[str, str] | None = None
) -> AsyncIterator[ApiServer]:
    """A new cluster, ready, without CRDs; stopped and removed at the end.

    `flags` are kube-apiserver's own; `tokens` are static bearer tokens and their users' names (a user has
    no rights but those that a test gives).
    """
    with tempfile.TemporaryDirectory(prefix="envtest-") as directory:
        launcher = Launcher(binary=binary, directory=Path(directory), flags=flags)
        process, endpoint = await launcher.launch(port=0, tokens=tokens or {})
        tls = ssl.create_default_context(cafile=endpoint.ca_file)
        # Each request on a connection of its own: none is left over from before a kill.
        connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            server = ApiServer(launcher=launcher, process=process, endpoint=endpoint, session=session)
            try:
                yield server
            finally:
                await server.stop()


async def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
