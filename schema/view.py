"""The API's one address, `/graphql`: what HTTP, SSE and WebSocket share, and the way in to each."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

import msgspec
import strawberry
from graphql import DocumentNode
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from auth.authenticator import Authenticator
from resolvers.services import Services
from schema.answers import Answers
from schema.context import Context
from schema.documents import Documents
from schema.fanout import FanOut
from schema.fragments import Fragments
from schema.http import respond
from schema.hub import Hub
from schema.limits import Limits
from schema.messages import Operation
from schema.persisted import PersistedQueries
from schema.questions import Question
from schema.rechecks import Connections
from schema.websocket import Connection

INIT_WITHIN = timedelta(seconds=5)
"""How long a WebSocket may take until its connection_init."""

_JSON = msgspec.json.Encoder()


class View(GraphQL[Context, None]):
    """strawberry's view accepts WebSockets; HTTP is `schema.http`'s."""

    graphql_transport_ws_handler_class = Connection
    schema: strawberry.Schema

    def __init__(
        self,
        *,
        schema: strawberry.Schema,
        services: Services,
        hub: Hub,
        authenticator: Authenticator,
        introspection: bool | None,
        limits: Limits,
        explorer: Callable[[Request], Awaitable[Response]],
    ) -> None:
        """`introspection` says whether anybody may ask for the schema (None: who is signed in); `explorer`
        answers a browser that opens the address as a page."""
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_WITHIN,
            # Foreign origins are refused before they get here, over HTTP as well.
            allowed_origins=("*",),
        )
        self.authenticator = authenticator
        self.limits = limits
        self.explorer = explorer
        self.connections = Connections()
        self.documents = Documents(schema, limits)
        self.persisted = PersistedQueries(self.documents, size=limits.persisted)
        self.fragments = Fragments()
        self.answers = Answers(schema, fragments=self.fragments, limits=limits)
        self.fanout = FanOut(services.fleet)
        self._services = services
        self._hub = hub
        self._introspection = introspection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(self, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def context(self, scope: Scope) -> Context:
        """Of a request, or of a WebSocket as its handshake was."""
        state = scope["state"]
        return Context(
            services=self._services,
            hub=self._hub,
            identity=state["identity"],
            request_id=state["request_id"],
            introspection=self._introspection,
            wake=self.fanout.wake,
        )

    def question(self, document: DocumentNode, operation: Operation, context: Context) -> Question:
        return Question(self.schema, document, operation, context, self.fragments)

    # ------------------------------------------------------------ WebSocket

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        return self.context(request.scope)

    def decode_json(self, data: str | bytes) -> object:
        """JSON of a message. Stricter than the standard library's: NaN and a half of a surrogate pair, which
        nothing behind this could write again, are no JSON either."""
        try:
            return msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: Any) -> str:
        return _JSON.encode(data).decode()
