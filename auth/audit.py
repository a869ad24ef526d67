"""The audit's entries: who did what, or tried to, and what came of it.

An act is written down as ATTEMPTED before it is done, and its outcome when it is over; what can't be written
isn't done. An attempt whose outcome never comes, because its process died, becomes UNKNOWN.
`auth.audit_trail` drives this for one process, `auth.audit_log` reads it.

No entry ever holds a secret: of an act only names, ids, roles and places are written, never what else it was
given, and of an error what the hub itself says, never what a cluster quotes.

Every function runs in a task that has entered the database and may raise `models.errors.DatabaseUnavailable`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec
from tortoise.transactions import in_transaction

from auth.identity import Identity
from auth.tokens import PREFIX
from models.bus import publish
from models.ids import new_id
from models.tables import AuditEntry, User

OVERDUE = timedelta(minutes=2)
"""After how long an attempt without an outcome is UNKNOWN. A request is given up after 30 s."""
TOLD_TOGETHER = 200
"""Ids in one change of the bus, at the most."""
SWEPT_TOGETHER = 1_000
"""Rows: one delete of millions would hold up everybody else's writing on SQLite."""
TEXT = 500
"""Characters of a message, at the most."""

_SECRET = re.compile(PREFIX + "[0-9A-Za-z]{12,}|eyJ[0-9A-Za-z_-]{8,}[0-9A-Za-z_.-]*")
"""Access tokens and JWTs, which people paste where an id is asked for."""


class Outcome(StrEnum):
    ATTEMPTED = "ATTEMPTED"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class Means(StrEnum):
    """By what somebody acts: `auth.identity.Method`, and what needs no credential."""

    SESSION = "SESSION"
    ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - a name, no secret
    LOCAL = "LOCAL"
    CLI = "CLI"
    SYSTEM = "SYSTEM"
    ANONYMOUS = "ANONYMOUS"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, and from where."""

    actor_id: str | None = None
    actor_name: str
    method: Means
    address: str | None = None
    request_id: str


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What is done, and where. Whoever makes one puts no secret in it."""

    action: str
    """As GraphQL names it, such as `createDeployment`; for what GraphQL can't do, `signIn` and the like."""
    instance_id: str | None = None
    namespace: str | None = None
    target: str | None = None
    """What it is done to: a deployment's name, an id of ours."""
    note: str | None = None
    """What else has to be known of it: the role that is given, say."""


class Verdict(msgspec.Struct, frozen=True):
    """What came of it."""

    outcome: Outcome
    code: str | None = None
    """The error's, as clients get it."""
    message: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """As it is written down."""

    id: str
    occurred_at: datetime
    action: str
    outcome: Outcome
    actor_id: str | None
    actor_name: str
    method: Means
    ip_address: str | None
    instance_id: str | None
    namespace: str | None
    target: str | None
    code: str | None
    message: str | None
    request_id: str


def origin_of(identity: Identity | None, *, address: str | None, request_id: str) -> Origin:
    """Of a request; `address` is the client's."""
    if identity is None:
        return Origin(actor_name="anonymous", method=Means.ANONYMOUS, address=address, request_id=request_id)
    return Origin(
        actor_id=identity.user_id,
        actor_name=identity.display_name,
        method=Means(identity.method),
        address=address,
        request_id=request_id,
    )


def system_origin(request_id: str) -> Origin:
    """Of what the hub does by itself."""
    return Origin(actor_name="the hub", method=Means.SYSTEM, request_id=request_id)


def make_entry(origin: Origin, act: Act, verdict: Verdict, *, now: datetime) -> Entry:
    return Entry(
        id=new_id("aud"),
        occurred_at=now,
        action=_text(act.action, 64) or "",
        outcome=verdict.outcome,
        actor_id=origin.actor_id,
        actor_name=_text(origin.actor_name, 256) or "",
        method=origin.method,
        ip_address=_text(origin.address, 64),
        instance_id=_text(act.instance_id, 63),
        namespace=_text(act.namespace, 63),
        target=_text(act.target, 320),
        code=_text(verdict.code, 32),
        message=_text(told(verdict.message, act.note), TEXT),
        request_id=_text(origin.request_id, 64) or "",
    )


def told(*parts: str | None) -> str | None:
    """What there is of these, in one message."""
    return "; ".join(filter(None, parts)) or None


async def write_entries(entries: Sequence[Entry]) -> None:
    """All or none of them. Those of a person who was deleted meanwhile lose the link, and keep the name."""
    async with in_transaction():
        actors = {entry.actor_id for entry in entries if entry.actor_id is not None}
        known = {user.id for user in await User.filter(id__in=list(actors)).only("id")} if actors else set()
        rows = [
            AuditEntry(
                **msgspec.structs.asdict(entry)
                | {
                    "outcome": entry.outcome.value,
                    "method": entry.method.value,
                    "actor_id": entry.actor_id if entry.actor_id in known else None,
                }
            )
            for entry in entries
        ]
        await AuditEntry.bulk_create(rows)
        await _publish([entry.id for entry in entries])


async def write_outcomes(outcomes: Mapping[str, Verdict]) -> None:
    """By entry. An outcome that comes late takes UNKNOWN's place."""
    async with in_transaction():
        for entry_id, verdict in outcomes.items():
            open_ = (Outcome.ATTEMPTED.value, Outcome.UNKNOWN.value)
            await AuditEntry.filter(id=entry_id, outcome__in=open_).update(
                outcome=verdict.outcome.value,
                code=_text(verdict.code, 32),
                message=_text(verdict.message, TEXT),
            )
        await _publish(list(outcomes))


async def mark_unknown(*, now: datetime, overdue: timedelta = OVERDUE) -> int:
    """Attempts whose outcome should have come long ago get UNKNOWN; how many there were."""
    async with in_transaction():
        lost = AuditEntry.filter(outcome=Outcome.ATTEMPTED.value, occurred_at__lt=now - overdue)
        ids = [row.id for row in await lost.order_by("id").limit(SWEPT_TOGETHER).only("id")]
        if ids:
            await AuditEntry.filter(id__in=ids, outcome=Outcome.ATTEMPTED.value).update(
                outcome=Outcome.UNKNOWN.value
            )
            await _publish(ids)
    return len(ids)


async def sweep_entries(*, now: datetime, retention: timedelta) -> int:
    """Delete what is older than AUDIT_RETENTION; how many entries that were."""
    deleted = 0
    while True:
        old = AuditEntry.filter(occurred_at__lt=now - retention).order_by("occurred_at")
        ids = [row.id for row in await old.limit(SWEPT_TOGETHER).only("id")]
        deleted += await AuditEntry.filter(id__in=ids).delete() if ids else 0
        if len(ids) < SWEPT_TOGETHER:
            return deleted


async def _publish(ids: Sequence[str]) -> None:
    for at in range(0, len(ids), TOLD_TOGETHER):
        await publish("audit", " ".join(ids[at : at + TOLD_TOGETHER]))


def _text(text: str | None, longest: int) -> str | None:
    """Short, of one line, and without what looks like a credential of ours."""
    if text is None:
        return None
    shown = "".join(c if c.isprintable() else " " for c in text[: 2 * longest])
    return _SECRET.sub("***", shown)[:longest]


def utcnow() -> datetime:
    return datetime.now(UTC)
