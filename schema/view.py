"""GraphQL over HTTP at `/graphql`, and the way in to WebSocket."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

import msgspec
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import ExecutionResult, OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from auth.authenticator import Authenticator
from resolvers.services import Services
from schema.context import Context
from schema.documents import Documents
from schema.execution import answer, chosen, payload
from schema.fanout import FanOut
from schema.hub import Hub
from schema.messages import Operation
from schema.negotiation import GRAPHQL_RESPONSE, JSON, response_type
from schema.rechecks import Connections
from schema.websocket import Connection

INIT_WITHIN = timedelta(seconds=5)
"""How long a WebSocket may take until its connection_init."""

_JSON = msgspec.json.Encoder()
_ALLOWED = {"GET": (OperationType.QUERY,), "POST": (OperationType.QUERY, OperationType.MUTATION)}


class View(GraphQL[Context, None]):
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
        self.connections = Connections()
        self.documents = Documents(schema)
        self.fanout = FanOut(services.fleet)
        self._services = services
        self._hub = hub
        self._introspection = introspection
        self._explorer = explorer

    async def run(self, request: Request | WebSocket, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().run(request, *args, **kwargs)
        except HTTPException as error:  # what is no GraphQL request; strawberry would answer in plain text
            code = "BAD_USER_INPUT"
            extensions = {"code": code, "requestId": request.scope["state"]["request_id"]}
            errors = [{"message": error.reason, "extensions": extensions}]
            media_type = response_type(request.headers.get("accept", "")) or JSON
            return Response(self.encode_json({"errors": errors}), error.status_code, media_type=media_type)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Carries the media type of the answer to `create_response`."""
        asked = request.headers.get("accept", "")
        media_type = response_type(asked)
        if media_type is None and "text/html" not in asked:  # that is a browser, which gets the explorer
            raise HTTPException(406, f"Answers are {JSON} or {GRAPHQL_RESPONSE}")
        return Response(media_type=media_type)

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        # By the newer media type a request that could not be executed is a bad request; by the older it is
        # an answer like any other (GraphQL over HTTP, section 6.4).
        executed = "data" in response_data
        newer = sub_response.media_type == GRAPHQL_RESPONSE
        status = 200 if executed or not newer else 400
        return Response(self.encode_json(response_data), status, media_type=sub_response.media_type)

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        data = await super().parse_http_body(request)
        if isinstance(data, GraphQLRequestData):
            if data.protocol != "http":
                raise HTTPException(406, "Streams go over WebSocket, not over HTTP")
            if not isinstance(data.operation_name, str | None):
                raise HTTPException(400, "The operationName must be a string or null, if provided")
        return data

    async def execute_single(  # type: ignore[override]
        self,
        *,
        request_adapter: AsyncHTTPRequestAdapter,
        context: Context,
        request_data: GraphQLRequestData,
        **_: object,
    ) -> ExecutionResult:
        if not request_data.query:
            raise HTTPException(400, "The request has no query")
        operation = Operation(request_data.query, request_data.variables, request_data.operation_name)
        document = self.documents.check(operation.query)
        found = chosen(document, operation, allowed=_ALLOWED[request_adapter.method])
        if isinstance(found, list):
            return ExecutionResult(None, found)
        return await answer(schema=self.schema, document=found[0], operation=operation, context=context)

    def decode_json(self, data: str | bytes) -> object:
        """JSON of a request or a WebSocket message. Stricter than the standard library's: NaN and a half of a
        surrogate pair, which nothing behind this could write again, are no JSON either."""
        try:
            return msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise JSONDecodeError(str(error), "", 0) from error

    def parse_json(self, data: str | bytes) -> Any:
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A GraphQL request is a JSON object")
        return parsed

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        state = request.scope["state"]
        return Context(
            services=self._services,
            hub=self._hub,
            identity=state["identity"],
            request_id=state["request_id"],
            introspection=self._introspection,
            wake=self.fanout.wake,
        )

    async def render_graphql_ide(self, request: Request) -> Response:
        return await self._explorer(request)

    async def process_result(  # type: ignore[override]
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        return payload(result, request.scope["state"]["request_id"])  # type: ignore[return-value]

    def encode_json(self, data: object) -> str:
        return _JSON.encode(data).decode()
