"""From a request to its answer: one way for HTTP and WebSocket, queries, mutations and subscriptions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute_root_selection_set,
    get_operation_ast,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.auditing import note_refusals
from schema.context import Context
from schema.documents import Checked
from schema.errors import LimitExceeded, format_errors
from schema.introspection import may_introspect, refusals
from schema.limits import DEFAULT_LIMITS, Limits
from schema.messages import Operation
from schema.variables import problems

Errors = list[GraphQLError]


class Chosen(NamedTuple):
    """What is to be executed."""

    document: DocumentNode
    definition: OperationDefinitionNode
    cost: int


class OutOfTime(LimitExceeded):
    """An operation was begun, and given up at its deadline."""


def chosen(document: Checked, operation: Operation) -> Chosen | Errors:
    """The document's operation that is asked for, if its variables and its cost are within the limits; or why
    there is none to execute."""
    if isinstance(document, tuple):
        return list(document)
    definition = get_operation_ast(document.node, operation.operation_name)
    if definition is None:
        return [GraphQLError("Name one of the document's operations in operationName")]
    try:
        cost = document.cost(definition, operation.variables or {})
    except LimitExceeded as error:
        return [GraphQLError(str(error), original_error=error)]
    return Chosen(document.node, definition, cost)


def prepare(
    *, schema: strawberry.Schema, document: DocumentNode, operation: Operation, context: Context
) -> Executor[Any] | Errors:
    """An executor of the operation that was `chosen`, or what is wrong with its variables."""
    variables = dict(operation.variables or {})
    executor = StrawberryGraphQLCoreExecutionContext.build(
        schema._schema,
        document,
        context_value=context,
        raw_variable_values=variables,
        operation_name=operation.operation_name,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type] # it is a guard, typed as a bool
        hide_suggestions=True,
    )
    if not isinstance(executor, list):
        return executor
    definition = get_operation_ast(document, operation.operation_name)
    if definition is None:
        return executor
    wrong = problems(schema._schema, definition, variables, suggestions=may_introspect(context))
    return [GraphQLError(str(wrong), definition, original_error=wrong)]


async def answer(
    *,
    schema: strawberry.Schema,
    document: DocumentNode,
    operation: Operation,
    context: Context,
    limits: Limits = DEFAULT_LIMITS,
) -> ExecutionResult:
    """Execute a query or a mutation that was `chosen`, until the deadline."""
    if errors := refusals(schema=schema, document=document, query=operation.query, context=context):
        return ExecutionResult(None, errors)
    executor = prepare(schema=schema, document=document, operation=operation, context=context)
    if isinstance(executor, list):
        return ExecutionResult(None, executor)
    try:
        async with deadline(executor.operation, limits):
            pending = execute_root_selection_set(executor)
            result = cast("ExecutionResult", await pending if executor.is_awaitable(pending) else pending)
    except LimitExceeded as late:
        return ExecutionResult(None, [GraphQLError(str(late), original_error=late)])
    if executor.operation.operation is not OperationType.MUTATION:  # those note their own
        note_refusals(result.errors, context)
    return result


@asynccontextmanager
async def deadline(definition: OperationDefinitionNode, limits: Limits) -> AsyncIterator[None]:
    """Gives up what takes too long: raises `OutOfTime`."""
    try:
        async with asyncio.timeout(limits.deadline) as end:
            yield
    except TimeoutError as error:
        if not end.expired():
            raise
        message = f"This took longer than {limits.deadline} s and was given up"
        if definition.operation is OperationType.MUTATION:
            message += "; what was asked may or may not have happened"
        raise OutOfTime("DEADLINE", message, limit=limits.deadline) from error


def payload(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """The result as clients get it."""
    if not result.errors:
        return {"data": result.data}
    errors = format_errors(result.errors, request_id)
    begun = any(error.path or isinstance(error.original_error, OutOfTime) for error in result.errors)
    if not begun:  # nothing was executed (GraphQL, section 7.1)
        return {"errors": errors}
    return {"data": result.data, "errors": errors}
