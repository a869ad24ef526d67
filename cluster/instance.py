"""One watched instance: a connection, what is watched through it, and the store that all of it writes."""

import asyncio
import logging
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cluster import health, kinds
from cluster.client import Client, open_client
from cluster.discovery import look_out
from cluster.errors import AnotherCluster, ClusterError, CredentialRejected
from cluster.events import R
from cluster.follow import follow, follow_if_allowed
from cluster.health import DEPLOYMENTS, Health, Watch
from cluster.identity import UNREAD, Identity, read_uid
from cluster.kinds import Kind
from cluster.probe import Facts, probe
from cluster.rights import missing_rights
from cluster.store import Store
from cluster.timing import Timing
from cluster.types import InstanceState
from cluster.watch import retry_delay
from credentials.types import Credential

log = logging.getLogger(__name__)


class WatchedInstance:
    """Writes the store for as long as `run` runs. The store may be one that an earlier instance wrote."""

    def __init__(
        self, *, store: Store, credential: Credential, timing: Timing, known_uid: str | None = None
    ) -> None:
        """`known_uid`: of the cluster that the name stands for, if that is remembered."""
        self.credential = credential
        self.identity = Identity(known_uid)
        self.client: Client | None = None
        """While there is a connection to act through."""
        self._store = store
        self._timing = timing
        self._health = Health(watches={})
        self._facts = Facts(store.state.kubernetes_version, store.state.node_count)
        self._missing_verbs: tuple[str, ...] = ()
        self._crds_changed = asyncio.Event()
        self._group_changed = asyncio.Event()

    async def run(self) -> None:
        """For ever: connect, and again whenever the credential can't be loaded."""
        failures = 0
        self._publish()
        while True:
            try:
                async with open_client(self.credential, timing=self._timing) as client:
                    await self._watch_the_right_one(client)
            except CredentialRejected as error:
                self._know(credential_error=error)
                await asyncio.sleep(retry_delay(error, failures, timing=self._timing))
                failures += 1

    async def _watch_the_right_one(self, client: Client) -> None:
        """For ever: nothing of a cluster is read before it is known to be the one of this name."""
        self.client = client
        client.verify = partial(self._verify, client)
        self._know(credential_error=None)
        try:
            while True:
                await self._identify(client)
                try:
                    await self._watch_all(client)
                except* AnotherCluster as errors:
                    self._stop_showing(errors.exceptions[0])
        finally:
            self.client = None

    async def _identify(self, client: Client) -> None:
        """Until the right cluster answers, or one that can't be told."""
        failures = 0
        while True:
            self.identity.doubted.clear()
            try:
                self.identity.check(await read_uid(client, deadline=self._timing.deadline))
            except ClusterError as error:
                self._know(identity_error=error)
                pause = retry_delay(error, failures, timing=self._timing)
                failures += 1
            else:
                self._know(identity_error=None)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.identity.doubted.wait()

    async def _keep_identified(self, client: Client) -> None:
        """Look again now and then, and when there is a doubt. Raises AnotherCluster."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.probe):
                    await self.identity.doubted.wait()
            self.identity.doubted.clear()
            try:
                uid = await read_uid(client, deadline=self._timing.deadline)
            except ClusterError:
                continue  # the probe tells it
            self.identity.check(uid)
            self._publish()

    async def _verify(self, client: Client) -> None:
        """Raises AnotherCluster, and what asking raises."""
        try:
            self.identity.check(await read_uid(client, deadline=self._timing.deadline))
        except AnotherCluster:
            self.identity.doubted.set()
            raise

    def _stop_showing(self, error: BaseException) -> None:
        """What came since the last look may be the other cluster's: nothing of it is kept."""
        self._store.forget()
        self._facts = Facts()
        self._health = Health(watches={}, identity_error=error if isinstance(error, AnotherCluster) else None)
        self._publish()

    async def _watch_all(self, client: Client) -> None:
        name = self._store.instance_id
        namespaces = kinds.namespaces(self._store, fallback=self.credential.namespaces)
        crds = kinds.crds(self._crds_changed.set)
        pods = kinds.pods(self._store, namespaces=self.credential.namespaces)
        optional = partial(follow_if_allowed, client=client, report=self._report, timing=self._timing)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_identified(client), name=f"{name}: identity")
            tasks.create_task(self._probe(client), name=f"{name}: health")
            tasks.create_task(self._discover(client), name=f"{name}: API groups")
            tasks.create_task(self._review(client), name=f"{name}: rights")
            tasks.create_task(self._follow(pods, client), name=f"{name}: pods")
            tasks.create_task(optional(namespaces), name=f"{name}: namespaces")
            tasks.create_task(optional(crds), name=f"{name}: CRDs")

    async def _probe(self, client: Client) -> None:
        failures = 0
        while True:
            try:
                self._facts = await probe(client, deadline=self._timing.deadline)
            except ClusterError as error:
                self._know(probe_error=error)
                pause = retry_delay(error, failures, timing=self._timing)
                failures += 1
            else:
                self._know(probe_error=None)
                failures, pause = 0, self._timing.probe
            await asyncio.sleep(pause)

    async def _review(self, client: Client) -> None:
        """What the account may not do, once it is known what there is to do, and again now and then."""
        failures, pause = 0, self._timing.review
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._group_changed.wait()
            self._group_changed.clear()
            try:
                self._missing_verbs = await missing_rights(
                    client,
                    api_group=self._health.api_group,
                    namespaces=self.credential.namespaces,
                    deadline=self._timing.answer,
                )
            except ClusterError as error:  # the watches tell it
                pause = retry_delay(error, failures, timing=self._timing)
                failures += 1
            else:
                failures, pause = 0, self._timing.review
                self._publish()

    async def _discover(self, client: Client) -> None:
        """Watches the deployments of whichever API group the cluster serves now."""
        watching: asyncio.Task[None] | None = None
        looks = look_out(client, changed=self._crds_changed, timing=self._timing)
        async with asyncio.TaskGroup() as tasks, aclosing(looks):
            async for found in looks:
                if isinstance(found, ClusterError):
                    self._know(discovery_error=found)
                    continue
                if not self._health.discovered or found != self._health.api_group:
                    if watching is not None:
                        watching.cancel()
                        await asyncio.wait([watching])
                    self._switch(found)
                    watching = self._watch_deployments(found, client, tasks) if found else None
                self._know(discovery_error=None)

    def _switch(self, api_group: str | None) -> None:
        if api_group is None:
            self._store.clear_deployments()
        others = {key: watch for key, watch in self._health.watches.items() if key[0] != DEPLOYMENTS}
        self._know(watches=others, discovered=True, api_group=api_group)
        self._group_changed.set()

    def _watch_deployments(
        self, api_group: str, client: Client, tasks: asyncio.TaskGroup
    ) -> asyncio.Task[None]:
        kind = kinds.deployments(self._store, api_group=api_group, namespaces=self.credential.namespaces)
        return tasks.create_task(
            self._follow(kind, client), name=f"{self._store.instance_id}: deployments of {api_group}"
        )

    async def _follow(self, kind: Kind[R], client: Client) -> None:
        await follow(
            kind,
            namespaces=self.credential.namespaces,
            client=client,
            report=self._report,
            timing=self._timing,
        )

    def _report(self, kind: str, scope: str | None, watch: Watch | None) -> None:
        watches = {key: known for key, known in self._health.watches.items() if key != (kind, scope)}
        if watch is not None:
            watches[kind, scope] = watch
            if kind == DEPLOYMENTS and watch.status == 404:
                self._crds_changed.set()
        self._know(watches=watches)

    def _know(self, **news: Any) -> None:
        self._health = replace(self._health, **news)
        self._publish()

    def _publish(self) -> None:
        was, now = self._store.state, self._health
        verdict = health.judge(now, ever_synced=was.synced_at is not None)
        if verdict.status is not was.status:
            reason = f": {verdict.reason}" if verdict.reason else ""
            log.info("instance %s is %s%s", was.instance_id, verdict.status, reason)
        client = self.client
        self._store.set_state(
            InstanceState(
                instance_id=was.instance_id,
                status=verdict.status,
                reason=verdict.reason,
                public_reason=verdict.public_reason,
                live=now.live,
                synced_at=datetime.now(UTC) if now.live and not was.live else was.synced_at,
                last_seen_at=(client and client.last_seen_at) or was.last_seen_at,
                kubernetes_version=self._facts.kubernetes_version,
                api_group=now.api_group if now.discovered else was.api_group,
                node_count=self._facts.node_count,
                endpoint=client.endpoint if client else was.endpoint,
                cluster_uid=self.identity.found,
                missing_verbs=self._missing_verbs,
                warnings=(UNREAD,) if now.live and self.identity.found is None else (),
            )
        )
