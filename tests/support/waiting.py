"""Waiting for what happens in its own time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> None:
    """Asks every 50 ms until the condition holds. Raises TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what happens in another process sets no event of ours
            await asyncio.sleep(0.05)
