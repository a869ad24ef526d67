"""Parsing and validating a document so that nothing of it is left but what is asked for.

graphql-core's tokens point at each other and its rules at themselves, so a document that was refused would
wait for the garbage collector, and a flood of them made everybody wait for a tenth of a second at a time.
"""

from collections.abc import Callable
from itertools import islice

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OverlappingFieldsCanBeMergedRule,
    ParallelVisitor,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    parse,
    specified_rules,
    visit,
)
from graphql.validation.validate import ValidationAbortedError, query_document_keys_to_validate
from graphql.validation.validation_context import NodeWithSelectionSet, VariableUsage, VariableUsageVisitor
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.merging import find_conflicts

_RULES = (
    *(rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule),  # `schema.merging`
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


_Report = Callable[[GraphQLError], None]


def parsed(text: str, *, tokens: int) -> DocumentNode:
    """Raises GraphQLSyntaxError."""
    document = parse(text, max_tokens=tokens)
    token = document.loc.start_token if document.loc else None
    while token is not None:
        token.prev, token = None, token.next
    return document


class _Context(ValidationContext):
    """Finds variables without finders that hold themselves, and each definition by its identity: graphql-core
    compares definitions by all that is in them."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, types: TypeInfo, report: _Report, **options: bool
    ) -> None:
        super().__init__(schema, document, types, report, **options)
        self._types = types
        self._usages: dict[int, list[VariableUsage]] = {}

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        found = self._usages.get(id(node))
        if found is None:
            fragment = node if isinstance(node, FragmentDefinitionNode) else None
            finder = VariableUsageVisitor(self._types, fragment)
            visitor = TypeInfoVisitor(self._types, finder)
            visit(node, visitor)
            found = self._usages[id(node)] = finder.usages
            _forget(finder, visitor)
        return found


def validated(
    schema: GraphQLSchema, document: DocumentNode, *, most: int, suggestions: bool = False
) -> list[GraphQLError]:
    """At most so many errors, and one more that says so if there are others. With `suggestions`, they say
    what was perhaps meant."""
    errors: list[GraphQLError] = []

    def report(error: GraphQLError) -> None:
        if len(errors) == most:
            raise ValidationAbortedError("There are more errors: these are the first.")
        errors.append(error)

    types = TypeInfo(schema)
    context = _Context(schema, document, types, report, hide_suggestions=not suggestions)
    rules = [rule(context) for rule in _RULES]
    together = ParallelVisitor(rules)
    visitor = TypeInfoVisitor(types, together)
    try:
        visit(document, visitor, query_document_keys_to_validate)
    except ValidationAbortedError as error:
        errors.append(error)
    found = [_of_text(error) for error in errors or islice(find_conflicts(schema, document), most)]
    errors.clear()  # those that were raised hold the frames that hold them
    _forget(types, context, together, visitor, *rules)
    return found


def _forget(*parts: object) -> None:
    """Let go of all that these hold: they hold themselves."""
    for part in parts:
        vars(part).clear()


def _of_text(error: GraphQLError) -> GraphQLError:
    """The error with its places in the text, but without nodes of the tree, and without what a scalar's own
    parser may have raised: it is an error of the document."""
    return GraphQLError(error.message, source=error.source, positions=error.positions)
