"""Everything that `cluster` raises.

ClusterError
├── ApiError            the API server answered with an error status
├── Unreachable         no usable answer: refused, timed out, cut, TLS
├── CredentialRejected  the kubeconfig can't be loaded into a connection
├── AnotherCluster      the name stands for another cluster than the one that answers
├── FellBehind          a reader of the change log needs tombstones that are gone
├── InvalidDraft        a deployment that no cluster could take
└── InstanceUnavailable the instance was never synced, or is gone
"""

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One of a Kubernetes Status's `details.causes`."""

    field: str | None = None
    reason: str | None = None
    message: str | None = None


class ClusterError(Exception):
    """Base of all errors of this package."""


class ApiError(ClusterError):
    """The API server's own Status. `message` is empty where the body was no Kubernetes Status."""

    def __init__(
        self,
        status: int,
        *,
        reason: str = "",
        message: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        """Seconds, from Retry-After."""

    @property
    def names_account(self) -> bool:
        """Whether it is about the hub's own account and not, as admission's refusals are, about the object.

        A webhook's words begin like this (`ToStatusErr` in k8s.io/apiserver); no refusal of an account has
        causes.
        """
        return self.status == 403 and not self.causes and not self.message.startswith("admission webhook ")


class Unreachable(ClusterError):
    """No usable answer came. The text says what a person can act on."""


class Silent(Unreachable):
    """The connection stands, but nothing came for too long."""


class CredentialRejected(ClusterError):
    """The credential can't make a connection: no usable user entry, an exec plugin that failed, …"""


class AnotherCluster(ClusterError):
    """A cluster answers whose `kube-system` has another uid than the one that the name stands for."""

    def __init__(self, *, known: str, found: str) -> None:
        super().__init__(
            f"Another cluster answers than the one known by this name (its kube-system has the uid {found}, "
            f"known is {known}): nothing of it is shown. Put the right kubeconfig back, or confirm with "
            "`updateInstance`, naming nothing but the id, that whoever has rights here is to have them there"
        )
        self.known = known
        self.found = found


class FellBehind(ClusterError):
    """The change log no longer reaches back to the reader's position."""


class InvalidDraft(ClusterError):
    """What was asked for can't be. `problems` are (path in the input, what is wrong), all at once."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


class InstanceUnavailable(ClusterError):
    """The instance has no live connection to act through."""

    def __init__(self, instance_id: str, status: str, reason: str | None) -> None:
        super().__init__(f"{instance_id} is {status}: {reason}")
        self.instance_id = instance_id
        self.status = status
        self.reason = reason
