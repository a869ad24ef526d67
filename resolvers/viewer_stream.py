"""The reader behind `viewerEvents`: what changes for whoever is asking."""

from collections.abc import Callable, Hashable
from copy import copy
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

import msgspec

from auth.identity import Identity, Profile
from auth.policy import Permit
from resolvers.streams import Drained, now

WARNED = timedelta(minutes=5)
"""How long before its end a session or an access token is told to expire."""


class ViewerEventType(StrEnum):
    GRANTS_CHANGED = "GRANTS_CHANGED"
    SESSION_EXPIRING = "SESSION_EXPIRING"


class ViewerEvent(msgspec.Struct, frozen=True):
    type: ViewerEventType
    viewer: Profile


def shown_by(identity: Identity) -> Hashable:
    """What the events are of, besides the rights: changes of grants that allow the same, and another end."""
    return identity.rights, identity.grants, identity.expires_at


class ViewerReader:
    """GRANTS_CHANGED whenever the person's grants become others, SESSION_EXPIRING once before each end.

    It is about one person and one credential, so it is shared with nobody.
    """

    def __init__(self, *, viewer: Identity, clock: Callable[[], datetime] = now) -> None:
        self._viewer = viewer
        self._clock = clock
        self._told = viewer
        """As whom the person was last told to be."""
        self._warned_of: datetime | None = None

    def clone(self) -> Self:
        return copy(self)

    def same(self, _other: object) -> bool:
        return False

    def could_show(self, _permit: Permit) -> bool:
        return True  # a person who has lost everything is told just that

    def change_permit(self, permit: Permit) -> None:
        if permit.identity is not None:
            self._viewer = permit.identity

    def close(self) -> None:
        pass

    def drain(self, limit: int = 256) -> Drained[ViewerEvent]:  # noqa: ARG002 - a turn gives two at the most
        events: list[ViewerEvent] = []
        if (self._told.grants, self._told.rights) != (self._viewer.grants, self._viewer.rights):
            events.append(ViewerEvent(ViewerEventType.GRANTS_CHANGED, self._viewer))
        self._told = self._viewer
        again = self._until_warning()
        if again == 0:
            self._warned_of, again = self._viewer.expires_at, None
            events.append(ViewerEvent(ViewerEventType.SESSION_EXPIRING, self._viewer))
        return Drained(events, again)

    def _until_warning(self) -> float | None:
        """Seconds until the end has to be told; None if it was, or there is none."""
        end = self._viewer.expires_at
        if end is None or end == self._warned_of:
            return None
        return max(0.0, (end - WARNED - self._clock()).total_seconds())
