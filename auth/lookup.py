"""Who stands behind credentials, read from the database: three queries, however many there are."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from auth.errors import Reason
from auth.grants import TokenLimits, limited
from auth.identity import Identity, Method, Profile, Provider
from auth.people import Person
from auth.permissions import Grant, GrantSource, Role, Scope
from auth.sessions import SessionClaims
from models.tables import AccessToken, RoleAssignment, User


class TokenDigest(msgspec.Struct, frozen=True):
    """A sound access token, by the digest under which it is stored."""

    digest: str


Proof = SessionClaims | TokenDigest
"""What a credential says of itself, before the database is asked about it."""


async def load_identities(
    proofs: Collection[Proof], *, administrators: Collection[Person], now: datetime
) -> dict[Proof, Identity | Reason]:
    """An identity for each proof, or why there is none. Raises `models.errors.DatabaseUnavailable`."""
    if not proofs:
        return {}
    tokens = await _tokens({proof.digest for proof in proofs if isinstance(proof, TokenDigest)})
    user_ids = {proof.user_id for proof in proofs if isinstance(proof, SessionClaims)}
    user_ids |= {token.user_id for token in tokens.values()}
    users = {user.id: user for user in await User.filter(id__in=user_ids)}
    grants = await _grants(users.values(), administrators)
    return {
        proof: _of_session(proof, users, grants)
        if isinstance(proof, SessionClaims)
        else _of_token(tokens.get(proof.digest), users, grants, now)
        for proof in proofs
    }


async def _tokens(digests: set[str]) -> dict[str, AccessToken]:
    rows = await AccessToken.filter(digest__in=digests) if digests else []
    return {row.digest: row for row in rows}


async def _grants(
    users: Collection[User], administrators: Collection[Person]
) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, tuple[Grant, ...]] = {user.id: _bootstrap(user, administrators) for user in users}
    for row in await RoleAssignment.filter(user_id__in=list(found)).order_by("id"):
        found[row.user_id] += (manual_grant(row),)
    return found


async def load_profile(user_id: str, *, administrators: Collection[Person]) -> Profile | None:
    """A person by id. Raises `models.errors.DatabaseUnavailable`."""
    user = await User.get_or_none(id=user_id)
    if user is None:
        return None
    grants = await _grants([user], administrators)
    return Profile(**_person_fields(user), active=user.active, grants=grants[user.id])


def person_of(user: User) -> Person:
    return Person(Provider(user.provider.upper()), user.subject)


def manual_grant(row: RoleAssignment) -> Grant:
    namespaces = None if row.namespaces is None else tuple(row.namespaces)
    scope = Scope(row.instance_id, namespaces)
    return Grant(row.id, Role(row.role), scope, GrantSource.MANUAL, row.created_at, row.created_by_id)


def _bootstrap(user: User, administrators: Collection[Person]) -> tuple[Grant, ...]:
    person = person_of(user)
    if person not in administrators:
        return ()
    stable = hashlib.sha256(f"bootstrap {person}".encode()).hexdigest()[:26]
    return (Grant(f"grt_{stable}", Role.ADMIN, Scope(), GrantSource.BOOTSTRAP),)


def _of_session(
    claims: SessionClaims, users: Mapping[str, User], grants: Mapping[str, tuple[Grant, ...]]
) -> Identity | Reason:
    user = users.get(claims.user_id)
    if user is None:
        return Reason.INVALID_CREDENTIAL
    own = grants[user.id]
    return _identity(user, own, own, Method.SESSION, claims.session_id, claims.expires_at)


def _of_token(
    token: AccessToken | None,
    users: Mapping[str, User],
    grants: Mapping[str, tuple[Grant, ...]],
    now: datetime,
) -> Identity | Reason:
    if token is None or token.user_id not in users:
        return Reason.INVALID_CREDENTIAL
    if token.revoked_at is not None:
        return Reason.TOKEN_REVOKED
    if token.expires_at is not None and token.expires_at <= now:
        return Reason.TOKEN_EXPIRED
    own = grants[token.user_id]
    effective = limited(own, token_limits(token))
    return _identity(users[token.user_id], own, effective, Method.ACCESS_TOKEN, token.id, token.expires_at)


def token_limits(token: AccessToken) -> TokenLimits:
    return TokenLimits(
        None if token.role is None else Role(token.role),
        None if token.instance_ids is None else tuple(token.instance_ids),
        None if token.namespaces is None else tuple(token.namespaces),
    )


def _identity(
    user: User,
    grants: tuple[Grant, ...],
    effective: Iterable[Grant],
    method: Method,
    credential_id: str,
    expires_at: datetime | None,
) -> Identity | Reason:
    if not user.active:
        return Reason.ACCOUNT_DEACTIVATED
    return Identity(
        **_person_fields(user),
        grants=grants,
        effective=tuple(effective),
        method=method,
        credential_id=credential_id,
        expires_at=expires_at,
    )


def _person_fields(user: User) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "provider": Provider(user.provider.upper()),
        "subject": user.subject,
        "display_name": user.display_name,
        "email": user.email,
        "avatar_url": user.avatar_url,
        "created_at": user.created_at,
        "last_sign_in_at": user.last_sign_in_at,
    }
