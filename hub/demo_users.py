"""The demo's five ready people, one for each kind of right."""

from collections.abc import Mapping
from datetime import datetime

from auth.accounts import create_token, ensure_user, grant_role, revoke_tokens_named
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope

TOKEN_NAME = "Printed by the demo"  # noqa: S105 - a label, no secret

DEMO_USERS: Mapping[str, tuple[Role, Scope] | None] = {
    "admin": (Role.ADMIN, Scope()),
    "deployer": (Role.DEPLOYER, Scope()),
    "ml-team": (Role.DEPLOYER, Scope("prod-east", ("ml-team",))),
    "viewer": (Role.VIEWER, Scope()),
    "nobody": None,
}


async def ensure_demo_users(*, now: datetime) -> dict[str, str]:
    """Create who is missing. Returns a new access token for each; those of earlier starts are revoked."""
    return {name: await _ensure(name, rights, now) for name, rights in DEMO_USERS.items()}


async def _ensure(name: str, rights: tuple[Role, Scope] | None, now: datetime) -> str:
    user_id = await ensure_user(demo_person(name))
    if rights is not None:
        await grant_role(user_id, *rights, granted_by=None)
    await revoke_tokens_named(TOKEN_NAME, user_id=user_id, now=now)
    _, minted = await create_token(user_id, name=TOKEN_NAME, limits=TokenLimits(), expires_at=None, now=now)
    return minted.secret


def demo_person(name: str) -> Person:
    return Person(Provider.DEMO, name)
