"""Parsing and validating a document so that nothing of it is left but what is asked for.

graphql-core's tokens point at each other and its rules at themselves, so a document that was refused would
wait for the garbage collector, and a flood of them made everybody wait for a tenth of a second at a time.
"""

from itertools import islice

from graphql import (
    DocumentNode,
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
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.merging import find_conflicts

_RULES = (
    *(rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule),  # `schema.merging`
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


def parsed(text: str, *, tokens: int) -> DocumentNode:
    """Raises GraphQLSyntaxError."""
    document = parse(text, max_tokens=tokens)
    token = document.loc.start_token if document.loc else None
    while token is not None:
        token.prev, token = None, token.next
    return document


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
    context = ValidationContext(schema, document, types, report, hide_suggestions=not suggestions)
    rules = [rule(context) for rule in _RULES]
    together = ParallelVisitor(rules)
    visitor = TypeInfoVisitor(types, together)
    try:
        visit(document, visitor, query_document_keys_to_validate)
    except ValidationAbortedError as error:
        errors.append(error)
    found = [_of_text(error) for error in errors or islice(find_conflicts(schema, document), most)]
    _forget(errors, types, context, together, visitor, *rules)
    return found


def _forget(errors: list[GraphQLError], *parts: object) -> None:
    """Part what points at each other: errors that were raised and the frames that hold them, visitors and
    themselves."""
    errors.clear()
    for part in parts:
        for kept in vars(part).values():
            for value in kept.values() if isinstance(kept, dict) else ():
                if isinstance(value, list):  # of what was found in a fragment, which its finder holds too
                    value.clear()
        vars(part).clear()


def _of_text(error: GraphQLError) -> GraphQLError:
    """The error with its places in the text, but without nodes of the tree, and without what a scalar's own
    parser may have raised: it is an error of the document."""
    return GraphQLError(error.message, source=error.source, positions=error.positions)
