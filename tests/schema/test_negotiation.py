"""Which media type an Accept header gets."""

import pytest

from schema.negotiation import GRAPHQL_RESPONSE, JSON, response_type


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=0.5, application/json", JSON),
        ("application/graphql-response+json;q=0.9, */*;q=0.1", GRAPHQL_RESPONSE),
        ("application/json;q=0, */*", GRAPHQL_RESPONSE),
        ("text/html, */*;q=0.8", JSON),
        ("text/plain", None),
        ("application/json;q=0", None),
        ("application/json;q=much", None),
        (",;,", JSON),
    ],
)
def test_the_better_liked_of_the_two(accept: str, media_type: str | None) -> None:
    assert response_type(accept) == media_type
