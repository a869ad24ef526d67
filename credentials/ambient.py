"""The credential of whoever runs the hub, found as kubectl finds it:

    KUBECONFIG            one file, or several that are read as one: of what several say, the first counts
    ~/.kube/config        without a KUBECONFIG
    the service account   of the pod that the hub runs in, where there is neither

It is one instance, named after the current context. `scan` looks once and is tested alone; `snapshots` is the
endless loop round it. The rules of `credentials.directory` hold for what is being written, gone for a moment
or no good any more; but nothing stays at work that the current context isn't about: nobody is to work on one
cluster where kubectl works on another.
"""

import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from credentials import posture
from credentials.directory import Recorder, is_same
from credentials.errors import Refused
from credentials.judge import judge_document
from credentials.kubeconfig import Section, text
from credentials.looks import looks
from credentials.merging import EVERYWHERE, NoContext, is_there, read_merged
from credentials.names import as_dns_label
from credentials.types import Credential, CredentialProblem, CredentialSource, Snapshot

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LOCAL = "local"
"""The instance's name where no context gives one."""


class Ambient(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look."""

    files: tuple[Path, ...]
    """Kubeconfigs, whether they are there or not; empty in a pod without any."""
    server: str = ""
    """Host and port of the API server, in a pod."""
    service_account: Path = SERVICE_ACCOUNT


def find_ambient(environment: Mapping[str, str], *, home: Path) -> Ambient:
    """By the environment as it is now."""
    named = [Path(part).absolute() for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = tuple(named) or (home / ".kube" / "config",)
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if named or not (host and port) or is_there(files[0]):
        return Ambient(files=files)
    return Ambient(files=(), server=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


class _Entry(msgspec.Struct, frozen=True):
    seen: Mapping[str, str]
    """Every file that was looked at, with its fingerprint."""
    credential: Credential | None
    reason: str | None
    """Why there is none, or none that is new."""
    since: datetime


class AmbientCredential:
    """`exec_allow` has the commands that plugins may run. `settle` and `grace` are in seconds."""

    def __init__(
        self, ambient: Ambient, *, exec_allow: frozenset[str], settle: float = 0.25, grace: float = 0.5
    ) -> None:
        self._ambient = ambient
        self._exec_allow = exec_allow
        self._settle = settle
        self._grace = grace
        self._entry: _Entry | None = None
        self._lost_at: float | None = None
        self.is_settled = True

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """What there is: now, and again whenever that changes. It never ends."""
        files = self._ambient.files
        watched = files[0].parent if files else self._ambient.service_account
        async with aclosing(looks(self, directory=str(watched))) as snapshots:
            async for snapshot in snapshots:
                yield snapshot

    def scan(self) -> Snapshot:
        """Look once. It reads files, hence blocks; it must not run twice at a time."""
        self.is_settled = True
        entry = self._entry
        if entry is None or self._fingerprints(entry.seen) != entry.seen:
            entry = self._entry = self._next(entry, datetime.now(UTC))
        else:
            self._lost_at = None
        return self._snapshot(entry)

    # ------------------------------------------------------------ within

    def _next(self, before: _Entry | None, now: datetime) -> _Entry:
        last = before.credential if before else None
        if before and last and self._is_being_written():
            self.is_settled = False
            return before
        found = self._look(last, now)
        if before and last and found.credential is None and not self._is_lost():
            self.is_settled = False
            return before
        self._lost_at = None
        return found

    def _look(self, last: Credential | None, now: datetime) -> _Entry:
        read, name = Recorder(), last.name if last else None
        try:
            kubeconfig = self._kubeconfig(read)
            name = as_dns_label(text(kubeconfig, "current-context") or "", otherwise=LOCAL)
            found = judge_document(
                name,
                kubeconfig,
                directory=EVERYWHERE,
                exec_allow=self._exec_allow,
                now=now,
                read=read,
                source=CredentialSource.AMBIENT,
            )
        except Refused as refusal:
            stays = last is not None and name == last.name and not isinstance(refusal, NoContext)
            return _Entry(read.seen, last if stays else None, refusal.reason, now)
        return _Entry(read.seen, last if last and is_same(last, found) else found, None, now)

    def _kubeconfig(self, read: Recorder) -> Section:
        files = self._ambient.files
        return read_merged(files, read) if files else _of_service_account(self._ambient)

    def _fingerprints(self, paths: Iterable[str]) -> Mapping[str, str]:
        read = Recorder()
        for path in paths:
            with suppress(Refused):
                read(EVERYWHERE, path)
        return read.seen

    def _is_being_written(self) -> bool:
        ages = [time.time() - file.stat().st_mtime for file in self._ambient.files if is_there(file)]
        return any(0 <= age < self._settle for age in ages)

    def _is_lost(self) -> bool:
        """Whether what is missing has been so for longer than a moment."""
        now = time.monotonic()
        self._lost_at = now if self._lost_at is None else self._lost_at
        return now - self._lost_at >= self._grace

    def _snapshot(self, entry: _Entry) -> Snapshot:
        if (credential := entry.credential) is None:
            where = os.pathsep.join(map(str, self._ambient.files)) or str(self._ambient.service_account)
            problem = CredentialProblem(where, entry.reason or "", entry.since)
            return Snapshot(credentials={}, errors={}, problems=(problem,))
        name = credential.name
        credentials = {name: posture.with_warnings(credential, datetime.now(UTC))}
        errors = {} if entry.reason is None else {name: entry.reason}
        return Snapshot(credentials=credentials, errors=errors, problems=())


def _of_service_account(ambient: Ambient) -> Section:
    folder = ambient.service_account
    cluster = {"server": f"https://{ambient.server}", "certificate-authority": str(folder / "ca.crt")}
    context = {"cluster": LOCAL, "user": LOCAL}
    return {
        "current-context": LOCAL,
        "contexts": [{"name": LOCAL, "context": context}],
        "clusters": [{"name": LOCAL, "cluster": cluster}],
        "users": [{"name": LOCAL, "user": {"tokenFile": str(folder / "token")}}],
    }
