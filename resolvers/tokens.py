"""Access tokens: a person's own, and for those who manage users anybody's."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from auth import accounts
from auth.accounts import TokenInfo
from auth.grants import TokenLimits
from auth.identity import Identity, Method
from auth.policy import concerns
from auth.tokens import Minted
from models.rates import Limit, count
from resolvers.errors import NeedsSession, NotFound


async def list_tokens(*, asker: Identity, user_ids: Collection[str]) -> Mapping[str, list[TokenInfo] | None]:
    """These people's tokens; None for whoever is none of the asker's business."""
    allowed = [user_id for user_id in user_ids if concerns(asker, user_id)]
    found = await accounts.list_tokens(allowed) if allowed else {}
    return {user_id: found.get(user_id, []) if user_id in allowed else None for user_id in user_ids}


async def create_token(
    *, owner: Identity, name: str, limits: TokenLimits, expires_at: datetime | None, rate: Limit
) -> tuple[TokenInfo, Minted]:
    """A new token of one's own. Raises NeedsSession, `auth.errors.InvalidRequest`, `RateLimited`."""
    if owner.method is not Method.SESSION:
        raise NeedsSession("An access token can't make another one: sign in to make one")
    await count(owner.user_id, rate)
    return await accounts.issue_token(
        owner.user_id, name=name, limits=limits, expires_at=expires_at, now=datetime.now(UTC)
    )


async def revoke_token(*, asker: Identity, token_id: str) -> None:
    """End a token. One that revokes by being shown can only be itself. Raises NeedsSession and NotFound."""
    if asker.method is Method.ACCESS_TOKEN and asker.credential_id != token_id:
        raise NeedsSession("An access token can revoke only itself: sign in to revoke another one")
    token = await accounts.find_token(token_id)
    if token is None or not concerns(asker, token.user_id):
        raise NotFound
    await accounts.revoke_token(token_id, now=datetime.now(UTC))
