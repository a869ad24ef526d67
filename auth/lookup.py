"""Who stands behind credentials, read from the database: a few queries, however many there are."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from auth.effective import GrantRules, grants_of
from auth.errors import Reason
from auth.grants import TokenLimits, limited
from auth.identity import Identity, Method, Profile, Provider
from auth.permissions import Grant, Role
from auth.sessions import SessionClaims
from models.tables import AccessToken, Session, User


class TokenDigest(msgspec.Struct, frozen=True):
    """A sound access token, by the digest under which it is stored."""

    digest: str


Proof = SessionClaims | TokenDigest
"""What a credential says of itself, before the database is asked about it."""


class _SessionRow(NamedTuple):
    id: str
    user_id: str
    expires_at: datetime
    revoked_at: datetime | None


async def load_identities(
    proofs: Collection[Proof], *, rules: GrantRules, now: datetime
) -> dict[Proof, Identity | Reason]:
    """An identity for each proof, or why there is none. Raises `models.errors.DatabaseUnavailable`."""
    if not proofs:
        return {}
    tokens = await _tokens({proof.digest for proof in proofs if isinstance(proof, TokenDigest)})
    user_ids = {proof.user_id for proof in proofs if isinstance(proof, SessionClaims)}
    user_ids |= {token.user_id for token in tokens.values()}
    sessions = await _sessions({proof.session_id for proof in proofs if isinstance(proof, SessionClaims)})
    users = {user.id: user for user in await User.filter(id__in=user_ids)}
    grants = await grants_of(users.values(), rules=rules, now=now)
    return {
        proof: _of_session(proof, sessions.get(proof.session_id), users, grants, now)
        if isinstance(proof, SessionClaims)
        else _of_token(tokens.get(proof.digest), users, grants, now)
        for proof in proofs
    }


async def _tokens(digests: set[str]) -> dict[str, AccessToken]:
    rows = await AccessToken.filter(digest__in=digests) if digests else []
    return {row.digest: row for row in rows}


async def _sessions(ids: set[str]) -> dict[str, _SessionRow]:
    """As tuples, which take a fifth of what models do: this is asked each second for everything open."""
    rows = await Session.filter(id__in=ids).values_list(*_SessionRow._fields) if ids else []
    return {row.id: row for row in map(_SessionRow._make, rows)}


async def load_profiles(users: Collection[User], *, rules: GrantRules, now: datetime) -> list[Profile]:
    """People with their grants. Raises `models.errors.DatabaseUnavailable`."""
    grants = await grants_of(users, rules=rules, now=now)
    return [Profile(**_person_fields(user), active=user.active, grants=grants[user.id]) for user in users]


def _of_session(
    claims: SessionClaims,
    session: _SessionRow | None,
    users: Mapping[str, User],
    grants: Mapping[str, tuple[Grant, ...]],
    now: datetime,
) -> Identity | Reason:
    user = users.get(claims.user_id)
    if user is None or (session is not None and session.user_id != user.id):
        return Reason.INVALID_CREDENTIAL
    if session is None or session.revoked_at is not None:
        return Reason.SESSION_REVOKED
    if session.expires_at <= now:
        return Reason.TOKEN_EXPIRED
    own = grants[user.id]
    return _identity(user, own, own, Method.SESSION, session.id, session.expires_at)


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
        "groups_synced_at": user.groups_synced_at,
        "groups_error": user.groups_error,
    }
