"""How it stands with an instance: pure, from what its watches and its probe last met.

Reasons are for those who manage instances and say what to do; public reasons are fixed sentences without an
address, a file or an account.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cluster.errors import AnotherCluster, ApiError, ClusterError, CredentialRejected, Unreachable
from cluster.types import InstanceStatus

DEPLOYMENTS = "deployments"
"""The one kind of resource that an instance can't do without."""

NOT_INSTALLED = "AI Runway isn't installed: no ModelDeployment CRD"

_PUBLIC = {
    InstanceStatus.CONNECTING: "The hub is connecting to this cluster.",
    InstanceStatus.DEGRADED: "Some of what this cluster holds can't be read.",
    InstanceStatus.DISCONNECTED: "The cluster can't be reached.",
    InstanceStatus.ERROR: "The hub's access to this cluster has to be renewed by an administrator.",
}


@dataclass(frozen=True, slots=True)
class Watch:
    """How it stands with one watch."""

    live: bool = False
    synced: bool = False
    """Whether it ever was live, so that the store holds what it told."""
    error: ClusterError | None = None
    """What it last met, until it is live again."""
    undecodable: Mapping[str, str] = field(default_factory=dict)
    """Objects that can't be shown, with the reason."""

    @property
    def excluded(self) -> bool:
        """It never was allowed and so left nothing in the store that could grow stale."""
        return self.status == 403 and not self.synced

    @property
    def status(self) -> int | None:
        return self.error.status if isinstance(self.error, ApiError) else None


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one instance's connection. Watches have a kind and a scope (None: the cluster)."""

    watches: Mapping[tuple[str, str | None], Watch]
    discovered: bool = False
    """Whether it is known which API group the cluster serves, if any."""
    api_group: str | None = None
    discovery_error: ClusterError | None = None
    probe_error: ClusterError | None = None
    credential_error: CredentialRejected | None = None
    identity_error: ClusterError | None = None
    """Why it isn't known that this is the cluster that the name stands for: nothing is watched meanwhile."""

    @property
    def deployments(self) -> Mapping[str | None, Watch]:
        return {scope: watch for (kind, scope), watch in self.watches.items() if kind == DEPLOYMENTS}

    @property
    def live(self) -> bool:
        """Whether all that the store says of deployments is of now."""
        if self.discovered and self.api_group is None:
            return self.discovery_error is None and self.probe_error is None
        watches = self.deployments.values()
        return any(watch.live for watch in watches) and all(watch.live or watch.excluded for watch in watches)


@dataclass(frozen=True, slots=True)
class Verdict:
    status: InstanceStatus
    reason: str | None

    @property
    def public_reason(self) -> str | None:
        if self.status is InstanceStatus.CONNECTED:
            return self.reason
        return _PUBLIC[self.status]


def judge(health: Health, *, ever_synced: bool) -> Verdict:
    """The status, and the most important reason for it."""
    if health.credential_error is not None:
        return Verdict(InstanceStatus.ERROR, str(health.credential_error))
    if isinstance(health.identity_error, AnotherCluster):
        return Verdict(InstanceStatus.ERROR, str(health.identity_error))
    errors = list(_errors(health))
    for error in errors:
        if isinstance(error, CredentialRejected) or (isinstance(error, ApiError) and error.status == 401):
            return Verdict(InstanceStatus.ERROR, explain(error, "the credential"))
    if health.live:
        return _verdict_of_live(health)
    return _verdict_of_stale(health, errors, ever_synced=ever_synced)


def _errors(health: Health) -> Iterator[ClusterError]:
    """The most important first."""
    found = (
        health.identity_error,
        health.discovery_error,
        *(watch.error for watch in health.deployments.values()),
        health.probe_error,
    )
    yield from (error for error in found if error is not None)


def _verdict_of_live(health: Health) -> Verdict:
    faults = list(_faults(health))
    if faults:
        return Verdict(InstanceStatus.DEGRADED, ". ".join(faults))
    if not all(watch.live for watch in health.watches.values()):
        return Verdict(InstanceStatus.CONNECTING, None)
    return Verdict(InstanceStatus.CONNECTED, None if health.api_group else NOT_INSTALLED)


def _verdict_of_stale(health: Health, errors: list[ClusterError], *, ever_synced: bool) -> Verdict:
    if not errors:
        return Verdict(InstanceStatus.CONNECTING, None)
    unreachable = [error for error in errors if isinstance(error, Unreachable)]
    if unreachable:
        return Verdict(InstanceStatus.DISCONNECTED, str(unreachable[0]))
    reason = ". ".join(_faults(health)) or explain(errors[0], "the API groups")
    if all(isinstance(error, ApiError) and error.status == 403 for error in errors):
        return Verdict(InstanceStatus.ERROR, reason)
    return Verdict(InstanceStatus.DEGRADED if ever_synced else InstanceStatus.CONNECTING, reason)


def _faults(health: Health) -> Iterator[str]:
    """What fails while the rest works."""
    for (kind, scope), watch in health.watches.items():
        what = kind if scope is None else f"{kind} in {scope}"
        if watch.error is not None:
            yield explain(watch.error, what)
        if watch.undecodable:
            key, problem = next(iter(watch.undecodable.items()))
            yield f"{len(watch.undecodable)} of the {what} can't be shown, such as {key}: {problem}"
    if health.identity_error is not None:
        yield explain(health.identity_error, "the namespace kube-system")
    if health.probe_error is not None:
        yield explain(health.probe_error, "the health probe")


def explain(error: ClusterError, what: str) -> str:
    """What a person can do about the error that `what` met."""
    if not isinstance(error, ApiError):
        return f"{what}: {error}"
    said = f" ({error.message})" if error.message else ""
    match error.status:
        case 401:
            return f"The API server doesn't accept the credential (401): renew the kubeconfig{said}"
        case 403:
            return f"The credential may not list and watch {what} (403): grant it that{said}"
        case status:
            return f"The API server answers {status} for {what}; the hub tries on{said}"
