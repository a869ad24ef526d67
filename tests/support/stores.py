"""A fleet of real stores that a test writes by itself: nothing is watched."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from cluster.feed import InstanceFeed, Unsubscribe
from cluster.store import Store
from cluster.types import Deployment, InstanceStatus
from cluster.wakeups import Wakeups
from credentials.types import Credential, CredentialProblem
from tests.support.resources import THEN


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class StoresFleet:
    """A `Fleet` that can't act on clusters."""

    def __init__(self, *, clock: Callable[[], float] | None = None) -> None:
        self.stores: dict[str, Store] = {}
        self.feeds: Mapping[str, InstanceFeed] = {}
        self.problems: Sequence[CredentialProblem] = ()
        self._clock = clock or Clock()
        self._wakeups = Wakeups()

    def add(self, instance_id: str, *, live: bool = True) -> Store:
        """A new instance, with an epoch of its own even under an old name."""
        store = Store(instance_id, clock=self._clock)
        store.subscribe(self._wake)
        self.stores[instance_id] = store
        self._renew_feeds()
        set_live(store, live=live)
        return store

    def remove(self, instance_id: str) -> None:
        del self.stores[instance_id]
        self._renew_feeds()

    def credential(self, instance_id: str) -> Credential | None:  # noqa: ARG002 - of the protocol
        return None

    def credential_error(self, instance_id: str) -> str | None:  # noqa: ARG002 - of the protocol
        return None

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        return self._wakeups.subscribe(wake)

    async def create_deployment(
        self, *, instance_id: str, namespace: str, manifest: Mapping[str, Any], dry_run: bool
    ) -> tuple[Deployment, tuple[str, ...]]:
        raise NotImplementedError

    async def delete_deployment(
        self, *, instance_id: str, namespace: str, name: str, uid: str | None, dry_run: bool
    ) -> Deployment | None:
        raise NotImplementedError

    def _renew_feeds(self) -> None:
        self.feeds = {instance_id: self.stores[instance_id] for instance_id in sorted(self.stores)}
        self._wake()

    def _wake(self) -> None:
        with self._wakeups:
            self._wakeups.changed = True


def set_live(store: Store, *, live: bool) -> None:
    status = InstanceStatus.CONNECTED if live else InstanceStatus.DISCONNECTED
    synced_at = THEN if live else store.state.synced_at
    store.set_state(replace(store.state, status=status, live=live, synced_at=synced_at))


def change_state(store: Store, **fields: Any) -> None:
    store.set_state(replace(store.state, **fields))


def everything(fleet: StoresFleet) -> list[Deployment]:
    """All deployments there are, whoever may see them."""
    return [
        deployment
        for feed in fleet.feeds.values()
        for namespace in feed.namespaces()
        for deployment in feed.by_name(namespace)
    ]
