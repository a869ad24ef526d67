"""When to look at a directory again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

POLL = 1.5
"""Seconds between two looks when nothing is reported.

inotify tells neither of a directory that appears nor of a link that is pointed elsewhere, and may be used up.
"""


async def ticks(directory: str, *, poll: float = POLL) -> AsyncGenerator[None, None]:
    """Yield at once, soon after every change of an entry, and every `poll` seconds. It never ends.

    The directory may be absent, be a link, or be replaced.
    """
    while True:
        yield
        watched = _identity(directory)
        try:
            changes = awatch(
                directory,
                watch_filter=None,  # the default one drops every path with a .git or .venv in it
                recursive=False,
                debounce=500,
                step=50,
                rust_timeout=int(poll * 1000),
                yield_on_timeout=True,
            )
            async with aclosing(changes):
                async for _ in changes:
                    yield
                    if _identity(directory) != watched:
                        break  # a watch of the directory that was here before is silent for ever
        except (OSError, RuntimeError, ExceptionGroup):  # it is absent, or inotify is used up
            await asyncio.sleep(poll)


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        status = Path(directory).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
