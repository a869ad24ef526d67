"""Documents, judged, parsed and validated once for whoever sends the same text again."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakValueDictionary

import strawberry
from anyio import to_thread
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
)

from schema.cost import Costs
from schema.errors import LimitExceeded
from schema.limits import DEFAULT_LIMITS, Limits, judge_text, judge_tree, judge_variables
from schema.validation import parsed, validated

KEPT = 16_777_216
"""Bytes that the kept documents may take together, by this estimate; measured: 700 to 1,000 for a token."""
TOKEN, CHARACTER, REFUSED = 1_000, 4, 10_000
ERRORS = 10
"""Errors that are told of a document."""
SUGGESTED = 3
"""Errors that say what was perhaps meant: comparing a name with all others takes up to 5 ms."""


class Document:
    """A sound document, and what was found out about it."""

    def __init__(self, schema: GraphQLSchema, node: DocumentNode, limits: Limits) -> None:
        self.node = node
        self._costs = Costs(schema, node)
        self._limits = limits

    def cost(self, definition: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """What its operation costs with these variables. Raises `LimitExceeded` if that is too much, or the
        variables are."""
        if variables:
            judge_variables(variables, self._limits)
        cost, limit = self._costs.of(definition, variables), self._limits.cost
        if cost > limit:
            message = f"This costs {cost} and may cost {limit}: ask for smaller pages or fewer fields"
            raise LimitExceeded("COST", message, limit=limit, actual=cost)
        return cost


Checked = Document | tuple[GraphQLError, ...]
"""A sound document, or what is wrong with it."""


class Documents:
    def __init__(self, schema: strawberry.Schema, limits: Limits = DEFAULT_LIMITS) -> None:
        # strawberry has no public name for the schema that graphql-core works with.
        self._schema = schema._schema
        self._limits = limits
        self._kept: OrderedDict[str, _Known] = OrderedDict()
        self._size = 0
        self._turn = asyncio.Lock()
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        """Of each who waits, so that they come round by persons and not by documents."""

    async def admit(self, query: str, *, suggestions: bool = False, who: Hashable = None) -> None:
        """Have the document checked, so that `check` knows it: in a thread and one at a time, since it may
        take 40 ms, for which nobody else would be answered. Whoever sends many waits for their own."""
        known = self._kept.get(query)
        if known is not None and known.told(suggestions=suggestions) is not None:
            return
        try:
            tokens = judge_text(query, self._limits)
        except LimitExceeded:
            return
        async with self._turns.setdefault(who, asyncio.Lock()), self._turn:
            known = self._kept.get(query)
            if known is None:
                checked = await to_thread.run_sync(self._check, query)
                known = self._keep(query, tokens, checked)
            if known.told(suggestions=suggestions) is None:
                known.suggested = await to_thread.run_sync(self._suggest, query, known.checked)

    def check(self, query: str, *, suggestions: bool = False) -> Checked:
        """Judge, parse and validate, unless that was done. With `suggestions`, errors say what was perhaps
        meant, which is for those alone who may ask for the schema."""
        known = self._kept.get(query)
        if known is None:
            try:
                known = self._keep(query, judge_text(query, self._limits), self._check(query))
            except LimitExceeded as error:  # cheap to find again, and not worth keeping
                return (_wrapped(error),)
        self._kept.move_to_end(query)
        told = known.told(suggestions=suggestions)
        if told is None:
            told = known.suggested = self._suggest(query, known.checked)
        return told

    def _keep(self, query: str, tokens: int, checked: Checked) -> "_Known":
        if query in self._kept:  # meanwhile, by somebody else
            return self._kept[query]
        size = len(query) * CHARACTER + (tokens * TOKEN if isinstance(checked, Document) else REFUSED)
        known = self._kept[query] = _Known(checked, size)
        self._size += known.size
        while self._size > KEPT and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size -= dropped.size
        return known

    def _check(self, query: str) -> Checked:
        try:
            document = parsed(query, tokens=self._limits.tokens)
        except GraphQLSyntaxError as error:
            return (error.with_traceback(None),)  # whose frames would be kept
        if exceeded := tuple(map(_wrapped, judge_tree(document, self._limits))):
            return exceeded
        errors = validated(self._schema, document, most=ERRORS)
        return tuple(errors) or Document(self._schema, document, self._limits)

    def _suggest(self, query: str, checked: Checked) -> tuple[GraphQLError, ...]:
        """The errors, the first of them with suggestions: validation finds them in the same order again."""
        errors = cast("tuple[GraphQLError, ...]", checked)
        if errors[0].original_error or isinstance(errors[0], GraphQLSyntaxError):
            return errors
        document = parsed(query, tokens=self._limits.tokens)
        found = validated(self._schema, document, most=SUGGESTED, suggestions=True)[:SUGGESTED]
        return (*found, *errors[len(found) :])


@dataclass
class _Known:
    """A document that was checked."""

    checked: Checked
    size: int
    """About how many bytes it takes."""
    suggested: tuple[GraphQLError, ...] | None = None

    def told(self, *, suggestions: bool) -> Checked | None:
        """What is known of it, with or without suggestions; None until these are made."""
        return self.suggested if suggestions and isinstance(self.checked, tuple) else self.checked


def _wrapped(error: LimitExceeded) -> GraphQLError:
    return GraphQLError(str(error), original_error=error)
