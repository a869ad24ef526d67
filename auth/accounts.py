"""People, their grants and their access tokens, as they are written down.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
What changes something is all or nothing, and is told on the change bus.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

import msgspec
from tortoise.transactions import in_transaction

from auth.effective import NO_SETTINGS, GrantRules, grants_of, is_computed, manual_grant, person_of
from auth.errors import InvalidRequest, NotFound
from auth.grants import TokenLimits
from auth.last_admin import keeping_an_admin
from auth.lookup import token_limits
from auth.people import Person
from auth.permissions import Grant, Role, Scope
from auth.places import check_registered, check_scope
from auth.tokens import Minted, mint
from models.bus import publish
from models.ids import new_id
from models.tables import AccessToken, RoleAssignment, User

SLICE = 1_000
"""People whose grants are asked for at a time: SQLite has a limit on what one query may be given."""


class TokenInfo(msgspec.Struct, frozen=True):
    """An access token as its owner may see it."""

    id: str
    user_id: str
    name: str
    prefix: str
    limits: TokenLimits
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class Account(msgspec.Struct, frozen=True):
    """A person with what they may do and what they hold."""

    id: str
    person: Person
    display_name: str
    active: bool
    grants: tuple[Grant, ...]
    tokens: tuple[TokenInfo, ...]


async def ensure_user(person: Person, *, display_name: str | None = None) -> str:
    """The person's id; they are created if they are new, and renamed if a name is given."""
    provider = person.provider.lower()
    named = display_name or person.subject
    user, created = await User.get_or_create(
        provider=provider,
        subject=person.subject,
        defaults={"id": new_id("usr"), "display_name": named},
    )
    if display_name and not created and user.display_name != display_name:
        async with in_transaction():
            await User.filter(id=user.id).update(display_name=display_name)
            await publish("user", user.id)
    return user.id


async def find_user(person: Person) -> str:
    """The person's id. Raises `NotFound`."""
    user = await User.get_or_none(provider=person.provider.lower(), subject=person.subject)
    if user is None:
        raise NotFound(f"Nobody is known as {person}; giving somebody a role makes them known")
    return user.id


async def record_sign_in(user_id: str, *, now: datetime) -> None:
    await User.filter(id=user_id).update(last_sign_in_at=now)


async def list_accounts(*, rules: GrantRules = NO_SETTINGS, now: datetime | None = None) -> list[Account]:
    """Everybody, by provider and subject."""
    users, tokens = await User.all().order_by("provider", "subject"), defaultdict(list)
    grants: dict[str, tuple[Grant, ...]] = {}
    for start in range(0, len(users), SLICE):
        some = users[start : start + SLICE]
        grants |= await grants_of(some, rules=rules, now=now or datetime.now(UTC))
    for token in await AccessToken.all().order_by("id"):
        tokens[token.user_id].append(_token_info(token))
    return [
        Account(
            user.id,
            person_of(user),
            user.display_name,
            user.active,
            grants[user.id],
            tuple(tokens[user.id]),
        )
        for user in users
    ]


async def grant_role(user_id: str, role: Role, scope: Scope, *, granted_by: str | None) -> Grant:
    """Give a role at some places; the grant that is there already, if it is the same.

    Raises `InvalidRequest` for an ADMIN with a place, or with an empty list of namespaces. Names are the
    caller's to check.
    """
    check_scope(role, scope)
    namespaces = None if scope.namespaces is None else sorted(set(scope.namespaces))
    rows = await RoleAssignment.filter(user_id=user_id, role=int(role), instance_id=scope.instance_id)
    row = next((row for row in rows if row.namespaces == namespaces), None)
    if row is None:
        async with in_transaction():
            row = await RoleAssignment.create(
                id=new_id("grt"),
                user_id=user_id,
                role=int(role),
                instance_id=scope.instance_id,
                namespaces=namespaces,
                created_by_id=granted_by,
            )
            await publish("user", user_id)
    return manual_grant(row)


async def assign_role(user_id: str, role: Role, scope: Scope, *, granted_by: str) -> Grant:
    """As `grant_role`, to somebody who is known, on an instance that is registered. Raises `NotFound`."""
    async with in_transaction():
        if not await User.exists(id=user_id):
            raise NotFound(f"There is no person {user_id}")
        await check_registered([scope.instance_id] if scope.instance_id else [])
        return await grant_role(user_id, role, scope, granted_by=granted_by)


