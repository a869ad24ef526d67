"""Looking again and again at files that are changed meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from credentials.ticks import ticks
from credentials.types import Snapshot

RECHECK = 0.25
"""Seconds until the next look after one that left something open."""


class Scanner(Protocol):
    def scan(self) -> Snapshot:
        """Look once. It reads files, hence blocks; it must not run twice at a time."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether the last look left nothing open."""
        ...


async def looks(scanner: Scanner, *, directory: str) -> AsyncGenerator[Snapshot, None]:
    """What there is: now, and again whenever that changes. It never ends.

    Changes in the directory are seen at once, those elsewhere within seconds.
    """
    last = None
    async with aclosing(ticks(directory)) as due:
        async for _ in due:
            while True:
                snapshot = await asyncio.to_thread(scanner.scan)
                if snapshot != last:
                    last = snapshot
                    yield snapshot
                if scanner.is_settled:
                    break
                await asyncio.sleep(RECHECK)
