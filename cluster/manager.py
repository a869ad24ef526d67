"""All instances: starts, replaces and stops them as credentials come, change and go."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from cluster import paths, status
from cluster.client import Client
from cluster.errors import InstanceUnavailable
from cluster.feed import InstanceFeed, Unsubscribe
from cluster.instance import WatchedInstance
from cluster.store import Store
from cluster.timing import Timing
from cluster.types import Deployment, InstanceStatus
from cluster.wakeups import Wakeups
from cluster.wire import ModelDeployment
from credentials.types import Credential, CredentialProblem, Snapshot

log = logging.getLogger(__name__)

FIELD_MANAGER = "kubeairunway-hub"
"""What the API server calls the hub in `metadata.managedFields`."""

_WORKING = (InstanceStatus.CONNECTED, InstanceStatus.DEGRADED)


@dataclass(frozen=True, slots=True)
class _Entry:
    store: Store
    instance: WatchedInstance
    task: asyncio.Task[None]
    unsubscribe: Unsubscribe


class InstanceManager:
    """A `Fleet`. No instance waits for another: a cluster that hangs delays nothing but itself."""

    def __init__(self, *, timing: Timing | None = None) -> None:
        self.scanned = asyncio.Event()
        """Set once the first snapshot of the credentials has been acted on."""
        self._timing = timing or Timing()
        self._entries: dict[str, _Entry] = {}
        self._feeds: Mapping[str, InstanceFeed] = {}
        self._snapshot = Snapshot(credentials={}, errors={}, problems=())
        self._wakeups = Wakeups()

    async def run(self, snapshots: AsyncIterator[Snapshot]) -> None:
        """Until cancelled: keep instances as the newest snapshot says. Nothing of them outlives it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                async for snapshot in snapshots:
                    self._take(snapshot, tasks)
        finally:
            for instance_id in list(self._entries):
                self._drop(instance_id)

    # ------------------------------------------------------------ Fleet

    @property
    def feeds(self) -> Mapping[str, InstanceFeed]:
        return self._feeds

    @property
    def problems(self) -> Sequence[CredentialProblem]:
        return self._snapshot.problems

    def credential(self, instance_id: str) -> Credential | None:
        return self._snapshot.credentials.get(instance_id)

    def credential_error(self, instance_id: str) -> str | None:
        return self._snapshot.errors.get(instance_id)

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        return self._wakeups.subscribe(wake)

    async def create_deployment(
        self, *, instance_id: str, namespace: str, manifest: Mapping[str, Any], dry_run: bool
    ) -> tuple[Deployment, tuple[str, ...]]:
        client, api_group = self._connection(instance_id)
        answer = await client.create(
            paths.deployments(api_group, namespace),
            {**manifest, "apiVersion": f"{api_group}/{paths.VERSION}"},
            ModelDeployment,
            # Strict: a misspelt field is an error that names it, instead of a field without effect.
            params={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
            | ({"dryRun": "All"} if dry_run else {}),
        )
        return _without_pods(instance_id, api_group, answer.value), answer.warnings

    async def delete_deployment(
        self, *, instance_id: str, namespace: str, name: str, uid: str | None, dry_run: bool
    ) -> Deployment | None:
        client, api_group = self._connection(instance_id)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            **({"preconditions": {"uid": uid}} if uid is not None else {}),
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        path = paths.deployment(api_group, namespace, name)
        left = await client.delete(path, options, ModelDeployment)
        return None if left is None else _without_pods(instance_id, api_group, left)

    def _connection(self, instance_id: str) -> tuple[Client, str]:
        if (entry := self._entries.get(instance_id)) is None:
            raise InstanceUnavailable(instance_id, InstanceStatus.DISCONNECTED, "There is no such instance.")
        state, client = entry.store.state, entry.instance.client
        if client is None or state.api_group is None or state.status not in _WORKING:
            raise InstanceUnavailable(instance_id, state.status, state.public_reason)
        return client, state.api_group

    # ------------------------------------------------------------ instances come and go

    def _take(self, snapshot: Snapshot, tasks: asyncio.TaskGroup) -> None:
        """Acts on a snapshot without waiting for anything."""
        _tell(self._snapshot, snapshot)
        self._snapshot = snapshot
        for instance_id in self._entries.keys() - snapshot.credentials.keys():
            self._drop(instance_id)
        for instance_id, credential in snapshot.credentials.items():
            entry = self._entries.get(instance_id)
            if entry is None or _outdated(entry, credential):
                self._start(instance_id, credential, tasks, before=entry)
            else:
                entry.instance.identity.expect(snapshot.clusters.get(instance_id))
        self._feeds = {instance_id: self._entries[instance_id].store for instance_id in sorted(self._entries)}
        self.scanned.set()
        self._wake()

    def _start(
        self, instance_id: str, credential: Credential, tasks: asyncio.TaskGroup, *, before: _Entry | None
    ) -> None:
        """A new credential goes on with the old one's store, so that readers see only differences."""
        store = Store(instance_id) if before is None else before.store
        unsubscribe = store.subscribe(self._wake) if before is None else before.unsubscribe
        known_uid = self._snapshot.clusters.get(instance_id)
        instance = WatchedInstance(
            store=store, credential=credential, timing=self._timing, known_uid=known_uid
        )
        run = self._keep(instance, store, after=None if before is None else before.task)
        task = tasks.create_task(run, name=f"instance {instance_id}")
        self._entries[instance_id] = _Entry(store, instance, task, unsubscribe)

    def _drop(self, instance_id: str) -> None:
        entry = self._entries.pop(instance_id)
        entry.task.cancel()
        entry.unsubscribe()

    async def _keep(
        self, instance: WatchedInstance, store: Store, *, after: asyncio.Task[None] | None
    ) -> None:
        """Runs one instance, so that a fault of ours in one never ends the others."""
        if after is not None:
            after.cancel()
            await asyncio.wait([after])  # one writer a store
        while True:
            try:
                await instance.run()
            except Exception:
                log.exception("instance %s failed and is started anew", store.instance_id)
            failed = msgspec.structs.replace(
                store.state,
                status=InstanceStatus.ERROR,
                live=False,
                reason="An error within the hub, which its log shows",
                public_reason="The hub failed to watch this cluster.",
            )
            store.set_state(failed)
            await asyncio.sleep(self._timing.longest_delay)

    def _wake(self) -> None:
        with self._wakeups:
            self._wakeups.changed = True


def _tell(before: Snapshot, now: Snapshot) -> None:
    """What is no good and wasn't, for whoever reads the log alone."""
    known = {(problem.file_name, problem.reason) for problem in before.problems}
    for problem in now.problems:
        if (problem.file_name, problem.reason) not in known:
            log.warning("%s is no credential: %s", problem.file_name, problem.reason)
    for instance_id, reason in now.errors.items():
        if before.errors.get(instance_id) != reason:
            log.warning("instance %s keeps its last good credential: %s", instance_id, reason)


def _outdated(entry: _Entry, credential: Credential) -> bool:
    """A new token alone changes nothing, as it is read for every request, unless the old one was refused:

    then the next request would be long in coming.
    """
    known, refused = entry.instance.credential, entry.store.state.status is InstanceStatus.ERROR
    return known.digest != credential.digest or (refused and known.token_digest != credential.token_digest)


def _without_pods(instance_id: str, api_group: str, resource: ModelDeployment) -> Deployment:
    """A written object as its own fields show it: its pods come to the store, and there it is joined."""
    return Deployment(
        instance_id=instance_id,
        api_group=api_group,
        resource=resource,
        pods=None,
        phase=status.phase(resource, None),
        replicas=status.replicas(resource, None),
        observed_at=datetime.now(UTC),
    )
