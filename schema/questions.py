"""A live question: a subscription with its variables, as asked by people with the same rights."""

from collections.abc import Hashable
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

from auth.identity import Identity
from resolvers.streams import Live
from schema.auditing import note_refusals
from schema.context import Context
from schema.execution import payload, prepare
from schema.fragments import Fragments
from schema.messages import Operation
from schema.projection import Projection, compile_projection

_JSON = msgspec.json.Encoder()


@dataclass(frozen=True)
class Question:
    """What is asked, and how its answers are made."""

    schema: strawberry.Schema
    document: DocumentNode
    operation: Operation
    context: Context
    """The first asker's. Whoever shares an answer has the same rights, and no field behind a stream tells
    more of a person than these."""
    fragments: Fragments

    @cached_property
    def key(self) -> Hashable:
        """Equal for all who may share one encoded answer."""
        operation = self.operation
        variables = msgspec.json.encode(operation.variables or {}, order="deterministic")
        return (operation.query, operation.operation_name, variables, self.rights)

    @property
    def rights(self) -> Hashable:
        return self.context.identity.rights if self.context.identity else None

    @cached_property
    def executor(self) -> "Executor[Any] | list[GraphQLError]":
        return prepare(
            schema=self.schema, document=self.document, operation=self.operation, context=self.context
        )

    @cached_property
    def _projection(self) -> Projection | None:
        executor = cast("Executor[Any]", self.executor)  # `ask` found it sound
        return compile_projection(executor, fragments=self.fragments, rights=self.rights)

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
            note_refusals(stream.errors, self.context)
            return stream.errors or []
        return cast("Live[Any]", stream)  # what every resolver of `schema.subscription` gives

    async def payload(self, message: Any) -> bytes:
        """One message as the JSON of an execution result."""
        if (projection := self._projection) is not None:
            try:
                projection.enter(self.context)
                return _JSON.encode({"data": {root.name: root.project(message) for root in projection.roots}})
            except Exception:  # noqa: S110 - whatever it is, the executor says it with its path
                pass
        executor = cast("Executor[Any]", self.executor)  # `ask` found it sound
        result = execute_subscription_event(executor.build_per_event_executor(message))
        if not isinstance(result, ExecutionResult):
            result = await result
        return _JSON.encode(payload(result, self.context.request_id))
