"""GraphQL over HTTP: one request at `/graphql` and its answer, by the specification of that name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from graphql import OperationType
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from schema.answers import Answer
from schema.errors import LimitExceeded, Problem, describe
from schema.event_stream import EventStream, told_at_once
from schema.execution import Chosen
from schema.messages import Operation
from schema.negotiation import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, accepts_stream, response_type

if TYPE_CHECKING:
    from schema.view import View

METHODS = "GET, HEAD, OPTIONS, POST"
COMPRESSED_FROM = 1_024
"""Bytes of an answer that is compressed for whoever takes gzip."""
NO_STORE = {"Cache-Control": "no-store"}
"""An answer is for the one who asked, and of now."""
_TOO_MUCH = {"BODY": 413, "PERSON_OPERATIONS": 429}
"""Statuses by the reasons for which a request is refused. The connection stays open: closing it while the
client still sends would cost it the answer."""

_OPERATION = msgspec.json.Decoder(Operation)
_OBJECT = msgspec.json.Decoder(dict[str, Any] | None)
_JSON = msgspec.json.Encoder()


class BadRequest(Exception):
    """What is no GraphQL request, or none that can be answered."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = Problem("BAD_USER_INPUT", message, {"fields": []})
        self.headers = headers


def refusal(
    scope: Scope, problem: Problem, *, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem in the shape that GraphQL's clients expect."""
    extensions = {**problem.extras, "code": problem.code, "requestId": scope["state"]["request_id"]}
    body = _JSON.encode({"errors": [{"message": problem.message, "extensions": extensions}]})
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"").decode("latin-1")
    return Response(body, status, headers, response_type(accept) or JSON)


async def respond(view: "View", scope: Scope, receive: Receive, send: Send) -> None:
    """The view's answer to one request."""
    try:
        response = await _respond(view, Request(scope, receive))
        await response(scope, receive, send)
    except BadRequest as error:
        refused = refusal(scope, error.problem, status=error.status, headers=error.headers)
        await refused(scope, receive, send)
    except LimitExceeded as error:  # raised before anything was sent
        await refusal(scope, describe(error), status=_TOO_MUCH[error.reason])(scope, receive, send)
    except ClientDisconnect:
        return


async def _respond(view: "View", request: Request) -> ASGIApp:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": METHODS})
    if request.method not in ("GET", "HEAD", "POST"):
        raise BadRequest(405, f"Use one of {METHODS}", headers={"Allow": METHODS})
    accept = request.headers.get("accept", "")
    if request.method != "POST" and "text/html" in accept and not request.url.query:
        return await view.explorer(request)
    media_type, may_stream = response_type(accept), accepts_stream(accept)
    if media_type is None and not may_stream:
        raise BadRequest(406, f"Answers are {JSON}, {GRAPHQL_RESPONSE} or {EVENT_STREAM}")
    operation, context = await _operation(view, request), view.context(request.scope)
    if not operation.query and not operation.extensions:
        raise BadRequest(400, "The request has no query")
    found = await view.choose(operation, context)
    if isinstance(found, list):
        return _as_response(request, view.answers.refuse(found, context), media_type)
    resolved, asked = found
    _check_way(request, asked, may_stream=may_stream)
    if asked.definition.operation is OperationType.SUBSCRIPTION:
        return EventStream(view, asked, resolved, context, request.scope)
    return _as_response(request, await view.answers.answer(asked, resolved, context), media_type)


def _as_response(request: Request, answer: Answer, media_type: str | None) -> ASGIApp:
    if media_type is None:
        return told_at_once(answer)
    # By the newer media type a request that could not be executed is a bad request; by the older it is an
    # answer like any other (GraphQL over HTTP, section 6.4).
    status = 200 if answer.executed or media_type != GRAPHQL_RESPONSE else 400
    response = Response(answer.body, status, NO_STORE, media_type)
    if len(answer.body) < COMPRESSED_FROM or "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    # The fastest level: a list of 1,000 deployments shrinks to a twentieth within a millisecond.
    return GZipMiddleware(response, COMPRESSED_FROM, compresslevel=1)


def _check_way(request: Request, asked: Chosen, *, may_stream: bool) -> None:
    match asked.definition.operation:
        case OperationType.MUTATION if request.method != "POST":
            raise BadRequest(405, "A mutation can't be sent by GET: POST it", headers={"Allow": "POST"})
        case OperationType.SUBSCRIPTION if not may_stream:
            ways = f"over WebSocket, or with Accept: {EVENT_STREAM}"
            raise BadRequest(406, f"A subscription is answered {ways}")


# ---------------------------------------------------------------- what was asked


async def _operation(view: "View", request: Request) -> Operation:
    if request.method != "POST":
        return _from_query(request.scope["query_string"])
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON:
        raise BadRequest(415, f"A GraphQL request is {JSON}, not {content_type or 'without a content-type'}")
    return _from_body(await _body(request, limit=view.limits.body))


def _from_query(query_string: bytes) -> Operation:
    try:
        given = dict(parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict"))
        return Operation(
            query=given.get("query", ""),
            variables=_OBJECT.decode(given.get("variables") or "null"),
            operation_name=given.get("operationName") or None,
            extensions=_OBJECT.decode(given.get("extensions") or "null"),
        )
    except (ValueError, RecursionError) as error:  # a msgspec.DecodeError is a ValueError
        raise BadRequest(400, f"The query string is no GraphQL request: {error}") from error


def _from_body(body: bytes) -> Operation:
    try:
        return _OPERATION.decode(body)
    except (ValueError, RecursionError) as error:
        batch = body.lstrip()[:1] == b"["
        why = "send one operation, batches aren't served" if batch else str(error)
        raise BadRequest(400, f"The body is no GraphQL request: {why}") from error


async def _body(request: Request, *, limit: int) -> bytes:
    """The request's body. Raises `LimitExceeded` once it is over the limit, without reading on."""
    received = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_long(limit, int(announced))
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise _too_long(limit, None)
    return bytes(received)


def _too_long(limit: int, actual: int | None) -> LimitExceeded:
    return LimitExceeded("BODY", f"A request's body has at most {limit} bytes", limit=limit, actual=actual)
