"""What an answer has to be, loaded by schemathesis, whose own check fails for every GraphQL error."""

from typing import Any

import schemathesis

CODES = {
    "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "BAD_USER_INPUT", "CONFLICT", "INSTANCE_UNAVAILABLE",
    "KUBERNETES_ERROR", "RATE_LIMITED", "LIMIT_EXCEEDED", "UNAVAILABLE", "PERSISTED_QUERY_NOT_FOUND",
}  # fmt: skip
"""All but INTERNAL."""


@schemathesis.check
def errors_are_told(_ctx: Any, response: Any, _case: Any) -> None:
    """JSON, no 5xx, and each error with a code that says what to do and the request's id."""
    assert response.status_code < 500, response.status_code
    for error in response.json().get("errors", []):
        assert error["extensions"]["code"] in CODES, error
        assert error["extensions"]["requestId"] == response.headers["x-request-id"][0], error
