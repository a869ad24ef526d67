"""Documents, parsed and validated once for whoever sends the same text again."""

from collections import OrderedDict

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSyntaxError, parse, specified_rules
from strawberry.schema.schema import validate_document

KEPT = 512
KEPT_LENGTH = 8192
"""Longer documents aren't kept: an AST is a hundred times its text, and a stranger chooses the text."""

Checked = DocumentNode | tuple[GraphQLError, ...]
"""A sound document, or what is wrong with it."""


class Documents:
    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema = schema
        self._kept: OrderedDict[str, Checked] = OrderedDict()

    def check(self, query: str) -> Checked:
        """Parse and validate, unless that was done."""
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
        return tuple(validate_document(self._schema._schema, document, specified_rules)) or document
