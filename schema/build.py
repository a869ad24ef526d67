"""The schema, put together."""

from datetime import datetime

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

import schema.enums  # noqa: F401 - exposes the enums before any type is built
from schema.common import DATE_TIME
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription

DOCUMENTS = 512
"""Parsed and validated documents that are kept."""


class Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing: `schema.errors.describe` logs what is unexpected, once, where it is masked."""


def build_schema() -> Schema:
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=[lambda: ParserCache(maxsize=DOCUMENTS), lambda: ValidationCache(maxsize=DOCUMENTS)],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
