"""Errors outside GraphQL's own execution, in the shape that the path's clients expect."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

from hub.paths import is_graphql
from schema.errors import Problem

STATUS = {
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
}
GRAPHQL_RESPONSE = "application/graphql-response+json"


def problem_response(
    scope: Scope, problem: Problem, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """For HTTP, and for a WebSocket whose handshake is refused. The status is the code's unless given."""
    status = status or STATUS[problem.code]
    request_id = scope["state"]["request_id"]
    if is_graphql(scope):
        extensions = {**problem.extras, "code": problem.code, "requestId": request_id}
        accepted = Headers(scope=scope).get("accept", "")
        media_type = GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in accepted else None
        errors = {"errors": [{"message": problem.message, "extensions": extensions}]}
        return JSONResponse(errors, status, headers, media_type)
    fields = problem.extras.get("fields", [])
    error = {"code": problem.code, "message": problem.message, "fields": fields, "requestId": request_id}
    return JSONResponse({"error": error}, status, headers)


def adding_header(send: Send, name: str, value: str) -> Send:
    """A `send` that gives the response, or the handshake's answer, the header unless it has one already."""

    async def send_with_header(message: Message) -> None:
        if message["type"] in (
            "http.response.start",
            "websocket.accept",
            "websocket.http.response.start",
        ):
            message.setdefault("headers", [])
            MutableHeaders(scope=message).setdefault(name, value)
        await send(message)

    return send_with_header
