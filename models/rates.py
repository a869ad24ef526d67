"""Rate limits, counted exactly over all replicas: one statement that counts and answers at once.

A window begins with the first that is counted in it. Counting belongs outside of the transaction of what is
limited: rolled back with it, a failure wouldn't count.
"""

import asyncio
import logging
import math
from datetime import UTC, datetime, timedelta

import msgspec

from models.connection import current_client
from models.errors import DatabaseUnavailable, RateLimited
from models.tables import RateWindow

log = logging.getLogger(__name__)

LONGEST = timedelta(days=1)
"""The longest window; older ones are swept."""
SWEEP_EVERY = 600.0
"""Seconds."""

_COUNT = """
INSERT INTO rate_windows (key, began_at, count) VALUES ({0}1, {0}2, 1)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN rate_windows.began_at > {0}3 THEN rate_windows.count + 1 ELSE 1 END,
    began_at = CASE WHEN rate_windows.began_at > {0}3 THEN rate_windows.began_at ELSE excluded.began_at END
RETURNING count, began_at
"""


class Limit(msgspec.Struct, frozen=True):
    """At most so many times in a window."""

    name: str
    """What is limited, in words for people."""
    times: int
    per: timedelta

    def __post_init__(self) -> None:
        if not timedelta() < self.per <= LONGEST:
            raise ValueError(f"a window is longer than nothing and at most {LONGEST}")


async def count(key: str, limit: Limit, *, now: datetime | None = None) -> None:
    """Count one more for `key`: an address, a session, an account.

    Raises `RateLimited` if it is one too many, and `DatabaseUnavailable`.
    """
    now = now or datetime.now(UTC)
    client = current_client()
    statement = _COUNT.format("?" if client.capabilities.dialect == "sqlite" else "$")
    (row,) = await client.execute_query_dict(statement, [f"{limit.name}:{key}", now, now - limit.per])
    if row["count"] > limit.times:
        began_at = RateWindow._meta.fields_map["began_at"].to_python_value(row["began_at"])
        wait = (began_at + limit.per - now).total_seconds()
        raise RateLimited(
            limit.name, limit=limit.times, actual=row["count"], retry_after=max(1, math.ceil(wait))
        )


async def keep_swept() -> None:
    """Endless: to be run as a task that has entered the database."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        try:
            await sweep(now=datetime.now(UTC))
        except DatabaseUnavailable as error:
            log.info("old rate limits are swept later: %s", error)


async def sweep(*, now: datetime) -> None:
    """Delete the windows that are over."""
    await RateWindow.filter(began_at__lt=now - LONGEST).delete()
