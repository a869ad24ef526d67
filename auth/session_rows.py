"""Sessions as they are written down: who has which, ending them, forgetting them. `auth.issuing` begins them.

A session is one sign-in in one browser. It lasts for as long as it is refreshed within seven days, at most
SESSION_MAX_AGE, and until it is revoked.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from auth.errors import Reason
from models.bus import publish
from models.errors import DatabaseUnavailable
from models.tables import Session

KEPT = timedelta(days=1)
"""How long the row of a session outlives it, so that its tokens are told what became of them."""
SWEEP_EVERY = 3600.0
"""Seconds."""


class SessionInfo(msgspec.Struct, frozen=True):
    """A session that goes on, as its person may see it."""

    id: str
    user_id: str
    created_at: datetime
    last_used_at: datetime
    """When it was refreshed last."""
    expires_at: datetime
    """When it ends, unless it is refreshed before."""
    ip_address: str | None
    user_agent: str | None


async def list_sessions(user_id: str, *, now: datetime) -> list[SessionInfo]:
    """Those of the person that go on, the newest first."""
    rows = await Session.filter(user_id=user_id, revoked_at=None, expires_at__gt=now).order_by("-id")
    return [
        SessionInfo(
            row.id, user_id, row.created_at, row.refreshed_at, row.expires_at, row.ip_address, row.user_agent
        )
        for row in rows
    ]


async def revoke_sessions(
    user_id: str, *, now: datetime, only: Collection[str] | None = None, but: str | None = None
) -> list[str]:
    """End the person's sessions: all of them, `only` these, or all `but` one. Returns whose end it was."""
    async with in_transaction():
        lasting = Session.filter(user_id=user_id, revoked_at=None, expires_at__gt=now).exclude(id=but or "")
        if only is not None:
            lasting = lasting.filter(id__in=list(only))
        ended = [row.id for row in await lasting.only("id").order_by("id")]
        await Session.filter(id__in=ended).update(revoked_at=now, provider_token=None)
        for session_id in ended:
            await publish("session", session_id)
    return ended


async def sweep_sessions(*, now: datetime) -> int:
    """Delete the rows of sessions that ended long ago; how many there were."""
    long_ago = now - KEPT
    return await Session.filter(Q(expires_at__lt=long_ago) | Q(revoked_at__lt=long_ago)).delete()


async def keep_sessions_swept() -> None:
    """Endless: to be run as a task that has entered the database."""
    while True:
        with suppress(DatabaseUnavailable):  # the next time will do
            await sweep_sessions(now=datetime.now(UTC))
        await asyncio.sleep(SWEEP_EVERY)


async def lasting_session(session_id: str, *, now: datetime) -> Session | Reason:
    """The session with its person, or why there is none that anything can be done with."""
    row = await Session.get_or_none(id=session_id).select_related("user")
    if row is None:
        return Reason.INVALID_CREDENTIAL
    if row.revoked_at is not None:
        return Reason.SESSION_REVOKED
    if row.expires_at <= now:
        return Reason.TOKEN_EXPIRED
    return row if row.user.active else Reason.ACCOUNT_DEACTIVATED
