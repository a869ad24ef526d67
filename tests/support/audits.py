"""What the audit of a hub under test holds."""

from collections.abc import Mapping
from typing import Any

from auth.audit import Entry
from auth.audit_log import AuditFilter, list_entries
from models.tables import AuditEntry
from tests.support.hub import HubUnderTest
from tests.support.waiting import until

ENTRIES = """query ($filter: AuditFilter, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) { totalCount
    nodes { id occurredAt action outcome actor { id } actorName method ipAddress instanceId namespace target
      code message requestId }
    edges { cursor } pageInfo { hasNextPage endCursor } } }"""


async def log_of(hub: HubUnderTest, token: str, **filter_: Any) -> list[dict[str, Any]]:
    """The first page, the newest first, as an admin reads it."""
    found = await hub.data(token, ENTRIES, {"filter": filter_, "first": 100})
    nodes: list[dict[str, Any]] = found["auditLog"]["nodes"]
    return nodes


async def the_entry(hub: HubUnderTest, *, number: int = 1, **wanted: Any) -> Entry:
    """The only entry that there is by the filter; waits for it, because refusals are written soon after."""

    async def found() -> list[Entry]:
        with hub.running.database.entered():
            return await list_entries(AuditFilter(**wanted), first=100)

    async def is_there() -> bool:
        return len(await found()) >= number

    await until(is_there)
    entries = await found()
    assert len(entries) == number, entries
    return entries[0]


async def everything_written() -> str:
    """All of the audit's table, as text. The caller has entered the database."""
    rows: list[Mapping[str, Any]] = list(await AuditEntry.all().values())
    return repr(rows)
