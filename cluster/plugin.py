"""Exec plugins: a program that prints a credential (client.authentication.k8s.io).

kubernetes_asyncio's own runner has no time limit, leaves the child running, blocks on a full stderr, lends
the plugin the hub's standard input, and writes the client certificates that it gets to files for good.
"""

import asyncio
import contextlib
import math
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from cluster.errors import CredentialRejected

_EARLY = timedelta(seconds=60)
"""A credential is renewed this long before it expires, so that none expires on its way."""
_SHARED = 5.0
"""Seconds. Requests that waited for a run that failed share its failure and don't each run the plugin."""


class PluginCredential(msgspec.Struct, frozen=True, rename="camel"):
    """What a plugin printed: a token, or a client certificate with its key (PEM), or both."""

    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Variable(msgspec.Struct, frozen=True):
    name: str
    value: str


class ExecConfig(msgspec.Struct, frozen=True, rename="camel"):
    """`users[].user.exec` of a kubeconfig."""

    command: str
    api_version: str
    args: Sequence[str] = ()
    env: Sequence[_Variable] = ()


class _Printed(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    status: PluginCredential


class Plugin:
    """Runs a judged exec plugin whenever a credential is needed and the last one has expired."""

    def __init__(self, config: ExecConfig, *, timeout: float) -> None:
        self._config = config
        self._timeout = timeout
        self._last: PluginCredential | None = None
        self._failure = ""
        self._failed_at = -math.inf
        self._running = asyncio.Lock()

    async def credential(self) -> PluginCredential:
        """The same object until it expires. Raises CredentialRejected."""
        async with self._running:
            if self._last is not None and not _expired(self._last):
                return self._last
            if time.monotonic() < self._failed_at + _SHARED:
                raise CredentialRejected(self._failure)
            try:
                self._last = await self._run()
            except CredentialRejected as error:
                self._failure, self._failed_at = str(error), time.monotonic()
                raise
            return self._last

    def forget(self) -> None:
        """The API server refused the credential: the next one comes from a new run."""
        self._last = None

    async def _run(self) -> PluginCredential:
        command = self._config.command
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *self._config.args,
                env=self._environment(),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,  # so that what the plugin starts ends with it
            )
        except OSError as error:
            raise CredentialRejected(f"exec plugin {command} can't be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._timeout):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise CredentialRejected(
                f"exec plugin {command} printed no credential within {self._timeout:g} s"
            ) from error
        finally:
            await _end(process)
        if process.returncode:
            said = complaint.decode(errors="replace").strip()[-500:]
            raise CredentialRejected(
                f"exec plugin {command} failed with exit code {process.returncode}: {said}"
            )
        return self._read(output)

    def _read(self, output: bytes) -> PluginCredential:
        command, wanted = self._config.command, self._config.api_version
        try:
            printed = msgspec.json.decode(output, type=_Printed)
        except msgspec.DecodeError as error:
            raise CredentialRejected(f"exec plugin {command} printed no ExecCredential") from error
        if printed.api_version != wanted:
            raise CredentialRejected(f"exec plugin {command} speaks {printed.api_version}, not {wanted}")
        credential = printed.status
        if (credential.client_certificate_data is None) != (credential.client_key_data is None):
            raise CredentialRejected(
                f"exec plugin {command} printed a certificate without its key, or a key alone"
            )
        if credential.token is None and credential.client_certificate_data is None:
            raise CredentialRejected(f"exec plugin {command} printed neither a token nor a certificate")
        return credential

    def _environment(self) -> dict[str, str]:
        version = self._config.api_version
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        added = {variable.name: variable.value for variable in self._config.env}
        return {**os.environ, **added, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}


def _expired(credential: PluginCredential) -> bool:
    ends = credential.expiration_timestamp
    return ends is not None and datetime.now(UTC) >= ends - _EARLY


async def _end(process: Process) -> None:
    """Kill the plugin with everything it started, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
