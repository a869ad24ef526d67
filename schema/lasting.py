"""What lasts: which objects are versions, and which of their fields may be kept as JSON (`schema.fragments`).

Of a version, a field without `info` lasts: it can depend on nothing else. One that takes `info` is asked for
each time, unless it says with `metadata=while_same(…)` what it depends on besides the version and the asker's
rights. A field with a guard or with arguments is always asked for.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from graphql import GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from schema.context import Context

Witness = Callable[[Context], Hashable]
"""What a field depends on. As long as it is equal, so is the field."""

_WITNESS, _VERSION = "kept while this is the same", "is_version"


def while_same(witness: Witness) -> Mapping[str, Witness]:
    """Metadata of a field that may be kept for as long as the witness gives the same."""
    return {_WITNESS: witness}


def witness_of(field: StrawberryField) -> Witness | None:
    witness: Witness | None = field.metadata.get(_WITNESS)
    return witness


def version(cls: type) -> type:
    """Decorator of a type whose objects are versions: frozen, and replaced whenever anything changes."""
    setattr(cls, _VERSION, True)
    return cls


def is_version(kind: GraphQLObjectType) -> bool:
    definition: Any = kind.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return getattr(definition.origin, _VERSION, False)
