"""Kubernetes `Status` bodies, and the one exception that becomes one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hub.demo.resources import Resource

Json = dict[str, Any]


class Cause(msgspec.Struct, frozen=True):
    """One of a Status's `details.causes`."""

    reason: str
    message: str
    field: str


class StatusError(Exception):
    """An answer that is an error: its HTTP status and the body that goes with it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after
        """Seconds, for the Retry-After header."""

    def body(self) -> Json:
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason, "code": self.code}
        if self.details is not None:
            status["details"] = self.details
        return status


def _details(resource: Resource, name: str) -> Json:
    return {"name": name, "group": resource.group, "kind": resource.plural}


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str) -> StatusError:
    named = f'{resource.qualified} "{name}"' if name else resource.qualified
    return StatusError(403, "Forbidden", f"{named} is forbidden: {why}", details=_details(resource, name))


def not_found(resource: Resource, name: str) -> StatusError:
    message = f'{resource.qualified} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_details(resource, name))


def unserved() -> StatusError:
    """No such resource type: what a path of a CRD that isn't there gives."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def method_not_allowed() -> StatusError:
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def already_exists(resource: Resource, name: str) -> StatusError:
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_details(resource, name))


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def unsupported_media_type(media_type: str) -> StatusError:
    message = f"the body of the request was in an unknown format: {media_type}"
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    """422 with every cause, worded as the API server joins them."""
    words = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {"name": name, "group": resource.group, "kind": resource.kind}
    details["causes"] = msgspec.to_builtins(causes)
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details=details)


_REFUSALS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: the credential lacks the right"),
    410: ("Expired", "too old resource version"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
}


def refused(code: int, retry_after: float | None) -> StatusError:
    """The answer of a server that won't, whatever was asked."""
    reason, message = _REFUSALS.get(code, ("InternalError", "Internal error occurred"))
    details = None if retry_after is None else {"retryAfterSeconds": round(retry_after)}
    return StatusError(code, reason, message, details=details, retry_after=retry_after)


def initializing() -> StatusError:
    """What a type just installed gives for a moment."""
    details = {"retryAfterSeconds": 1}
    message = "storage is (re)initializing"
    return StatusError(429, "TooManyRequests", message, details=details, retry_after=1)


def deleted(resource: Resource, name: str, uid: str) -> Json:
    """The body of a deletion that removed the object at once."""
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return status | {"details": {**_details(resource, name), "uid": uid}}
