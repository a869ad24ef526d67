"""Who may ask for the schema itself: whoever is signed in, unless HUB_ALLOW_INTROSPECTION says otherwise."""

import re

import strawberry
from graphql import DocumentNode, GraphQLError, NoSchemaIntrospectionCustomRule, validate

from auth.permissions import Permission
from auth.policy import Place, Refusal, RefusalReason
from schema.context import Context
from schema.errors import Refused

_NAMED = re.compile(r"__(?:schema|type)\b")
"""Without one of these names in its text, a document can't ask for the schema."""


def may_introspect(context: Context) -> bool:
    """Whether the schema, and so every suggestion of a name, may be told to whoever asks."""
    return context.identity is not None if context.introspection is None else context.introspection


def refusals(
    *, schema: strawberry.Schema, document: DocumentNode, query: str, context: Context
) -> list[GraphQLError]:
    """Why the document may not be executed, if it asks for the schema and its sender may not."""
    if may_introspect(context) or not _NAMED.search(query):
        return []
    errors = validate(schema._schema, document, [NoSchemaIntrospectionCustomRule])
    if errors and context.introspection is None:
        anonymous = Refused(Refusal(RefusalReason.UNAUTHENTICATED, Permission.VIEW_INSTANCES, Place()))
        return [GraphQLError(str(anonymous), errors[0].nodes, original_error=anonymous)]
    return errors
