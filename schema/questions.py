"""A live question: a subscription with its variables, as asked by people with the same rights."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import msgspec
import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    create_source_event_stream,
    execute_subscription_event,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from auth.identity import Identity
from resolvers.streams import Live
from schema.context import Context
from schema.errors import format_errors

_JSON = msgspec.json.Encoder()


@dataclass(frozen=True)
class Question:
    """What is asked, and how its answers are made."""

    schema: strawberry.Schema
    query: str
    document: DocumentNode
    operation_name: str | None
    variables: Mapping[str, Any]
    context: Context
    """The first asker's. Whoever shares an answer has the same rights, and no field behind a stream tells
    more of a person than these."""

    @cached_property
    def key(self) -> Hashable:
        """Equal for all who may share one encoded answer."""
        identity = self.context.identity
        variables = msgspec.json.encode(self.variables, order="deterministic")
        return (self.query, self.operation_name, variables, identity.rights if identity else None)

    @cached_property
    def executor(self) -> "Executor[Any] | list[GraphQLError]":
        return StrawberryGraphQLCoreExecutionContext.build(
            self.schema._schema,
            self.document,
            context_value=self.context,
            raw_variable_values=dict(self.variables),
            operation_name=self.operation_name,
        )

    def asked_by(self, identity: Identity) -> "Question":
        return replace(self, context=replace(self.context, identity=identity))

    async def ask(self) -> Live[Any] | list[GraphQLError]:
        """Run the subscription's guards and its resolver."""
        executor = self.executor
        if isinstance(executor, list):
            return executor
        stream = create_source_event_stream(executor)
        if executor.is_awaitable(stream):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            return stream.errors or []
        return cast("Live[Any]", stream)  # what every resolver of `schema.subscription` gives

    async def payload(self, message: Any) -> bytes:
        """One message as the JSON of an execution result."""
        executor = cast("Executor[Any]", self.executor)  # `ask` found it sound
        result = execute_subscription_event(executor.build_per_event_executor(message))
        if not isinstance(result, ExecutionResult):
            result = await result
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = format_errors(result.errors, self.context.request_id)
        return _JSON.encode(answer)