async def revoke_role(grant_id: str, *, rules: GrantRules = NO_SETTINGS, now: datetime | None = None) -> str:
    """Take a manual grant back; the id of the person who had it.

    Raises `NotFound`, `InvalidRequest` for a computed one, and `LastAdmin`.
    """
    if is_computed(grant_id):
        raise InvalidRequest(
            "This grant is computed: change the group mapping that it comes from, or HUB_ADMINS",
            path="grantId",
        )
    async with in_transaction(), keeping_an_admin(rules, now=now or datetime.now(UTC)):
        row = await RoleAssignment.get_or_none(id=grant_id)
        if row is None or not await RoleAssignment.filter(id=grant_id).delete():
            raise NotFound(f"There is no grant {grant_id} that was given by hand")
        await publish("user", row.user_id)
    return row.user_id


async def set_active(user_id: str, *, active: bool, rules: GrantRules, now: datetime) -> None:
    """Let somebody in, or keep them out, with everything that they hold. Raises `NotFound`, `LastAdmin`."""
    async with in_transaction(), keeping_an_admin(rules, now=now):
        if not await User.exists(id=user_id):
            raise NotFound(f"There is no person {user_id}")
        if await User.filter(id=user_id).exclude(active=active).update(active=active):
            await publish("user", user_id)


async def create_token(
    user_id: str, *, name: str, limits: TokenLimits, expires_at: datetime | None, now: datetime
) -> tuple[TokenInfo, Minted]:
    """A new access token and its secret, which is kept nowhere. Raises `InvalidRequest`."""
    if not name.strip() or len(name) > 100:
        raise InvalidRequest("A token's name has 1 to 100 characters", path="name")
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("A token has to end in the future", path="expiresAt")
    for path, names in (("instanceIds", limits.instance_ids), ("namespaces", limits.namespaces)):
        if names == ():
            raise InvalidRequest(
                "An empty list leaves the token no rights: name some, or leave the limit out", path=path
            )
    minted = mint()
    row = await AccessToken.create(
        id=new_id("tok"),
        user_id=user_id,
        name=name,
        prefix=minted.prefix,
        digest=minted.digest,
        role=None if limits.role is None else int(limits.role),
        instance_ids=None if limits.instance_ids is None else sorted(set(limits.instance_ids)),
        namespaces=None if limits.namespaces is None else sorted(set(limits.namespaces)),
        expires_at=expires_at,
    )
    return _token_info(row), minted


async def issue_token(
    user_id: str, *, name: str, limits: TokenLimits, expires_at: datetime | None, now: datetime
) -> tuple[TokenInfo, Minted]:
    """As `create_token`, with a limit to registered instances alone."""
    async with in_transaction():
        await check_registered(limits.instance_ids or (), path="instanceIds")
        return await create_token(user_id, name=name, limits=limits, expires_at=expires_at, now=now)


async def list_tokens(user_ids: Collection[str]) -> dict[str, list[TokenInfo]]:
    """These people's tokens that weren't revoked, the newest first."""
    found = defaultdict(list)
    for row in await AccessToken.filter(user_id__in=list(user_ids), revoked_at=None).order_by("-id"):
        found[row.user_id].append(_token_info(row))
    return found


async def find_token(token_id: str) -> TokenInfo | None:
    row = await AccessToken.get_or_none(id=token_id)
    return None if row is None else _token_info(row)


async def revoke_token(token_id: str, *, now: datetime) -> None:
    """End a token for good; nothing happens to one that was revoked before. Raises `NotFound`."""
    async with in_transaction():
        if await AccessToken.filter(id=token_id, revoked_at=None).update(revoked_at=now):
            await publish("token", token_id)
        elif not await AccessToken.exists(id=token_id):
            raise NotFound(f"There is no access token {token_id}")


async def revoke_tokens_named(name: str, *, user_id: str, now: datetime) -> None:
    """End all of a person's tokens that have this name."""
    async with in_transaction():
        good = AccessToken.filter(user_id=user_id, name=name, revoked_at=None)
        for token in await good:
            await publish("token", token.id)
        await good.update(revoked_at=now)


def _token_info(row: AccessToken) -> TokenInfo:
    return TokenInfo(
        row.id,
        row.user_id,
        row.name,
        row.prefix,
        token_limits(row),
        row.created_at,
        row.expires_at,
        row.last_used_at,
        row.revoked_at,
    )
