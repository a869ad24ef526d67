"""Documents, parsed, judged and validated once for whoever sends the same text again."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.schema.schema import validate_document

from schema.limits import DEFAULT_LIMITS, Limits

KEPT = 512
KEPT_LENGTH = 8192
"""Longer documents aren't kept: an AST is a hundred times its text, and a stranger chooses the text."""


class Document:
    """A sound document, and what was found out about it."""

    def __init__(self, node: DocumentNode, limits: Limits) -> None:
        self.node = node
        self.limits = limits

    def cost(self, definition: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:  # noqa: ARG002
        """What its operation costs with these variables (`schema.cost`)."""
        return 0


Checked = Document | tuple[GraphQLError, ...]
"""A sound document, or what is wrong with it."""


class Documents:
    def __init__(self, schema: strawberry.Schema, limits: Limits = DEFAULT_LIMITS) -> None:
        self._schema = schema
        self._limits = limits
        self._kept: OrderedDict[str, Checked] = OrderedDict()

    def check(self, query: str, *, suggestions: bool = False) -> Checked:  # noqa: ARG002
        """Parse, judge and validate, unless that was done. With `suggestions`, errors say what was perhaps
        meant, which is for those alone who may ask for the schema."""
        known = self._kept.pop(query, None) or self._check(query)
        if len(query) <= KEPT_LENGTH:
            self._kept[query] = known
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known

    def _check(self, query: str) -> Checked:
        try:
            document = parse(query)
        except GraphQLSyntaxError as error:
            return (error,)
        # strawberry has no public name for the schema that graphql-core works with.
        errors = tuple(validate_document(self._schema._schema, document, specified_rules))
        return errors or Document(document, self._limits)
