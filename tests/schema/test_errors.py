"""docs/errors.md is the one table of codes: whatever the hub can tell stands there, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLError

import auth.errors
from auth.errors import IdentityUnavailable, Reason, Unauthenticated
from auth.permissions import Permission
from auth.policy import Place, Refusal, RefusalReason
from cluster.errors import (
    ApiError,
    Cause,
    CredentialRejected,
    FellBehind,
    InstanceUnavailable,
    InvalidDraft,
    Unreachable,
)
from models.errors import DatabaseUnavailable, RateLimited
from resolvers.errors import BadInput, NotFound, SlowConsumer
from schema.errors import (
    LimitExceeded,
    PersistedQueryNotFound,
    Refused,
    StreamEnded,
    describe,
    format_error,
)

CODES = re.compile(
    r"""(?:Problem|StreamEnded|code=|code\s*=)\(?\s*"([A-Z_]+)"| else "([A-Z_]+)"$""", re.MULTILINE
)
PLACE = Place("prod-east", "ml-team")
TOLD = (
    *(Refused(Refusal(reason, Permission.MANAGE_DEPLOYMENTS, PLACE)) for reason in RefusalReason),
    *(Unauthenticated(reason) for reason in Reason),
    IdentityUnavailable(),
    NotFound(),
    auth.errors.NotFound("nobody"),
    auth.errors.InvalidRequest("no"),
    auth.errors.InvalidRequest("no", path="role"),
    auth.errors.LastAdmin(),
    BadInput(("first", "must be 1 to 100")),
    InvalidDraft(("env.1.name", "must be …")),
    ApiError(404),
    ApiError(409, reason="AlreadyExists", message="taken"),
    ApiError(422, reason="Invalid", message="no", causes=(Cause("spec", "Invalid", "no"),)),
    Unreachable("refused"),
    CredentialRejected("no user"),
    InstanceUnavailable("prod-east", "DISCONNECTED", "refused"),
    DatabaseUnavailable(),
    RateLimited("sign-in", limit=10, actual=11, retry_after=30),
    SlowConsumer(),
    LimitExceeded("ALIASES", "too many", limit=50, actual=51),
    PersistedQueryNotFound(),
    StreamEnded("FORBIDDEN", "nothing left", "ROLE_REVOKED"),
    StreamEnded("UNAUTHENTICATED", "revoked", "TOKEN_REVOKED"),
)
MASKED = (RuntimeError("password=hunter2"), FellBehind("hunter2"), KeyError("hunter2"))


def documented() -> dict[str, str]:
    """What the table says, by code."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|(.*)\|$", Path("docs/errors.md").read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def written() -> Iterator[str]:
    """Every code that the sources name."""
    for folder in ("schema", "hub"):
        for path in Path(folder).glob("*.py"):
            for found in CODES.findall(path.read_text()):
                yield from filter(None, found)


def test_every_code_that_is_told_is_documented_and_none_else() -> None:
    assert {describe(error).code for error in (*TOLD, *MASKED)} == set(documented())
    assert set(written()) <= set(documented())


@pytest.mark.parametrize("error", TOLD, ids=lambda error: f"{type(error).__name__} {error}"[:40])
def test_what_a_code_carries_is_documented(error: Exception) -> None:
    problem = describe(error)
    assert problem.code != "INTERNAL"
    row = documented()[problem.code]
    names = {*problem.extras, *(key for cause in problem.extras.get("causes", ()) for key in cause)}
    assert {name for name in names if f"`{name}`" not in row} == set()
    if problem.code in ("UNAUTHENTICATED", "FORBIDDEN") and "reason" in problem.extras:
        assert f"`{problem.extras['reason']}`" in row


@pytest.mark.parametrize("error", MASKED, ids=repr)
def test_an_unexpected_exception_is_masked(error: Exception) -> None:
    wrapped = GraphQLError(f"{error}", original_error=GraphQLError("outer", original_error=error))
    formatted = format_error(wrapped, "request-1")
    assert formatted["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "hunter2" not in str(formatted)


def test_a_documents_errors_keep_their_words() -> None:
    formatted = format_error(GraphQLError("Cannot query field 'x'."), "request-1")
    assert formatted == {
        "message": "Cannot query field 'x'.",
        "extensions": {"code": "BAD_USER_INPUT", "requestId": "request-1", "fields": []},
    }


def test_every_reason_of_a_limit_is_documented() -> None:
    limits = Path("docs/limits.md").read_text()
    for path in Path("schema").glob("*.py"):
        for reason in re.findall(r'LimitExceeded\(\s*"([A-Z_]+)"', path.read_text()):
            assert f"`{reason}`" in limits, path
