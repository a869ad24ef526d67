"""GraphQL over Server-Sent Events, in graphql-sse's mode of distinct connections: a response an operation.

`next` events carry results, `complete` says that no more will come. What is wrong with an operation is told
by the same two, as the protocol has it, but for one operation too many, which is 429. A stream that the hub
ends tells why in a last `next`. One that ends without `complete` was cut, by the network or by a hub that
shuts down, and is to be asked for anew.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec
from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from auth.errors import AuthError, Unauthenticated
from auth.identity import Identity
from schema.answers import Answer
from schema.context import Context
from schema.errors import StreamEnded, format_errors
from schema.execution import Chosen
from schema.fanout import Subscriber
from schema.frames import COMMENT, COMPLETE, Batch, chunk, event
from schema.http_protocol import HttpProtocol
from schema.messages import Operation
from schema.negotiation import EVENT_STREAM
from schema.questions import Question
from schema.sockets import SCOPE_KEY

if TYPE_CHECKING:
    from schema.view import View

KEEP_ALIVE = 12.0
"""Seconds between two comments, which keep proxies from taking a silent stream for a dead one, and show the
kernel a client that has vanished."""
HEADERS = {
    "Cache-Control": "no-store, no-transform",  # nothing between may hold events back to compress them
    "X-Accel-Buffering": "no",  # nor nginx for anything else
}
_JSON = msgspec.json.Encoder()


def told_at_once(answer: Answer) -> Response:
    """A query's or a mutation's answer, or why there is none, for who takes nothing but an event stream."""
    return Response(event(answer.body) + COMPLETE, 200, HEADERS, EVENT_STREAM)


class EventStream(Subscriber):
    """The response to a subscription, an ASGI application.

    Called, it raises `LimitExceeded` before it has sent anything, if the person has too much under way.
    """

    def __init__(
        self, view: "View", asked: Chosen, operation: Operation, context: Context, scope: Scope
    ) -> None:
        self.connection: HttpProtocol
        super().__init__(scope["extensions"][SCOPE_KEY]())
        self.credential: str | None = scope["state"]["credential"]
        self._view = view
        self._context = context
        self._question: Question | None = view.question(asked.document, operation, context)
        """Until it is asked: what its cohort needs no more of, nobody is to keep."""
        self._chunked = True
        self._over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await Response(None, 200, HEADERS, EVENT_STREAM)(scope, receive, send)
            return
        with self._view.quota.take(self._context.identity):
            if (refused := await self._begin(send)) is not None:
                await told_at_once(refused)(scope, receive, send)
                return
            try:
                with self._view.connections.holding(self):
                    await self._keep_alive()
            finally:
                self._view.fanout.unsubscribe(self)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> Answer | None:
        """Be subscribed, or say why not."""
        question, self._question = cast("Question", self._question), None
        live = await question.ask()
        if isinstance(live, list):
            return self._view.answers.refuse(live, self._context)
        self._chunked = self.connection.begin_pushing(self._over.set)
        try:
            await send(_start())
        except BaseException:
            live.reader.close()
            raise
        self._push(COMMENT)  # some browsers tell of a response once it has a body
        self._view.fanout.subscribe(self, question=question, live=live)
        return None

    async def _keep_alive(self) -> None:
        """Until it is over."""
        while not self._over.is_set():
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._over.wait()
            except TimeoutError:
                if not self.connection.full:
                    self._push(COMMENT)

    def _push(self, events: bytes) -> None:
        self.connection.push(chunk(events) if self._chunked else events)

    def write(self, batch: Batch) -> None:
        self.connection.push(batch.chunk() if self._chunked else batch.events())

    def end(self, error: BaseException) -> None:
        wrapped = GraphQLError(str(error), original_error=error if isinstance(error, Exception) else None)
        errors = format_errors([wrapped], self._context.request_id)
        self._push(event(_JSON.encode({"data": None, "errors": errors})) + COMPLETE)
        self._over.set()

    def recheck(self, verdict: Identity | AuthError) -> None:
        """Take what the database says now of the credential."""
        if isinstance(verdict, Identity):
            self._view.fanout.change_rights(self, verdict)
        elif isinstance(verdict, Unauthenticated):
            ended = StreamEnded("UNAUTHENTICATED", str(verdict), verdict.reason.value)
            self._view.fanout.end(self, ended)


def _start() -> dict[str, Any]:
    headers = [(b"content-type", EVENT_STREAM.encode() + b"; charset=utf-8")]
    headers += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    return {"type": "http.response.start", "status": 200, "headers": headers}
