"""Everything that `auth` raises.

AuthError
├── Unauthenticated       the credential proves nobody
│   └── TokenReused       it is a refresh token that was used before
├── IdentityUnavailable   the database is out of reach, so nobody can be recognised
├── InvalidRequest        what was asked for can't be: a malformed person, grant or limit
│   └── NotFound          there is no such person, grant, mapping or token
└── Conflict              it can't be done as things stand
    └── LastAdmin         it would leave nobody who could undo it
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a credential, or a stream that runs under it, is at its end."""

    INVALID_CREDENTIAL = "INVALID_CREDENTIAL"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - a name, no secret
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 - a name, no secret
    SESSION_REVOKED = "SESSION_REVOKED"
    ACCOUNT_DEACTIVATED = "ACCOUNT_DEACTIVATED"


class AuthError(Exception):
    """Base of all errors of this package."""


class Unauthenticated(AuthError):
    """The credential proves nobody, for `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(_SENTENCES[reason])
        self.reason = reason


class TokenReused(Unauthenticated):
    """A refresh token that was used before: its session is ended, because somebody has a copy."""

    def __init__(self, session_id: str, *, person: str) -> None:
        super().__init__(Reason.SESSION_REVOKED)
        self.session_id = session_id
        self.person = person
        """Whose session it was, in words."""


class IdentityUnavailable(AuthError):
    """The database is out of reach. Nothing is known against the credential: try again."""


class InvalidRequest(AuthError):
    """The text says what is wrong and what would be right; `path`, of which field, if of one."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.problems = () if path is None else ((path, message),)


class NotFound(InvalidRequest):
    """There is no such person, grant, mapping or token."""


class Conflict(AuthError):
    """The text says what stands against it."""


class LastAdmin(Conflict):
    """Nobody would be left who is an admin and can sign in."""

    def __init__(self) -> None:
        super().__init__(
            "Nobody would be left who is an admin and can sign in: make somebody else one first, "
            "or name somebody in HUB_ADMINS"
        )


_SENTENCES = {
    Reason.INVALID_CREDENTIAL: "The credential isn't one of this hub's",
    Reason.TOKEN_EXPIRED: "The credential has expired",
    Reason.TOKEN_REVOKED: "The access token was revoked",
    Reason.SESSION_REVOKED: "The session was ended",
    Reason.ACCOUNT_DEACTIVATED: "The account is deactivated",
}
