"""The open WebSocket connections, and asking again and again whether they may go on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auth.authenticator import Authenticator

if TYPE_CHECKING:
    from schema.websocket import Connection

EVERY = 1.0
"""Seconds between two looks at the database for all credentials that are in use (API.md, "Streams")."""


class Connections:
    """The open connections of this process."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()

    @contextmanager
    def holding(self, connection: "Connection") -> Iterator[None]:
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)

    async def keep_checked(self, authenticator: Authenticator) -> None:
        """Endless: to be run as a task that has entered the database."""
        async with asyncio.TaskGroup() as closing:  # closing a stalled socket takes until it is dropped
            while True:
                await asyncio.sleep(EVERY)
                await self._check(authenticator, closing)

    async def _check(self, authenticator: Authenticator, closing: asyncio.TaskGroup) -> None:
        held = [(each, each.credential) for each in self._open]
        verdicts = await authenticator.refresh({credential for _, credential in held if credential})
        for connection, credential in held:
            if credential is not None and (error := connection.recheck(verdicts[credential])) is not None:
                closing.create_task(connection.refuse(error), name="refusal")
