"""Everything that `credentials` raises.

CredentialError
└── Refused    a kubeconfig, or a file that it names, is not fit to be used
"""


class CredentialError(Exception):
    """Base of all errors of this package."""


class Refused(CredentialError):
    """`reason` says what is wrong and what to do: for those who manage instances, without any secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def quoted(name: str) -> str:
    """A name out of a file for use in a reason: on one line, and cut where it is no sensible name."""
    return repr(name if len(name) <= 80 else name[:79] + "…")
