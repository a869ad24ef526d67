"""Identities for tests of everything that decides by one."""

from datetime import UTC, datetime

from auth.identity import Identity, Method, Provider
from auth.permissions import Grant, GrantSource, Role, Scope


def a_grant(role: Role, instance_id: str | None = None, namespaces: tuple[str, ...] | None = None) -> Grant:
    return Grant("grt_test", role, Scope(instance_id, namespaces), GrantSource.MANUAL)


def an_identity(*grants: Grant, effective: tuple[Grant, ...] | None = None) -> Identity:
    """Somebody with these grants, cut down to `effective` if given."""
    return Identity(
        user_id="usr_test",
        provider=Provider.DEMO,
        subject="test",
        display_name="Test",
        email=None,
        avatar_url=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        last_sign_in_at=None,
        grants=grants,
        effective=grants if effective is None else effective,
        method=Method.SESSION,
        credential_id="ses_test",
        expires_at=None,
    )
