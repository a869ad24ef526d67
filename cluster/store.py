"""What is known of one instance: its deployments joined with their pods, its change log, its status.

One writer (the instance's watches), any number of readers through `cluster.feed.InstanceFeed`. Nothing here
waits: a writer's method ends with the store consistent and the readers woken.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from secrets import token_hex

from cluster import status
from cluster.catalogue import Catalogue
from cluster.changes import ChangeLog
from cluster.feed import Unsubscribe
from cluster.pods import Key, PodIndex, same_all
from cluster.sharing import Sharing
from cluster.types import Change, Deployment, InstanceState, InstanceStatus, Phase
from cluster.wakeups import Wakeups
from cluster.wire import ModelDeployment, Pod


class Store:
    """An `InstanceFeed` and what writes it.

    A *scope* is what one list or watch covers: None for the whole cluster, or the namespace that a limited
    credential may read. `clock` gives seconds that never go back.
    """

    def __init__(self, instance_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._instance_id = instance_id
        self._epoch = token_hex(8)
        self._state = InstanceState(instance_id=instance_id, status=InstanceStatus.CONNECTING)
        self._log = ChangeLog(clock=clock)
        self._catalogue = Catalogue()
        self._known_namespaces: tuple[str, ...] | None = None
        self._sharing = Sharing()
        self._pods = PodIndex()
        self._pod_scopes: set[str | None] = set()
        self._wakeups = Wakeups()

    # ------------------------------------------------------------ readers

    @property
    def instance_id(self) -> str:
        return self._instance_id

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def state(self) -> InstanceState:
        return self._state

    @property
    def head(self) -> int:
        return self._log.head

    def changes(self, after: int, limit: int = 256) -> Sequence[Change]:
        return self._log.changes(after, limit)

    def get(self, namespace: str, name: str) -> Deployment | None:
        return self._catalogue.get(namespace, name)

    def by_name(self, namespace: str, after: str = "") -> Iterator[Deployment]:
        return self._catalogue.by_name(namespace, after)

    def by_name_descending(self, namespace: str, before: str | None = None) -> Iterator[Deployment]:
        return self._catalogue.by_name_descending(namespace, before)

    def namespaces(self) -> Collection[str]:
        return self._catalogue.namespaces()

    def known_namespaces(self) -> Collection[str] | None:
        return self._known_namespaces

    def counts(self, namespace: str) -> Mapping[Phase, int]:
        return self._catalogue.counts(namespace)

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        return self._wakeups.subscribe(wake)

    # ------------------------------------------------------------ the writer

    def batch(self) -> AbstractContextManager[None]:
        """Wake the readers once, at the end, and only if something changed."""
        return self._wakeups

    def replace_deployments(
        self, resources: Iterable[ModelDeployment], *, scope: str | None, api_group: str
    ) -> None:
        """Take a list as the truth of its scope: what was missed is logged, deletions included."""
        with self._wakeups:
            listed: set[Key] = set()
            for resource in resources:
                listed.add((resource.metadata.namespace, resource.metadata.name))
                self._put(resource, api_group=api_group)
            for deployment in self._catalogue.within(scope):
                if (deployment.namespace, deployment.name) not in listed:
                    self._delete(deployment)

    def apply_deployment(self, resource: ModelDeployment, *, api_group: str) -> None:
        """Take an ADDED or MODIFIED event, unless it is older than what is known."""
        known = self.get(resource.metadata.namespace, resource.metadata.name)
        if known is None or not _outdated(resource, known.resource):
            with self._wakeups:
                self._put(resource, api_group=api_group)

    def remove_deployment(self, resource: ModelDeployment) -> None:
        """Take a DELETED event, unless another object has the name by now."""
        known = self.get(resource.metadata.namespace, resource.metadata.name)
        if known is not None and known.uid == resource.metadata.uid:
            with self._wakeups:
                self._delete(known)

    def clear_deployments(self, *, scope: str | None = None) -> None:
        """All of the scope's deployments are gone, with their CRD or their namespace."""
        with self._wakeups:
            for deployment in self._catalogue.within(scope):
                self._delete(deployment)

    def replace_pods(self, pods: Iterable[Pod], *, scope: str | None) -> None:
        """Take a list of pods as the truth of its scope, which is readable from now on."""
        with self._wakeups:
            touched: set[Key] = set()
            listed: set[Key] = set()
            for pod in pods:
                listed.add((pod.metadata.namespace, pod.metadata.name))
                touched |= self._put_pod(pod)
            for pod in self._pods.within(scope):
                if (pod.metadata.namespace, pod.metadata.name) not in listed:
                    touched |= self._pods.remove(pod)
            if scope not in self._pod_scopes:
                self._pod_scopes.add(scope)
                touched.update((each.namespace, each.name) for each in self._catalogue.within(scope))
            self._rejoin(touched)

    def apply_pod(self, pod: Pod) -> None:
        known = self._pods.get(pod.metadata.namespace, pod.metadata.name)
        if known is None or not _outdated(pod, known):
            with self._wakeups:
                self._rejoin(self._put_pod(pod))

    def remove_pod(self, pod: Pod) -> None:
        known = self._pods.get(pod.metadata.namespace, pod.metadata.name)
        if known is not None and known.metadata.uid == pod.metadata.uid:
            with self._wakeups:
                self._rejoin(self._pods.remove(known))

    def pods_unreadable(self, *, scope: str | None, but: Collection[str] = ()) -> None:
        """The scope's pods can't be read: phases follow from what the resources report.

        `but` are namespaces that go on by themselves: what is known of them holds until they are listed.
        """
        with self._wakeups:
            if scope is None:
                readable = self._pod_scopes.intersection(but)
                self._pod_scopes = set(but) if None in self._pod_scopes else readable
            else:
                self._pod_scopes.discard(scope)
            for pod in self._pods.within(scope):
                if pod.metadata.namespace not in but:
                    self._pods.remove(pod)
            self._rejoin((each.namespace, each.name) for each in self._catalogue.within(scope))

    def set_state(self, state: InstanceState) -> None:
        with self._wakeups:
            self._wakeups.changed |= state != self._state
            self._state = state

    def set_namespaces(self, names: Collection[str] | None) -> None:
        """The cluster's namespaces (the credential's, if it may not list them); None if unreadable."""
        known = None if names is None else tuple(sorted(names))
        with self._wakeups:
            self._wakeups.changed |= known != self._known_namespaces
            self._known_namespaces = known

    def forget(self) -> None:
        """All that is known is another cluster's, or may be."""
        with self._wakeups:
            self.clear_deployments()
            self.pods_unreadable(scope=None)
            self.set_namespaces(None)

    # ------------------------------------------------------------ within

    def _put(self, resource: ModelDeployment, *, api_group: str) -> None:
        known = self.get(resource.metadata.namespace, resource.metadata.name)
        if known is None or known.api_group != api_group or not _same_version(resource, known.resource):
            self._join(self._sharing.deployment(resource), api_group=api_group)

    def _join(self, resource: ModelDeployment, *, api_group: str) -> None:
        pods = self._pods_of((resource.metadata.namespace, resource.metadata.name))
        deployment = Deployment(
            instance_id=self._instance_id,
            api_group=api_group,
            resource=resource,
            pods=pods,
            phase=status.phase(resource, pods),
            replicas=self._sharing.replicas(status.replicas(resource, pods)),
            observed_at=datetime.now(UTC),
        )
        self._catalogue.put(deployment)
        self._log.append(deployment, deleted=False)
        self._wakeups.changed = True

    def _delete(self, deployment: Deployment) -> None:
        self._catalogue.remove(deployment)
        self._log.append(deployment, deleted=True)
        self._wakeups.changed = True

    def _pods_of(self, key: Key) -> tuple[Pod, ...] | None:
        if None in self._pod_scopes or key[0] in self._pod_scopes:
            return self._pods.of(key)
        return None

    def _put_pod(self, pod: Pod) -> set[Key]:
        known = self._pods.get(pod.metadata.namespace, pod.metadata.name)
        if known is not None and _same_version(pod, known):
            return set()
        return self._pods.put(self._sharing.pod(pod))

    def _rejoin(self, touched: Iterable[Key]) -> None:
        for key in touched:
            deployment = self.get(*key)
            if deployment is not None and not same_all(deployment.pods, self._pods_of(key)):
                self._join(deployment.resource, api_group=deployment.api_group)


def _same_version(one: ModelDeployment | Pod, other: ModelDeployment | Pod) -> bool:
    a, b = one.metadata, other.metadata
    return a.uid == b.uid and a.resource_version == b.resource_version


def _outdated(event: ModelDeployment | Pod, known: ModelDeployment | Pod) -> bool:
    """Whether the event tells of an earlier version of the same object.

    Asked of events alone: a list is the truth even where its versions went back, as after etcd's restore.
    """
    a, b = event.metadata, known.metadata
    if a.uid != b.uid or not (a.resource_version.isdecimal() and b.resource_version.isdecimal()):
        return False
    return int(a.resource_version) < int(b.resource_version)
