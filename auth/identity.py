"""Somebody who has signed in, as every floor sees them: frozen, with their effective grants."""

from datetime import datetime
from enum import StrEnum

import msgspec

from auth.permissions import Grant, Role


class Provider(StrEnum):
    ENTRA = "ENTRA"
    GITHUB = "GITHUB"
    OIDC = "OIDC"
    DEMO = "DEMO"
    LOCAL = "LOCAL"


class Method(StrEnum):
    """How an identity proved itself."""

    SESSION = "SESSION"
    ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - a name, no secret
    LOCAL = "LOCAL"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A person, as people who may see them do."""

    user_id: str
    provider: Provider
    subject: str
    display_name: str
    email: str | None
    avatar_url: str | None
    active: bool = True
    created_at: datetime
    last_sign_in_at: datetime | None
    groups_synced_at: datetime | None = None
    groups_error: str | None = None
    """Why the person's groups couldn't be read the last time, in words."""
    grants: tuple[Grant, ...]
    """The person's own grants, whatever credential they show."""

    @property
    def is_admin(self) -> bool:
        return any(grant.role is Role.ADMIN for grant in self.grants)


class Identity(Profile, frozen=True, kw_only=True):
    """A person together with what they may do by the credential that they showed."""

    effective: tuple[Grant, ...]
    """`grants` cut down to the limits of the access token, if one was shown; what policy decides by."""
    method: Method
    credential_id: str
    """`tok_…` of an access token, `ses_…` of a session."""
    expires_at: datetime | None
    """When the access token ends, or the session unless it is refreshed before; None: without an end."""

    @property
    def rights(self) -> tuple[tuple[int, str, tuple[str, ...] | None], ...]:
        """All that policy reads of this identity, canonical: equal rights may share one encoded answer."""
        return tuple(
            sorted(
                {(int(g.role), g.scope.instance_id or "", g.scope.namespaces) for g in self.effective},
                key=repr,
            )
        )
