"""Sessions: a person's own, and for those who manage users anybody's."""

from collections.abc import Sequence
from datetime import UTC, datetime

from auth import session_rows
from auth.effective import GrantRules
from auth.identity import Identity, Method, Profile
from auth.permissions import Permission
from auth.policy import concerns, narrow
from auth.session_rows import SessionInfo
from resolvers.errors import BadInput, NeedsSession, NotFound
from resolvers.people import find_person


async def list_sessions(*, asker: Identity, user_id: str) -> list[SessionInfo] | None:
    """Those that go on, the newest first; None if that is none of the asker's business."""
    if not concerns(asker, user_id):
        return None
    return await session_rows.list_sessions(user_id, now=datetime.now(UTC))


async def revoke_sessions(
    *, rules: GrantRules, asker: Identity, user_id: str, session_ids: Sequence[str] | None
) -> tuple[Profile, list[str]]:
    """End the person's sessions, all or these: the person, and the ids of those that ended by it.

    Raises NeedsSession, BadInput, and NotFound for a person who is none of the asker's business.
    """
    if asker.method is not Method.SESSION:
        raise NeedsSession("An access token can't end sessions: sign in to do it")
    if session_ids is not None and not session_ids:
        raise BadInput(("sessionIds", "names none: leave it out for all"))
    person: Profile | None = asker
    if user_id != asker.user_id:
        permit = narrow(asker, Permission.MANAGE_USERS)
        person = await find_person(rules=rules, permit=permit, user_id=user_id)
    if person is None:
        raise NotFound
    return person, await session_rows.revoke_sessions(user_id, only=session_ids, now=datetime.now(UTC))
