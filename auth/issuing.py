"""What a browser is given: at sign-in, and again for a refresh token.

The access token is a JWT of fifteen minutes (`auth.sessions`). The refresh token gives way to its successor
each time it is used (`auth.refresh_tokens`). One that was used before is in the wrong hands, or the right one
is: its session ends. For some seconds it is still answered, with the same successor, because tabs refresh at
the same time and answers get lost.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from tortoise.transactions import in_transaction

from auth.errors import Reason, TokenReused, Unauthenticated
from auth.refresh_tokens import RefreshToken, RefreshTokens, read_refresh_token
from auth.session_rows import lasting_session, revoke_sessions
from auth.sessions import SessionTokens
from models.bus import publish
from models.ids import new_id
from models.tables import Session

log = logging.getLogger(__name__)

REFRESH_LIFETIME = timedelta(days=7)
"""How long a refresh token waits to be used."""
GRACE = timedelta(seconds=10)
"""How long one is answered after it was used."""
MAX_AGE = timedelta(days=30)
"""SESSION_MAX_AGE's default: how long a session lasts, however often it is refreshed."""


class Issued(msgspec.Struct, frozen=True):
    """What a browser is given."""

    session_id: str
    user_id: str
    access_token: str
    access_seconds: int
    refresh_token: str | None
    """None: the browser has it already, or another answer is bringing it."""
    refresh_seconds: int

    def __repr__(self) -> str:
        return f"<Issued to {self.session_id}>"


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Begins and refreshes sessions with one key ring."""

    tokens: SessionTokens
    max_age: timedelta = MAX_AGE

    @property
    def _refresh_tokens(self) -> RefreshTokens:
        return RefreshTokens(self.tokens.keys)

    async def begin(
        self,
        user_id: str,
        *,
        now: datetime,
        ip_address: str | None = None,
        user_agent: str | None = None,
        session_id: str | None = None,
        provider_token: str | None = None,
    ) -> Issued:
        """A new session. `provider_token` is sealed with `session_id`, which is then `new_id("ses")`."""
        token = self._refresh_tokens.first(session_id or new_id("ses"))
        row = Session(
            id=token.session_id,
            user_id=user_id,
            refresh_digest=token.digest,
            created_at=now,
            refreshed_at=now,
            expires_at=min(now + REFRESH_LIFETIME, now + self.max_age),
            ends_at=now + self.max_age,
            ip_address=ip_address,
            user_agent=user_agent,
            provider_token=provider_token,
        )
        async with in_transaction():
            await row.save(force_create=True)
            await publish("session", row.id)
        return self._issue(row, token, now)

    async def refresh(self, refresh_token: str, *, now: datetime) -> Issued:
        """Fresh tokens for the session. Raises `Unauthenticated`; then the session is at its end, or was
        never one."""
        token = read_refresh_token(refresh_token)
        async with in_transaction():
            outcome = await self._rotated(token, now)
        # Outside of the transaction, which may have ended the session.
        if isinstance(outcome, Unauthenticated):
            raise outcome
        if isinstance(outcome, Reason):
            raise Unauthenticated(outcome)
        return outcome

    async def end(self, refresh_token: str, *, now: datetime) -> str | None:
        """Sign out by the refresh token: the id of the session that ended by it.

        One that was used before ends its session here as anywhere.
        """
        try:
            token = read_refresh_token(refresh_token)
        except Unauthenticated:
            return None
        row = await Session.get_or_none(id=token.session_id)
        if row is None or not self._is_of(row, token):
            return None
        ended = await revoke_sessions(row.user_id, only=[row.id], now=now)
        return row.id if ended else None

    def family_of(self, refresh_token: str) -> str | None:
        """The id of the session that it belongs to; None if the hub didn't make it, or keys ago."""
        try:
            token = read_refresh_token(refresh_token)
        except Unauthenticated:
            return None
        return token.session_id if self._refresh_tokens.is_genuine(token) else None

    async def _rotated(self, token: RefreshToken, now: datetime) -> Issued | Reason | TokenReused:
        """In a transaction, which is to be committed whatever comes of it."""
        row = await lasting_session(token.session_id, now=now)
        if isinstance(row, Session) and row.refresh_digest == token.digest:
            successor = self._refresh_tokens.successor(token)
            if await _replace(row, token, successor, now):
                return self._issue(row, successor, now)
            row = await lasting_session(token.session_id, now=now)  # another replica was faster
        return row if isinstance(row, Reason) else await self._used_before(row, token, now)

    async def _used_before(
        self, row: Session, token: RefreshToken, now: datetime
    ) -> Issued | Reason | TokenReused:
        if row.previous_digest == token.digest and now - row.refreshed_at <= GRACE:
            successors = self._refresh_tokens.successors(token)
            given = next((each for each in successors if each.digest == row.refresh_digest), None)
            return self._issue(row, given, now)
        if not self._is_of(row, token):
            return Reason.INVALID_CREDENTIAL
        log.warning("session %s of %s is ended: a refresh token was used twice", row.id, row.user_id)
        await revoke_sessions(row.user_id, only=[row.id], now=now)
        return TokenReused(row.id, person=f"{row.user.display_name} ({row.user_id})")

    def _is_of(self, row: Session, token: RefreshToken) -> bool:
        """Whether the session had this token at some time."""
        known = (row.refresh_digest, row.previous_digest)
        return token.digest in known or self._refresh_tokens.is_genuine(token)

    def _issue(self, row: Session, token: RefreshToken | None, now: datetime) -> Issued:
        access = self.tokens.sign(user_id=row.user_id, session_id=row.id, now=now, until=row.expires_at)
        return Issued(
            session_id=row.id,
            user_id=row.user_id,
            access_token=access,
            access_seconds=_seconds(min(self.tokens.lifetime, row.expires_at - now)),
            refresh_token=None if token is None else token.secret,
            refresh_seconds=_seconds(row.expires_at - now),
        )


async def _replace(row: Session, token: RefreshToken, successor: RefreshToken, now: datetime) -> bool:
    """Whether the row still had this token. The database compares: two replicas may have read the row."""
    row.expires_at = min(now + REFRESH_LIFETIME, row.ends_at)
    found = Session.filter(id=row.id, refresh_digest=token.digest, revoked_at=None)
    replaced = await found.update(
        refresh_digest=successor.digest,
        previous_digest=token.digest,
        refreshed_at=now,
        expires_at=row.expires_at,
    )
    return replaced == 1


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())
