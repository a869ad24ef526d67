"""`InstanceFeed`: the seam between one cluster and everybody above.

It holds values only (frozen structs, an epoch and a sequence number), so that a feed can later come from
another process. All of it is synchronous: a snapshot and its position are taken with no await between,
hence no gap and no double.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from cluster.types import Change, Deployment, InstanceState, Phase
from credentials.types import Credential, CredentialProblem

Unsubscribe = Callable[[], None]


class InstanceFeed(Protocol):
    """One instance's deployments and status, as last known."""

    @property
    def instance_id(self) -> str: ...

    @property
    def epoch(self) -> str:
        """Names the change log; a position taken under another epoch means nothing here."""
        ...

    @property
    def state(self) -> InstanceState: ...

    @property
    def head(self) -> int:
        """The sequence number of the newest change; 0 before any."""
        ...

    def changes(self, after: int, limit: int = 256) -> Sequence[Change]:
        """Changes with a greater sequence number, oldest first, one an object at the most.

        An object's earlier changes are compacted away. Raises `cluster.errors.FellBehind` when tombstones
        that the reader would need are gone.
        """
        ...

    def get(self, namespace: str, name: str) -> Deployment | None: ...

    def by_name(self, namespace: str, after: str = "") -> Iterator[Deployment]:
        """The namespace's deployments with a greater name, in the order of their names.

        The iterator is void after the next await.
        """
        ...

    def by_name_descending(self, namespace: str, before: str | None = None) -> Iterator[Deployment]: ...

    def namespaces(self) -> Collection[str]:
        """The namespaces that hold deployments, sorted."""
        ...

    def known_namespaces(self) -> Collection[str] | None:
        """Every namespace of the cluster (of the credential, if it may not list them); None if unread."""
        ...

    def counts(self, namespace: str) -> Mapping[Phase, int]:
        """How many deployments of each phase the namespace holds; kept as counters, never scanned."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        """Call `wake` after every change of the log or the state. It must be quick and never raises."""
        ...


class Fleet(Protocol):
    """All instances: what `resolvers` work with. `cluster.manager.InstanceManager` is one."""

    @property
    def feeds(self) -> Mapping[str, InstanceFeed]:
        """By instance id, sorted. Of now; another mapping whenever an instance comes or goes."""
        ...

    @property
    def problems(self) -> Sequence[CredentialProblem]: ...

    def credential(self, instance_id: str) -> Credential | None:
        """What the instance works with now."""
        ...

    def credential_error(self, instance_id: str) -> str | None:
        """Why the instance's file as it stands is no good, while the last good credential works on."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> Unsubscribe:
        """Call `wake` after any feed's change, and after an instance came or went."""
        ...

    async def create_deployment(
        self, *, instance_id: str, namespace: str, manifest: Mapping[str, Any], dry_run: bool
    ) -> tuple[Deployment, tuple[str, ...]]:
        """POST the manifest (its `apiVersion` is filled in); the created object and the server's warnings.

        Raises `InstanceUnavailable`, `Unreachable`, `ApiError`. Writes no store: the watch will report it.
        """
        ...

    async def delete_deployment(
        self, *, instance_id: str, namespace: str, name: str, uid: str | None, dry_run: bool
    ) -> Deployment | None:
        """DELETE; the object as the server last showed it, None where the server sent only a Status."""
        ...
