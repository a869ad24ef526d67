"""Chromium's DevTools protocol over one WebSocket: calls with answers, and events."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


class CallFailed(Exception):
    """The browser refused a call, or what it was about has gone."""


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """An answer, if it has an id; else an event."""

    id: int | None = None
    result: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    session_id: str = ""
    method: str = ""
    params: dict[str, Any] = {}


class DevTools:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, *, session: str | None = None, **params: object) -> dict[str, Any]:
        """Raises CallFailed. Needs `listen` at work."""
        call_id = next(self._ids)
        call = {"id": call_id, "method": method, "params": params}
        if session is not None:
            call["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[call_id] = answer
        try:
            await self._connection.send(msgspec.json.encode(call).decode())
            return await answer
        finally:
            self._answers.pop(call_id, None)

    async def listen(self, on_event: Callable[[str, str, dict[str, Any]], None]) -> None:
        """Resolves calls and passes on events (session, name, parameters), until the browser has gone."""
        try:
            async for text in self._connection:
                message = msgspec.json.decode(text, type=Message)
                if message.id is None:
                    on_event(message.session_id, message.method, message.params)
                else:
                    self._answer(message.id, message)
        except ConnectionClosed:
            pass
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(CallFailed("the browser has gone"))

    def _answer(self, call_id: int, message: Message) -> None:
        answer = self._answers.get(call_id)
        if answer is None or answer.done():  # its caller has been cancelled
            return
        if message.error is None:
            answer.set_result(message.result)
        else:
            answer.set_exception(CallFailed(message.error))
