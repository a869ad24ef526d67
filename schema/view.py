"""The API's one address, `/graphql`: what HTTP, SSE and WebSocket share, and the way in to each."""

from collections.abc import Awaitable, Callable

import strawberry
from graphql import DocumentNode, GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from auth.authenticator import Authenticator
from resolvers.services import Services
from schema.answers import Answers
from schema.context import Context
from schema.documents import Documents
from schema.execution import Chosen, Errors, chosen
from schema.fanout import FanOut
from schema.fragments import Fragments
from schema.http import respond
from schema.hub import Hub
from schema.introspection import may_introspect
from schema.limits import Limits
from schema.messages import Operation
from schema.persisted import PersistedQueries
from schema.questions import Question
from schema.quotas import Quota
from schema.rechecks import Connections
from schema.websocket import serve_websocket


class View:
    """An ASGI application."""

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
        self.schema = schema
        self.authenticator = authenticator
        self.limits = limits
        self.explorer = explorer
        self.connections = Connections()
        self.quota = Quota(limits.person_operations)
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
            await serve_websocket(self, scope, receive, send)

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
            address=state.get("client_address"),
        )

    async def choose(self, operation: Operation, context: Context) -> tuple[Operation, Chosen] | Errors:
        """The operation with its document's text, and what is to be executed; or why there is nothing to."""
        suggestions, who = may_introspect(context), context.identity and context.identity.user_id
        if operation.query:
            await self.documents.admit(operation.query, suggestions=suggestions, who=who)
        resolved = self.persisted.resolve(operation)
        if isinstance(resolved, GraphQLError):
            return [resolved]
        await self.documents.admit(resolved.query, suggestions=suggestions, who=who)
        document = self.documents.check(resolved.query, suggestions=suggestions)
        found = chosen(document, resolved)
        return found if isinstance(found, list) else (resolved, found)

    def question(self, document: DocumentNode, operation: Operation, context: Context) -> Question:
        return Question(self.schema, document, operation, context, self.fragments)
