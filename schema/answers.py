"""Queries and mutations, answered in JSON: straight from the structs where that can be, else executed.

A query is compiled once for its text, its variables and the rights of who asks (`schema.projection`), and
looked up by these three: nothing else of a person is in what is compiled. Its root fields are resolved for
each request, with their guards. What can't be compiled, or fails, is executed by graphql-core.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import msgspec
import strawberry
from graphql import ExecutionResult, GraphQLError, OperationType

from schema.context import Context
from schema.errors import LimitExceeded
from schema.execution import Chosen, answer, deadline, payload, prepare
from schema.fragments import Fragments
from schema.limits import Limits
from schema.messages import Operation
from schema.projection import Projection, compile_projection

KEPT = 512
"""Compiled queries that are kept."""

_JSON = msgspec.json.Encoder()
_VARIABLES = msgspec.json.Encoder(order="deterministic")


class Answer(NamedTuple):
    """A GraphQL response."""

    body: bytes
    """As JSON."""
    executed: bool
    """Whether anything was; else the request was refused as a whole."""


class Answers:
    """Answers with these limits, sharing fragments with whoever else has them."""

    def __init__(self, schema: strawberry.Schema, *, fragments: Fragments, limits: Limits) -> None:
        self._schema = schema
        self._fragments = fragments
        self._limits = limits
        self._compiled: OrderedDict[Hashable, Projection | None] = OrderedDict()

    async def answer(self, asked: Chosen, operation: Operation, context: Context) -> Answer:
        """Execute what was `chosen`."""
        told = await self._projected(asked, operation, context)
        if told is None:
            result = await answer(
                schema=self._schema,
                document=asked.document,
                operation=operation,
                context=context,
                limits=self._limits,
            )
            told = payload(result, context.request_id)
        if operation.extensions and operation.extensions.get("cost") is True:
            told["extensions"] = {"cost": {"requested": asked.cost, "limit": self._limits.cost}}
        return Answer(_JSON.encode(told), executed="data" in told)

    def refuse(self, errors: list[GraphQLError], context: Context) -> Answer:
        """The answer to what can't be executed."""
        return Answer(
            _JSON.encode(payload(ExecutionResult(None, errors), context.request_id)), executed=False
        )

    async def _projected(
        self, asked: Chosen, operation: Operation, context: Context
    ) -> dict[str, Any] | None:
        """The response of a compiled query; None for what has to be executed."""
        projection = self._projection(asked, operation, context)
        if projection is None:
            return None
        data = {}
        try:
            async with deadline(asked.definition, self._limits) if projection.waits else nullcontext():
                for root in projection.roots:
                    projection.enter(context)
                    value = root.ask()
                    if root.waits:
                        value = await value
                        projection.enter(context)  # somebody else may have asked meanwhile
                    data[root.name] = root.project(value)
        except LimitExceeded as error:
            refused = ExecutionResult(None, [GraphQLError(str(error), original_error=error)])
            return payload(refused, context.request_id)
        except Exception:  # whatever it is, the executor says it with its path
            return None
        return {"data": data}

    def _projection(self, asked: Chosen, operation: Operation, context: Context) -> Projection | None:
        if asked.definition.operation is not OperationType.QUERY:
            return None
        rights = context.identity.rights if context.identity else None
        key = operation.query, operation.operation_name, _fixed(operation.variables), rights
        try:
            self._compiled.move_to_end(key)
        except KeyError:
            self._compiled[key] = self._compile(asked, operation, context, rights)
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        return self._compiled[key]

    def _compile(
        self, asked: Chosen, operation: Operation, context: Context, rights: Hashable
    ) -> Projection | None:
        executor = prepare(schema=self._schema, document=asked.document, operation=operation, context=context)
        if isinstance(executor, list):  # its variables are wrong
            return None
        return compile_projection(executor, fragments=self._fragments, rights=rights)


def _fixed(variables: Mapping[str, Any] | None) -> bytes:
    return _VARIABLES.encode(variables) if variables else b""
