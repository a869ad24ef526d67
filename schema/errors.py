"""The one table from exceptions to codes (API.md, "Errors"). GraphQL and the REST façade both use it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog
from graphql import GraphQLError

import auth.errors
from auth.errors import AuthError, IdentityUnavailable, Unauthenticated
from auth.policy import Refusal, RefusalReason
from cluster.errors import (
    AnotherCluster,
    ApiError,
    ClusterError,
    CredentialRejected,
    InstanceUnavailable,
    InvalidDraft,
    Unreachable,
)
from models.errors import DatabaseUnavailable, RateLimited
from resolvers.errors import BadInput, NeedsSession, NotFound, SlowConsumer, UseCaseError

log = structlog.get_logger("hub.errors")

RETRY_AFTER = 5
"""Seconds, told with UNAVAILABLE: the database's pool reconnects by itself within these."""


NEEDS_SESSION = {
    "permission": None, "instanceId": None, "namespace": None, "reason": "SESSION_REQUIRED",
}  # fmt: skip
"""Of what an access token may not do, whatever its rights are."""


class Refused(Exception):
    """The policy's refusal on its way to the client."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class StreamEnded(Exception):
    """A stream is ended by the hub: nothing that it could show is left."""

    def __init__(self, code: str, message: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class LimitExceeded(Exception):
    """More was asked for than one request may. `actual` is None where counting stopped at the limit."""

    def __init__(self, reason: str, message: str, *, limit: int, actual: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.limit = limit
        self.actual = actual


class PersistedQueryNotFound(Exception):
    """The hub doesn't know the document that the hash stands for; the client is to send its text.

    The wording is part of the protocol of automatic persisted queries: clients look for it.
    """

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class Problem(msgspec.Struct, frozen=True):
    """An error as clients see it."""

    code: str
    message: str
    extras: Mapping[str, Any] = {}


def describe(error: BaseException) -> Problem:
    """What a client is told of the error. What the table doesn't know is masked, and logged."""
    match error:
        case Refused():
            return _refused(error.refusal)
        case AuthError() | UseCaseError():
            return _of_ours(error)
        case ClusterError():
            return _of_cluster(error)
        case LimitExceeded() | RateLimited():
            return _limit_exceeded(error)
        case PersistedQueryNotFound():
            return Problem("PERSISTED_QUERY_NOT_FOUND", str(error))
        case StreamEnded():
            return Problem(error.code, str(error), {"reason": error.reason})
        case DatabaseUnavailable():
            return _unavailable()
        case _:
            return _unexpected(error)


def _of_ours(error: AuthError | UseCaseError) -> Problem:
    match error:
        case Unauthenticated():
            return Problem("UNAUTHENTICATED", str(error), {"reason": error.reason.value})
        case NotFound() | auth.errors.NotFound():
            return Problem("NOT_FOUND", "There is no such thing, or you may not see it")
        case BadInput() | auth.errors.InvalidRequest():
            return _bad_input(error)
        case auth.errors.Conflict():
            return Problem("CONFLICT", str(error))
        case NeedsSession():
            return Problem("FORBIDDEN", str(error), NEEDS_SESSION)
        case IdentityUnavailable():
            return _unavailable()
        case SlowConsumer():
            again = "The stream fell too far behind; subscribe anew"
            return Problem("LIMIT_EXCEEDED", again, {"reason": "SLOW_CONSUMER"})
        case _:
            return _unexpected(error)


def _unavailable() -> Problem:
    return Problem("UNAVAILABLE", "The database is out of reach; try again", {"retryAfter": RETRY_AFTER})


def _unexpected(error: BaseException) -> Problem:
    log.error("unexpected error", exc_info=error)
    return Problem("INTERNAL", "Something went wrong inside the hub; the request id finds it in the log")


def _limit_exceeded(error: LimitExceeded | RateLimited) -> Problem:
    extras = {"reason": error.reason, "limit": error.limit, "actual": error.actual}
    if isinstance(error, RateLimited):
        return Problem("RATE_LIMITED", str(error), {**extras, "retryAfter": error.retry_after})
    return Problem("LIMIT_EXCEEDED", str(error), extras)


def _bad_input(error: BadInput | InvalidDraft | auth.errors.InvalidRequest) -> Problem:
    fields = [{"path": path, "message": message} for path, message in error.problems]
    return Problem("BAD_USER_INPUT", str(error), {"fields": fields})


def _of_cluster(error: ClusterError) -> Problem:
    match error:
        case InvalidDraft():
            return _bad_input(error)
        case InstanceUnavailable():
            extras = {"instanceId": error.instance_id, "status": error.status, "reason": error.reason}
            return Problem("INSTANCE_UNAVAILABLE", str(error), extras)
        case ApiError():
            return _api_error(error)
        case Unreachable():
            lost = "The cluster gave no usable answer; what was asked may or may not have happened"
            return Problem("KUBERNETES_ERROR", lost)
        case CredentialRejected() | AnotherCluster():
            renew = "The hub's access to this cluster has to be renewed by an administrator"
            return Problem("KUBERNETES_ERROR", renew)
        case _:
            return _unexpected(error)


def _refused(refusal: Refusal) -> Problem:
    place = refusal.place
    match refusal.reason:
        case RefusalReason.UNAUTHENTICATED:
            return Problem("UNAUTHENTICATED", "Sign in first", {"reason": "NOT_SIGNED_IN"})
        case RefusalReason.HIDDEN:
            return describe(NotFound())
        case RefusalReason.FORBIDDEN:
            where = "/".join(part for part in (place.instance_id, place.namespace) if part) or "the hub"
            extras = {
                "permission": refusal.permission.value,
                "instanceId": place.instance_id,
                "namespace": place.namespace,
            }
            return Problem("FORBIDDEN", f"You lack {refusal.permission.value} on {where}", extras)


def _api_error(error: ApiError) -> Problem:
    if error.status == 404:
        return describe(NotFound())
    extras = {
        "status": error.status,
        "reason": error.reason,
        "message": error.message,
        "causes": [
            {"field": cause.field, "reason": cause.reason, "message": cause.message} for cause in error.causes
        ],
    }
    code = "CONFLICT" if error.status == 409 else "KUBERNETES_ERROR"
    return Problem(code, error.message or f"The API server answered {error.status}", extras)


def format_error(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One entry of a response's `errors`, always with a code and the request's id."""
    formatted: dict[str, Any] = dict(error.formatted)
    cause = cause_of(error)
    if cause is None:  # a syntax, validation or coercion error: graphql-core's own words help best
        problem = Problem("BAD_USER_INPUT", error.message, {"fields": [], **(error.extensions or {})})
    else:
        problem = describe(cause)
    formatted["message"] = problem.message
    formatted["extensions"] = {**problem.extras, "code": problem.code, "requestId": request_id}
    return formatted


def cause_of(error: GraphQLError) -> BaseException | None:
    """The exception of ours under any number of GraphQL wrappings."""
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def format_errors(errors: Iterable[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    return [format_error(error, request_id) for error in errors]
