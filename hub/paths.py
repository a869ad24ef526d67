"""Which rules a request falls under, by its path and method alone."""

from starlette.datastructures import QueryParams
from starlette.types import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


def is_graphql(scope: Scope) -> bool:
    return _is_under(scope, "/graphql")


def is_api(scope: Scope) -> bool:
    return _is_under(scope, "/api")


def executes_graphql(scope: Scope) -> bool:
    """Whether the HTTP request asks for more than the explorer's page."""
    if not is_graphql(scope):
        return False
    return scope["method"] not in SAFE_METHODS or "query" in QueryParams(scope["query_string"])


def can_act(scope: Scope) -> bool:
    """Whether the HTTP request could do or read something in its sender's name."""
    return executes_graphql(scope) or (is_api(scope) and scope["method"] not in SAFE_METHODS)


def needs_sound_credential(scope: Scope) -> bool:
    """Whether a bad credential refuses the HTTP request, instead of being ignored."""
    return executes_graphql(scope) or (is_api(scope) and not _is_under(scope, "/api/auth"))


def _is_under(scope: Scope, path: str) -> bool:
    asked: str = scope["path"]
    return asked == path or asked.startswith(f"{path}/")
