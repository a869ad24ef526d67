"""Errors outside GraphQL's own execution, in the shape that the path's clients expect."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Scope, Send

from auth.errors import AuthError
from hub.paths import is_api, is_graphql
from models.errors import DatabaseUnavailable, RateLimited
from resolvers.errors import UseCaseError
from schema.errors import Problem, Refused, describe
from schema.http import refusal

STATUS = {
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


def problem_response(
    scope: Scope, problem: Problem, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """For HTTP, and for a WebSocket whose handshake is refused. The status is the code's unless given."""
    status = status or STATUS[problem.code]
    if "retryAfter" in problem.extras:
        headers = {"Retry-After": str(problem.extras["retryAfter"]), **(headers or {})}
    if is_graphql(scope):
        return refusal(scope, problem, status=status, headers=headers)
    fields = problem.extras.get("fields", [])
    error = {
        "code": problem.code,
        "message": problem.message,
        "fields": fields,
        "requestId": scope["state"]["request_id"],
    }
    return JSONResponse({"error": error}, status, headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """No such route, or not by this method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if not (is_api(request.scope) or is_graphql(request.scope)):
        return PlainTextResponse("There is no page here; the explorer is at /graphql\n", status)
    code = "NOT_FOUND" if status == 404 else "BAD_USER_INPUT"
    return problem_response(request.scope, Problem(code, HTTPStatus(status).phrase), status=status)


async def on_refusal(request: Request, error: Exception) -> Response:
    """What routes may raise and clients are to be told, as it is."""
    return problem_response(request.scope, describe(error))


REFUSALS = dict.fromkeys((RateLimited, DatabaseUnavailable, AuthError, UseCaseError, Refused), on_refusal)
"""Starlette's handlers for it."""


async def on_error(request: Request, error: Exception) -> Response:
    """What no handler expected: masked, logged, and found again by its id."""
    problem = describe(error)
    # Starlette answers these from outside of all middleware, so the header is ours to set.
    headers = {"X-Request-Id": request.scope["state"]["request_id"]}
    return problem_response(request.scope, problem, status=STATUS.get(problem.code, 500), headers=headers)


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
