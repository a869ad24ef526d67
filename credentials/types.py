"""What is known of credentials, frozen."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class CredentialSource(StrEnum):
    FILE = "FILE"
    STORED = "STORED"
    AMBIENT = "AMBIENT"


class Credential(msgspec.Struct, frozen=True):
    """A kubeconfig that was judged and found fit to be loaded."""

    name: str
    """The instance's name: a file's without `.kubeconfig`."""
    config: Mapping[str, Any]
    """A kubeconfig reduced to the current context with its cluster and its user, certificate files embedded.
    Of files it names at the most `tokenFile`, absolute. Never logged, never printed."""
    directory: str
    """Absolute; what relative paths in the kubeconfig start from, and the only place that they may reach.
    A stored credential names no path."""
    digest: str
    """SHA-256 of `config` and `namespaces`: as long as it stays, connections made with the credential are as
    good as new ones. A token file's content isn't in it, as it is read again for every request."""
    context: str
    source: CredentialSource
    loaded_at: datetime
    namespaces: tuple[str, ...]
    """The `namespace`s of all contexts with the current context's cluster and user, for a credential that
    may not list cluster-wide."""
    warnings: tuple[str, ...] = ()
    tls_verified: bool = True
    token_digest: str | None = None
    """SHA-256 of the token file's content; None without one."""
    expires_at: datetime | None = None
    """When an embedded client certificate or token (a JWT's `exp`) ends, if it says so."""

    local_refused: bool = False
    """Whether its server may lie neither on this machine nor at a link-local address: of one that somebody
    sent, who could otherwise have the hub talk to what only the hub can reach."""

    def __repr__(self) -> str:
        return f"<Credential {self.name} {self.digest[:8]}>"


class CredentialProblem(msgspec.Struct, frozen=True):
    """A file that never was a good credential."""

    file_name: str
    reason: str
    since: datetime


class Snapshot(msgspec.Struct, frozen=True):
    """The directory at one moment."""

    credentials: Mapping[str, Credential]
    """The last good credential of each instance whose file is there."""
    errors: Mapping[str, str]
    """Why an instance's file as it stands now is no good, while the last good one stays at work."""
    problems: tuple[CredentialProblem, ...]
    clusters: Mapping[str, str] = {}
    """Which cluster an instance's name stands for, where that is known: the uid of its `kube-system`."""
