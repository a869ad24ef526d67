"""The schema, put together."""

from datetime import datetime

import strawberry
from strawberry.schema.config import StrawberryConfig

import schema.enums  # noqa: F401 - exposes the enums before any type is built
from schema.common import DATE_TIME
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


def build_schema() -> strawberry.Schema:
    """All of it. Requests are executed by `schema.execution`, so there are no extensions here."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
