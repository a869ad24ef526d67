"""Which media type a request wants its answer in (GraphQL over HTTP, section 6; RFC 9110, section 12.5.1)."""

from collections.abc import Iterator
from functools import lru_cache

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


@lru_cache(256)
def accepts_stream(accept: str) -> bool:
    """Whether a subscription may be answered with a stream: only to whom names it, for few expect one."""
    return dict(_ranges(accept)).get(EVENT_STREAM, 0.0) > 0


@lru_cache(256)
def response_type(accept: str) -> str | None:
    """The better liked of the two; JSON where both are liked alike without a name. None: neither will do."""
    liked = {media_type: _quality(accept, media_type) for media_type in (JSON, GRAPHQL_RESPONSE)}
    if not any(liked.values()):
        return None
    named = GRAPHQL_RESPONSE in accept.lower()
    return max(liked, key=lambda media_type: (liked[media_type], named == (media_type != JSON)))


def _quality(accept: str, media_type: str) -> float:
    """What the most specific range that matches says; everything is liked where nothing is said."""
    ranges = dict(_ranges(accept)) or {"*/*": 1.0}
    kind = media_type.partition("/")[0]
    return next((ranges[known] for known in (media_type, f"{kind}/*", "*/*") if known in ranges), 0.0)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        if media_range:
            yield media_range, _weight(parameters)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
