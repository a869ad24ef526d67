"""The audit, read: found, listed, counted.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from auth.audit import Entry, Means, Outcome
from models.tables import AuditEntry


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given has to hold. None asks for nothing; an empty tuple matches nothing."""

    actor_ids: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    outcomes: tuple[Outcome, ...] | None = None
    instance_ids: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    target: str | None = None
    """A part of it, in any case."""
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Before this."""

    def matches(self, entry: Entry) -> bool:
        """The same as the database says of it."""
        among = (
            (self.actor_ids, entry.actor_id),
            (self.actions, entry.action),
            (self.outcomes, entry.outcome),
            (self.instance_ids, entry.instance_id),
            (self.namespaces, entry.namespace),
        )
        return (
            all(chosen is None or value in chosen for chosen, value in among)
            and (self.target is None or self.target.lower() in (entry.target or "").lower())
            and self.request_id in (None, entry.request_id)
            and (self.since is None or entry.occurred_at >= self.since)
            and (self.until is None or entry.occurred_at < self.until)
        )


async def list_entries(
    wanted: AuditFilter, *, first: int, after: tuple[datetime, str] | None = None
) -> list[Entry]:
    """Up to `first` entries behind the (time, id), the newest first."""
    if _empty(wanted):
        return []
    rows = _chosen(wanted).order_by("-occurred_at", "-id").limit(first)
    if after is not None:
        at, entry_id = after
        rows = rows.filter(Q(occurred_at__lt=at) | Q(occurred_at=at, id__lt=entry_id))
    return [_entry(row) for row in await rows]


async def count_entries(wanted: AuditFilter) -> int:
    return 0 if _empty(wanted) else await _chosen(wanted).count()


async def find_entries(ids: Collection[str]) -> list[Entry]:
    """Those that are there, in the order of time."""
    rows = await AuditEntry.filter(id__in=list(ids)).order_by("occurred_at", "id") if ids else []
    return [_entry(row) for row in rows]


def _chosen(wanted: AuditFilter) -> QuerySet[AuditEntry]:
    conditions: dict[str, Any] = {
        "actor_id__in": wanted.actor_ids,
        "action__in": wanted.actions,
        "outcome__in": wanted.outcomes and [each.value for each in wanted.outcomes],
        "instance_id__in": wanted.instance_ids,
        "namespace__in": wanted.namespaces,
        "target__icontains": wanted.target,
        "request_id": wanted.request_id,
        "occurred_at__gte": wanted.since,
        "occurred_at__lt": wanted.until,
    }
    return AuditEntry.filter(**{key: value for key, value in conditions.items() if value is not None})


def _empty(wanted: AuditFilter) -> bool:
    lists = (wanted.actor_ids, wanted.actions, wanted.outcomes, wanted.instance_ids, wanted.namespaces)
    return () in lists


def _entry(row: AuditEntry) -> Entry:
    return Entry(
        id=row.id,
        occurred_at=row.occurred_at,
        action=row.action,
        outcome=Outcome(row.outcome),
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        method=Means(row.method),
        ip_address=row.ip_address,
        instance_id=row.instance_id,
        namespace=row.namespace,
        target=row.target,
        code=row.code,
        message=row.message,
        request_id=row.request_id,
    )
