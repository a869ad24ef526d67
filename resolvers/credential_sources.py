"""What instances are connected with: the directory's files, and kubeconfigs that were registered.

A name belongs to one of both. A removed one belongs to none, whatever file there is.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime

import msgspec

from credentials import posture
from credentials.directory import SUFFIX, CredentialDirectory
from credentials.errors import Refused
from credentials.types import Credential, CredentialProblem, Snapshot
from credentials.upload import judge_upload
from models.errors import SealBroken
from models.sealing import Sealer
from resolvers.registry import Record, Registry

SHADOWED = (
    "An instance of this name was registered with a kubeconfig of its own, which is used. Remove this file, "
    "or send `kubeconfig: null` with `updateInstance` to use the file."
)


class _Opened(msgspec.Struct, frozen=True):
    """What came of a sealed kubeconfig."""

    sealed: str
    outcome: Credential | CredentialProblem


class CredentialSources:
    """`local_refused`: a kubeconfig that was sent may lead neither to this machine nor to link-local ones."""

    def __init__(
        self, *, directory: CredentialDirectory, registry: Registry, sealer: Sealer, local_refused: bool
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._sealer = sealer
        self._local_refused = local_refused
        self._files: Snapshot | None = None
        self._opened: dict[str, _Opened] = {}
        self._shadowed: dict[str, datetime] = {}
        self._changed = asyncio.Event()

    # ------------------------------------------------------------ what registering needs

    def has_file(self, instance_id: str) -> bool:
        return self._directory.holds(f"{instance_id}{SUFFIX}")

    def problem_with_file(self, instance_id: str) -> str | None:
        """Why the instance's file never was a good credential, as far as it was looked at."""
        problems = self._files.problems if self._files else ()
        return next((each.reason for each in problems if each.file_name == f"{instance_id}{SUFFIX}"), None)

    def judge(self, instance_id: str, kubeconfig: str) -> Credential:
        """Raises `credentials.errors.Refused`."""
        return judge_upload(instance_id, kubeconfig, now=datetime.now(UTC), local_refused=self._local_refused)

    def seal(self, instance_id: str, kubeconfig: str) -> str:
        return self._sealer.seal(kubeconfig, row_id=instance_id)

    # ------------------------------------------------------------ what the manager needs

    async def keep_scanned(self) -> None:
        """Endless: look at the directory."""
        async for files in self._directory.snapshots():
            self._files = files
            self._changed.set()

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """All credentials: once the directory was looked at, and again whenever they change. It never ends.

        The registry has been loaded before.
        """
        unsubscribe = self._registry.subscribe(self._changed.set)
        last = None
        try:
            while True:
                self._changed.clear()
                if self._files is not None and (snapshot := self._merged(self._files)) != last:
                    last = snapshot
                    yield snapshot
                await self._changed.wait()
        finally:
            unsubscribe()

    def _merged(self, files: Snapshot) -> Snapshot:
        now = datetime.now(UTC)
        credentials, errors = dict(files.credentials), dict(files.errors)
        problems = {each.file_name: each for each in files.problems}
        records = self._registry.records
        for instance_id, record in records.items():
            file_name = f"{instance_id}{SUFFIX}"
            is_shadowed = record.sealed is not None and (instance_id in credentials or file_name in problems)
            if record.removed or record.sealed is not None:
                for found in (credentials, errors):
                    found.pop(instance_id, None)
                problems.pop(file_name, None)
            if record.removed or record.sealed is None:
                continue
            if is_shadowed:
                problems[file_name] = self._shadow(file_name, now)
            match self._open(record, record.sealed, now):
                case Credential() as credential:
                    credentials[instance_id] = posture.with_warnings(credential, now)
                case CredentialProblem() as problem:
                    problems[problem.file_name] = problem
        self._forget(records, problems)
        clusters = {name: each.cluster_uid for name, each in records.items() if each.cluster_uid is not None}
        ordered = tuple(problems[name] for name in sorted(problems))
        return Snapshot(credentials=credentials, errors=errors, problems=ordered, clusters=clusters)

    def _shadow(self, file_name: str, now: datetime) -> CredentialProblem:
        return CredentialProblem(file_name, SHADOWED, self._shadowed.setdefault(file_name, now))

    def _open(self, record: Record, sealed: str, now: datetime) -> Credential | CredentialProblem:
        instance_id = record.registered.id
        known = self._opened.get(instance_id)
        if known is None or known.sealed != sealed:
            known = self._opened[instance_id] = _Opened(sealed, self._unsealed(instance_id, sealed, now))
        return known.outcome

    def _unsealed(self, instance_id: str, sealed: str, now: datetime) -> Credential | CredentialProblem:
        try:
            return self.judge(instance_id, self._sealer.open(sealed, row_id=instance_id))
        except SealBroken as error:
            reason = f"The stored kubeconfig can't be opened ({error})."
        except Refused as refusal:
            reason = refusal.reason
        return CredentialProblem(instance_id, f"{reason} Send it again with `updateInstance`.", now)

    def _forget(self, records: Mapping[str, Record], problems: Mapping[str, CredentialProblem]) -> None:
        """What isn't there any more: no key of a removed instance stays in memory."""
        for instance_id in list(self._opened):
            if (record := records.get(instance_id)) is None or record.sealed is None or record.removed:
                del self._opened[instance_id]
        for file_name in list(self._shadowed):
            if file_name not in problems or problems[file_name].reason != SHADOWED:
                del self._shadowed[file_name]
