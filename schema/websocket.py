"""GraphQL over WebSocket: a connection by the graphql-transport-ws protocol, with the close codes of API.md.

Queries and mutations are a task each. So is a subscription until it is allowed; then it is the fan-out's.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import GraphQLError, OperationType
from starlette.types import Receive, Scope, Send

from auth.errors import AuthError, IdentityUnavailable, Reason, Unauthenticated
from auth.identity import Identity
from auth.tokens import is_access_token
from schema.answers import Answer
from schema.auditing import note_bad_credential
from schema.context import Context
from schema.errors import StreamEnded, format_errors
from schema.fanout import Subscriber
from schema.frames import Batch, frame
from schema.messages import ClientMessage, Complete, ConnectionInit, Operation, Ping, Subscribe
from schema.questions import Question
from schema.quotas import Place
from schema.sockets import SCOPE_KEY, WebSocketProtocol

if TYPE_CHECKING:
    from schema.view import View

PROTOCOL = "graphql-transport-ws"
INIT_WITHIN = 5.0
"""Seconds that a connection may take until its connection_init."""

MALFORMED, NOT_SIGNED_IN, EXPIRED, OTHER_PROTOCOL = 4400, 4401, 4403, 4406
NO_INIT, DUPLICATE_ID, SECOND_INIT, TRY_LATER = 4408, 4409, 4429, 1013

_MESSAGE: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_JSON = msgspec.json.Encoder()


async def serve_websocket(view: "View", scope: Scope, receive: Receive, send: Send) -> None:
    """From the handshake to the end of the connection."""
    await receive()
    known = PROTOCOL in scope["subprotocols"]
    # Handshakes are accepted whoever asks: a browser can't read why one was refused.
    await send({"type": "websocket.accept", "subprotocol": PROTOCOL if known else None})
    connection = Connection(view, scope, receive, send)
    if known:
        await connection.serve()
    else:
        await connection.close(OTHER_PROTOCOL, f"The subprotocol is {PROTOCOL}")


class Running(Subscriber):
    """One operation under way. A query or a mutation is one that is never subscribed."""

    __slots__ = ("id", "key", "owner", "place", "task")

    def __init__(self, owner: "Connection", key: str) -> None:
        super().__init__(owner.socket)
        self.owner = owner
        self.key = key
        self.id = _JSON.encode(key)
        self.task: asyncio.Task[None] | None = None
        self.place: Place | None = None

    def write(self, batch: Batch) -> None:
        self.connection.push(batch.frames(self.id))

    def end(self, error: BaseException) -> None:
        self.owner.end(self, error)

    def leave(self) -> None:
        """Its client wants no more of it, or it is over."""
        self.owner.view.fanout.unsubscribe(self)
        if self.task is not None:
            self.task.cancel()
        if self.place is not None:
            self.place.give_back()


class Connection:
    def __init__(self, view: "View", scope: Scope, receive: Receive, send: Send) -> None:
        self.view = view
        self.context: Context = view.context(scope)
        self.socket: WebSocketProtocol = scope["extensions"][SCOPE_KEY]()
        self.credential: str | None = None
        self._state: Mapping[str, Any] = scope["state"]
        self._receive = receive
        self._send = send
        self._patience = asyncio.timeout(INIT_WITHIN)
        self._initialised = self._acknowledged = self._closing = False
        self._running: dict[str, Running] = {}
        """Operations by id, until the client wants no more of them."""
        self._tasks: set[asyncio.Task[None]] = set()
        """Of operations, those included that the client wants no more of."""

    async def serve(self) -> None:
        try:
            async with self._patience:
                with self.view.connections.awaiting_init(self):
                    await self._listen()
        except TimeoutError:
            await self.close(NO_INIT, "The connection_init took too long")
        finally:
            await self._leave()

    def give_up(self) -> None:
        """Wait no longer for the connection_init."""
        if not self._patience.expired():
            self._patience.reschedule(0)

    async def _listen(self) -> None:
        while not self._closing:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return
            await self._take(event.get("text"))

    async def _leave(self) -> None:
        for running in self._running.values():
            running.leave()
        self._running.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ messages

    async def _take(self, text: str | None) -> None:
        if text is None:
            await self.close(MALFORMED, "Messages of this protocol are text")
            return
        try:
            message = _MESSAGE.decode(text)
        except (ValueError, RecursionError) as error:  # a msgspec.DecodeError is a ValueError
            await self.close(MALFORMED, f"Not a message of this protocol: {error}")
            return
        match message:
            case ConnectionInit():
                await self._init(message.payload or {})
            case Subscribe():
                await self._subscribe(message)
            case Complete():
                if (running := self._running.pop(message.id, None)) is not None:
                    running.leave()
            case Ping():
                await self._write(_JSON.encode({"type": "pong"}))

    async def _init(self, payload: Mapping[str, Any]) -> None:
        if self._initialised:
            await self.close(SECOND_INIT, "Too many initialisation requests")
            return
        self._initialised = True
        self._patience.reschedule(None)
        self.view.connections.initialised(self)
        try:
            self.credential = self._credential(payload.get("authorization"))
            await self.view.authenticator.authenticate(self.credential)
        except AuthError as error:
            context = self.context
            note_bad_credential(
                context.services.trail, error, address=context.address, request_id=context.request_id
            )
            await self._refuse(error)
            return
        await self._write(_JSON.encode({"type": "connection_ack"}))
        self._acknowledged = True

    def _credential(self, authorization: object) -> str:
        """The bearer token of the init message, else what the handshake showed."""
        if authorization is not None:
            scheme, _, token = str(authorization).partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise Unauthenticated(Reason.INVALID_CREDENTIAL)
            return token.strip()
        if error := self._state["auth_error"]:
            raise error
        if self._state["credential"] is None:
            raise Unauthenticated(Reason.INVALID_CREDENTIAL)
        return str(self._state["credential"])

    async def _subscribe(self, message: Subscribe) -> None:
        limit = self.view.limits.connection_operations
        if not self._acknowledged:
            await self.close(NOT_SIGNED_IN, "Send connection_init first")
        elif message.id in self._running:
            await self.close(DUPLICATE_ID, f"Subscriber for {message.id} already exists")
        elif len(self._running) >= limit:
            await self.close(TRY_LATER, f"Too many operations: {limit} are allowed")
        else:
            self._start(message)

    # ------------------------------------------------------------ operations

    def _start(self, message: Subscribe) -> None:
        running = self._running[message.id] = Running(self, message.id)
        task = asyncio.create_task(self._run(running, message.payload), name=f"operation {message.id}")
        running.task = task
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._finish(running, task))

    def _finish(self, running: Running, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        running.task = None
        if running.cohort is None:
            self._forget(running)

    def _forget(self, running: Running) -> None:
        if self._running.get(running.key) is running:  # after a `complete`, the id may be another's
            del self._running[running.key]
        running.leave()

    async def _run(self, running: Running, operation: Operation) -> None:
        """One operation, whose failures are told to its client and end nothing else."""
        try:
            await self._execute(running, operation)
        except Exception as error:
            await self._fail(running, [GraphQLError(str(error), original_error=error)])

    async def _execute(self, running: Running, operation: Operation) -> None:
        try:
            identity = await self.view.authenticator.reauthenticate(self.credential or "")
        except AuthError as error:
            await self._refuse(error)
            return
        running.place = self.view.quota.take(identity)
        context = replace(self.context, identity=identity)
        found = await self.view.choose(operation, context)
        if isinstance(found, list):
            await self._fail(running, found)
            return
        resolved, asked = found
        if asked.definition.operation is OperationType.SUBSCRIPTION:
            await self._follow(running, self.view.question(asked.document, resolved, context))
        else:
            await self._tell(running, await self.view.answers.answer(asked, resolved, context))

    async def _tell(self, running: Running, answer: Answer) -> None:
        """What a query or a mutation gave."""
        if not answer.executed:  # refused as a whole
            errors = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["errors"]
            await self._write(_message(running, "error", errors))
            return
        await self._write(_message(running, "next", msgspec.Raw(answer.body)))
        await self._write(_message(running, "complete"))

    async def _follow(self, running: Running, question: Question) -> None:
        """Hand a subscription to the fan-out."""
        live = await question.ask()
        if isinstance(live, list):
            await self._fail(running, live)
            return
        self.view.fanout.subscribe(running, question=question, live=live)

    async def _fail(self, running: Running, errors: list[GraphQLError]) -> None:
        formatted = format_errors(errors, self.context.request_id)
        await self._write(_message(running, "error", formatted))

    def end(self, running: Running, error: BaseException) -> None:
        """The hub ended a stream. Past the queue of a socket that may be full: nothing may wait here."""
        self._forget(running)
        wrapped = GraphQLError(str(error), original_error=error if isinstance(error, Exception) else None)
        formatted = format_errors([wrapped], self.context.request_id)
        self.socket.push(frame(_message(running, "error", formatted)))

    # ------------------------------------------------------------ rights

    def recheck(self, verdict: Identity | AuthError) -> Coroutine[Any, Any, None] | None:
        if isinstance(verdict, Unauthenticated):
            ended = StreamEnded("UNAUTHENTICATED", str(verdict), verdict.reason.value)
            for running in list(self._running.values()):
                if running.cohort is not None:
                    self.view.fanout.end(running, ended)
            return self._refuse(verdict)
        if isinstance(verdict, Identity):
            for running in self._running.values():
                self.view.fanout.change_rights(running, verdict)
        return None

    async def _refuse(self, error: AuthError) -> None:
        """Close the connection over its credential."""
        if isinstance(error, IdentityUnavailable):
            await self.close(TRY_LATER, str(error))
            return
        # Only a session's token can be had afresh; an access token that ended is final.
        expired = isinstance(error, Unauthenticated) and error.reason is Reason.TOKEN_EXPIRED
        renewable = self.credential is None or not is_access_token(self.credential)
        await self.close(EXPIRED if expired and renewable else NOT_SIGNED_IN, str(error))

    # ------------------------------------------------------------ writing

    async def _write(self, message: bytes) -> None:
        """Wait until the socket takes it; after its end, it is nobody's."""
        await self.socket.writable.wait()
        self.socket.push(frame(message))

    async def close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        # A close frame has room for 123 bytes of reason (RFC 6455, section 5.5.1).
        shortened = reason.encode()[:123].decode(errors="ignore")
        with suppress(OSError, RuntimeError):  # the client, or uvicorn over what the client sent, was faster
            await self._send({"type": "websocket.close", "code": code, "reason": shortened})


def _message(running: Running, kind: str, payload: object = msgspec.UNSET) -> bytes:
    message = {"id": msgspec.Raw(running.id), "type": kind}
    return _JSON.encode(message if payload is msgspec.UNSET else message | {"payload": payload})
