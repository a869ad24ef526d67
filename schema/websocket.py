"""GraphQL over WebSocket: one connection by the graphql-transport-ws protocol.

strawberry's handler keeps the connection's life and its protocol checks. Ours are who is asking, the close
codes of API.md, and that subscriptions are served by the fan-out instead of a generator each.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import GraphQLError, OperationType
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from auth.errors import AuthError, IdentityUnavailable, Reason, Unauthenticated
from auth.identity import Identity
from auth.tokens import is_access_token
from schema.answers import Answer
from schema.context import Context
from schema.errors import StreamEnded, format_error, format_errors
from schema.execution import chosen
from schema.fanout import Subscriber
from schema.frames import frame
from schema.messages import ClientMessage, Complete, ConnectionInit, Operation, Ping, Subscribe
from schema.questions import Question
from schema.sockets import SCOPE_KEY, Socket

if TYPE_CHECKING:
    from schema.view import View

OPERATIONS = 100
"""Operations that one connection may have under way."""

MALFORMED, NOT_SIGNED_IN, EXPIRED = 4400, 4401, 4403
DUPLICATE_ID, SECOND_INIT, TRY_LATER = 4409, 4429, 1013


class Connection(BaseGraphQLTransportWSHandler[Context, None]):
    view: "View"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope = self.websocket.ws.scope  # type: ignore[attr-defined]
        self._socket: Socket = scope["extensions"][SCOPE_KEY]
        self._state: Mapping[str, Any] = scope["state"]
        self._subscribers: dict[str, Subscriber] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """Operations under way, by id, until the client wants no more of them."""
        self._unfinished: set[asyncio.Task[None]] = set()
        self.credential: str | None = None

    async def handle(self) -> None:
        with self.view.connections.holding(self):
            await super().handle()

    async def shutdown(self) -> None:
        for subscriber in self._subscribers.values():
            self.view.fanout.unsubscribe(subscriber)
        self._subscribers.clear()
        for task in self._unfinished:
            task.cancel()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        await super().shutdown()

    # ------------------------------------------------------------ messages

    async def handle_message(self, message: object) -> None:
        try:
            known: ClientMessage = msgspec.convert(message, ClientMessage)
        except msgspec.ValidationError as error:
            await self._close(MALFORMED, f"Not a message of this protocol: {error}")
            return
        match known:
            case ConnectionInit():
                await self._init(known.payload or {})
            case Subscribe():
                await self._subscribe(known)
            case Complete():
                self._forget(known.id)
            case Ping():
                await self.send_message({"type": "pong"})

    async def _init(self, payload: Mapping[str, Any]) -> None:
        if self.connection_init_received:
            await self._close(SECOND_INIT, "Too many initialisation requests")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        try:
            self.credential = self._credential(payload.get("authorization"))
            await self.view.authenticator.authenticate(self.credential)
        except AuthError as error:
            await self.refuse(error)
            return
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

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
        if not self.connection_acknowledged:
            await self._close(NOT_SIGNED_IN, "Send connection_init first")
        elif message.id in self._tasks or message.id in self._subscribers:
            await self._close(DUPLICATE_ID, f"Subscriber for {message.id} already exists")
        elif len(self._tasks) + len(self._subscribers) >= OPERATIONS:
            await self._close(TRY_LATER, f"Too many operations: {OPERATIONS} are allowed")
        else:
            task = asyncio.create_task(
                self._run(self.credential or "", message.id, message.payload), name=f"operation {message.id}"
            )
            self._tasks[message.id] = task
            self._unfinished.add(task)
            task.add_done_callback(lambda _: self._finished(message.id, task))

    def _finished(self, operation_id: str, task: asyncio.Task[None]) -> None:
        self._unfinished.discard(task)
        if self._tasks.get(operation_id) is task:  # after a `complete`, the id may be another operation's
            del self._tasks[operation_id]

    # ------------------------------------------------------------ operations

    async def _run(self, credential: str, operation_id: str, operation: Operation) -> None:
        """One operation, whose failures are told to its client and end nothing else."""
        try:
            await self._execute(credential, operation_id, operation)
        except Exception as error:
            await self._fail(operation_id, [GraphQLError(str(error), original_error=error)])

    async def _execute(self, credential: str, operation_id: str, operation: Operation) -> None:
        try:
            identity = await self.view.authenticator.authenticate(credential)
        except AuthError as error:
            await self.refuse(error)
            return
        context = replace(self.context, identity=identity)
        document = self.view.documents.check(operation.query)
        found = chosen(document, operation)
        if isinstance(found, list):
            await self._fail(operation_id, found)
        elif found.definition.operation is OperationType.SUBSCRIPTION:
            await self._follow(operation_id, self.view.question(found.document, operation, context))
        else:
            await self._answer(operation_id, await self.view.answers.answer(found, operation, context))

    async def _answer(self, operation_id: str, answer: Answer) -> None:
        """What a query or a mutation gave."""
        if not answer.executed:  # refused as a whole
            errors = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["errors"]
            await self._send({"id": operation_id, "type": "error", "payload": errors})
            return
        await self._send({"id": operation_id, "type": "next", "payload": msgspec.Raw(answer.body)})
        await self._send({"id": operation_id, "type": "complete"})

    async def _follow(self, operation_id: str, question: Question) -> None:
        """Hand a subscription to the fan-out."""
        live = await question.ask()
        if isinstance(live, list):
            await self._fail(operation_id, live)
            return
        self._subscribers[operation_id] = self.view.fanout.subscribe(
            question=question,
            live=live,
            socket=self._socket,
            operation_id=msgspec.json.encode(operation_id),
            end=lambda error: self._end(operation_id, error),
        )

    async def _fail(self, operation_id: str, errors: Iterable[GraphQLError]) -> None:
        formatted = format_errors(errors, self.context.request_id)
        await self._send({"id": operation_id, "type": "error", "payload": formatted})

    def _end(self, operation_id: str, error: BaseException) -> None:
        """The hub ends a stream. Past the queue of a socket that may be full: nothing may wait here."""
        self._subscribers.pop(operation_id, None)
        wrapped = GraphQLError(str(error), original_error=error if isinstance(error, Exception) else None)
        formatted = format_error(wrapped, self.context.request_id)
        message = {"id": operation_id, "type": "error", "payload": [formatted]}
        self._socket.push(frame(msgspec.json.encode(message)))

    def _forget(self, operation_id: str) -> None:
        """The client wants no more of it, and may use its id for something else at once."""
        if (subscriber := self._subscribers.pop(operation_id, None)) is not None:
            self.view.fanout.unsubscribe(subscriber)
        if (task := self._tasks.pop(operation_id, None)) is not None:
            task.cancel()

    # ------------------------------------------------------------ rights

    def recheck(self, verdict: Identity | AuthError) -> Unauthenticated | None:
        """Take what the database says now of the connection's credential; what to refuse it for, if anything.

        Called for every connection each second, so it makes no task: 1,000 of those held the loop for 10 ms.
        """
        if isinstance(verdict, Identity):
            for subscriber in self._subscribers.values():
                self.view.fanout.change_rights(subscriber, verdict)
        if not isinstance(verdict, Unauthenticated):
            return None
        ended = StreamEnded("UNAUTHENTICATED", str(verdict), verdict.reason.value)
        for operation_id, subscriber in list(self._subscribers.items()):
            self.view.fanout.unsubscribe(subscriber)
            self._end(operation_id, ended)
        return verdict

    async def refuse(self, error: AuthError) -> None:
        """Close the connection over its credential."""
        if isinstance(error, IdentityUnavailable):
            await self._close(TRY_LATER, str(error))
            return
        # Only a session's token can be had afresh; an access token that ended is final.
        expired = isinstance(error, Unauthenticated) and error.reason is Reason.TOKEN_EXPIRED
        renewable = self.credential is None or not is_access_token(self.credential)
        await self._close(EXPIRED if expired and renewable else NOT_SIGNED_IN, str(error))

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self.websocket.send_json(message)

    async def _close(self, code: int, reason: str) -> None:
        # A close frame has room for 123 bytes of reason (RFC 6455, section 5.5.1).
        await self.websocket.close(code, reason.encode()[:123].decode(errors="ignore"))
