"""The audit log: reading what people did."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec

from auth import audit_log
from auth.audit import Entry
from auth.audit_log import AuditFilter
from auth.policy import Permit
from resolvers.errors import BadInput
from resolvers.paging import Key, Page, check_first, decode_cursor

MOST = 100
"""The largest page."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class AuditPage(msgspec.Struct, frozen=True):
    page: Page[Entry]
    count: Callable[[], Awaitable[int]]
    """How many there are now, over all pages: asked of the database only if somebody wants to know."""


async def list_entries(
    *, permit: Permit, wanted: AuditFilter, first: int | None, after: str | None
) -> AuditPage:
    """One page, the newest first; empty unless the permit (VIEW_AUDIT_LOG) reaches the hub itself."""
    size = check_first(first, MOST)
    cursor = None if after is None else _time_and_id(after)
    allowed = bool(permit.scopes)
    found = await audit_log.list_entries(wanted, first=size + 1, after=cursor) if allowed else []

    async def count() -> int:
        return await audit_log.count_entries(wanted) if allowed else 0

    page = Page(
        items=found[:size],
        key=_place_of,
        has_next=len(found) > size,
        has_previous=after is not None,
        total=lambda: 0,
    )
    return AuditPage(page, count)


async def find_entry(*, permit: Permit, entry_id: str) -> Entry | None:
    if not permit.scopes:
        return None
    found = await audit_log.find_entries([entry_id])
    return found[0] if found else None


def _place_of(entry: Entry) -> Key:
    return ((entry.occurred_at - _EPOCH) // _MICROSECOND, entry.id)


def _time_and_id(cursor: str) -> tuple[datetime, str]:
    microseconds, entry_id = decode_cursor(cursor, int)
    try:
        return _EPOCH + int(microseconds) * _MICROSECOND, entry_id
    except OverflowError as error:
        raise BadInput(("after", "is no cursor of this connection")) from error
