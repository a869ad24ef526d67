"""The watched directory of kubeconfigs.

`scan` looks once and is tested alone; `snapshots` is the endless loop round it. Three rules keep a moment's
state of the files from doing harm:

- what is no good any more leaves the last good credential at work and becomes its error;
- a good file that was written to less than `settle` ago is left for the next look, since half a kubeconfig
  may well be a valid one (with half a token);
- what is gone is given up only when it is still gone `grace` later: a directory that is replaced or mounted
  anew is empty for a moment.
"""

import hashlib
import os
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from credentials import posture
from credentials.errors import Refused
from credentials.files import read_within
from credentials.judge import judge
from credentials.looks import looks
from credentials.names import is_dns_label
from credentials.types import Credential, CredentialProblem, Snapshot

SUFFIX = ".kubeconfig"

_DIRECTORY = "."
"""Stands among the files' names for the directory itself, when that can't be read."""


class _Entry(msgspec.Struct, frozen=True):
    """What is known of one file."""

    seen: Mapping[str, str]
    """Every file that the outcome rests on, with its fingerprint."""
    credential: Credential | None
    """The last good one."""
    reason: str | None
    """Why the file is no good now."""
    since: datetime
    """When the file became no good."""


class CredentialDirectory:
    """The `*.kubeconfig` files right in a directory; hidden ones and deeper ones are left alone.

    `path` need not exist yet. `exec_allow` has the commands that plugins may run. `settle` and `grace` are
    in seconds.
    """

    def __init__(
        self, path: str | Path, *, exec_allow: Collection[str], settle: float = 0.25, grace: float = 0.5
    ) -> None:
        self._path = Path(path).absolute()
        self._exec_allow = frozenset(exec_allow)
        self._settle = settle
        self._grace = grace
        self._entries: Mapping[str, _Entry] = {}
        self._missing: Mapping[str, float] = {}
        self.is_settled = True

    def holds(self, file_name: str) -> bool:
        """Whether there is such a file now, good or not."""
        return os.path.lexists(self._path / file_name)

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """What the directory says: now, and again whenever that changes. It never ends."""
        async with aclosing(looks(self, directory=str(self._path))) as snapshots:
            async for snapshot in snapshots:
                yield snapshot

    def scan(self) -> Snapshot:
        """Look once. It reads files, hence blocks; it must not run twice at a time."""
        self.is_settled = True
        try:
            listed = self._list()
        except OSError as error:
            self._entries = {**self._entries, _DIRECTORY: self._unreadable(error)}
        else:
            kept = self._keep_missing(listed)
            self._entries = {name: self._look(name) for name in listed} | kept
        return self._snapshot()

    def _list(self) -> list[str]:
        try:
            names = [entry.name for entry in self._path.iterdir()]
        except FileNotFoundError:
            return []
        return [name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]

    def _keep_missing(self, listed: Collection[str]) -> dict[str, _Entry]:
        now = time.monotonic()
        since = {name: self._missing.get(name, now) for name in self._entries if name not in listed}
        self._missing = {name: start for name, start in since.items() if now - start < self._grace}
        self.is_settled = not self._missing
        return {name: self._entries[name] for name in self._missing}

    def _look(self, file_name: str) -> _Entry:
        before = self._entries.get(file_name)
        if before is not None:
            if before.seen and self._fingerprints(before.seen) == before.seen:
                return before
            if before.credential is not None and self._is_being_written(file_name):
                self.is_settled = False
                return before
        return self._judge(file_name, before)

    def _judge(self, file_name: str, before: _Entry | None) -> _Entry:
        last = before.credential if before else None
        now = datetime.now(UTC)
        read = Recorder()
        try:
            name = _instance_name(file_name)
            raw = read(str(self._path), file_name)
            found = judge(
                name, raw, directory=str(self._path), exec_allow=self._exec_allow, now=now, read=read
            )
        except Refused as refusal:
            since = before.since if before and before.reason else now
            return _Entry(read.seen, last, refusal.reason, since)
        return _Entry(read.seen, last if last and is_same(last, found) else found, None, now)

    def _fingerprints(self, paths: Iterable[str]) -> Mapping[str, str]:
        read = Recorder()
        for path in paths:
            with suppress(Refused):
                read(str(self._path), path)
        return read.seen

    def _is_being_written(self, file_name: str) -> bool:
        try:
            age = time.time() - (self._path / file_name).stat().st_mtime
        except OSError:
            return False
        return 0 <= age < self._settle

    def _unreadable(self, error: OSError) -> _Entry:
        before = self._entries.get(_DIRECTORY)
        reason = (
            f"The credentials directory can't be read ({error.strerror}): what was last read stays at work."
        )
        return _Entry({}, None, reason, before.since if before else datetime.now(UTC))

    def _snapshot(self) -> Snapshot:
        now = datetime.now(UTC)
        credentials, errors, problems = {}, {}, []
        for file_name, entry in sorted(self._entries.items()):
            if entry.credential is not None:
                name = entry.credential.name
                credentials[name] = posture.with_warnings(entry.credential, now)
                if entry.reason is not None:
                    errors[name] = entry.reason
            elif entry.reason is not None:
                shown = file_name.encode(errors="replace").decode()  # Linux allows names that aren't UTF-8
                problems.append(CredentialProblem(shown, entry.reason, entry.since))
        return Snapshot(credentials, errors, tuple(problems))


def is_same(one: Credential, other: Credential) -> bool:
    return (one.digest, one.token_digest) == (other.digest, other.token_digest)


class Recorder:
    """`read_within`, noting a fingerprint of what came of every file."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def __call__(self, directory: str, path: str) -> bytes:
        try:
            content = read_within(directory, path)
        except Refused as refusal:
            self.seen[path] = refusal.reason
            raise
        self.seen[path] = hashlib.sha256(content).hexdigest()
        return content


def _instance_name(file_name: str) -> str:
    name = file_name.removesuffix(SUFFIX)
    if not is_dns_label(name):
        raise Refused(
            "The file's name is to be the instance's: at most 63 lower-case letters, digits and dashes, "
            "a letter or digit first and last."
        )
    return name
