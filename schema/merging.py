"""Whether fields of one name can be merged (GraphQL, section 5.3.2), found out in linear time.

graphql-core compares every two fields of a name and every two fragments, which takes a third of a second for
1,000 tokens. But fields that are to be the same are compared well enough each with the first: once for what
they return, all together, and once for what they are, among those that can meet in one object. It is asked of
documents that are valid otherwise: no unknown field, no cycle of fragments.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    print_ast,
)
from graphql.utilities.sort_value_node import sort_value_node

from schema.measures import fragments_of


class _Field(NamedTuple):
    node: FieldNode
    parent: GraphQLCompositeType
    type: GraphQLOutputType | None
    """None for `__typename`, which may stand beside anything (as graphql-js has it)."""


_Level = list[tuple[GraphQLCompositeType, SelectionSetNode]]
"""Selections, with what they are of, that make up one level of the answer together."""


def find_conflicts(schema: GraphQLSchema, document: DocumentNode) -> Iterator[GraphQLError]:
    """Fields of the document's operations that can't be merged."""
    merging = _Merging(schema, fragments_of(document))
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            root = cast("GraphQLObjectType", schema.get_root_type(definition.operation))
            yield from merging.conflicts([(root, definition.selection_set)], may_meet=True)


class _Merging:
    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments

    def conflicts(self, level: _Level, *, may_meet: bool) -> Iterator[GraphQLError]:
        """`may_meet` says whether all of this can be selected of one object, so that fields of a name have to
        be the same, and not only to return the same."""
        for name, fields in self._by_name(level).items():
            meeting = _meeting(fields) if may_meet else []
            if (why := _first(_types_differ, [field for field in fields if field.type])) is not None:
                yield _error(name, why)
            for part in meeting:
                if (why := _first(_names_differ, part)) is not None:
                    yield _error(name, why)
            if len(meeting) != 1:
                yield from self.conflicts(_below(fields), may_meet=False)
            for part in meeting:
                yield from self.conflicts(_below(part), may_meet=True)

    def _by_name(self, level: _Level) -> dict[str, list[_Field]]:
        """The level's fields by their names in the answer, those of its fragments included."""
        found: dict[str, list[_Field]] = {}
        spread: set[str] = set()
        waiting = list(level)
        for parent, selection_set in waiting:  # and what is added to it meanwhile
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    name = (selection.alias or selection.name).value
                    found.setdefault(name, []).append(self._field(parent, selection))
                elif isinstance(selection, InlineFragmentNode):
                    waiting.append((self._on(selection.type_condition, parent), selection.selection_set))
                elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                    spread.add(selection.name.value)
                    fragment = self._fragments[selection.name.value]
                    waiting.append((self._on(fragment.type_condition, parent), fragment.selection_set))
        return found

    def _field(self, parent: GraphQLCompositeType, node: FieldNode) -> _Field:
        name = node.name.value
        definition = None if name == "__typename" else self._schema.get_field(parent, name)
        return _Field(node, parent, None if definition is None else definition.type)

    def _on(self, condition: NamedTypeNode | None, parent: GraphQLCompositeType) -> GraphQLCompositeType:
        if condition is None:
            return parent
        return cast("GraphQLCompositeType", self._schema.get_type(condition.name.value))


def _meeting(fields: list[_Field]) -> list[list[_Field]]:
    """The fields in parts, each of which can meet in one object: an interface's fields are in all of them."""
    concrete: dict[str, list[_Field]] = {}
    abstract: list[_Field] = []
    for field in fields:
        if isinstance(field.parent, GraphQLObjectType):
            concrete.setdefault(field.parent.name, []).append(field)
        else:
            abstract.append(field)
    return [part + abstract for part in concrete.values()] or [abstract]


def _below(fields: Iterable[_Field]) -> _Level:
    return [
        (cast("GraphQLCompositeType", get_named_type(field.type)), field.node.selection_set)
        for field in fields
        if field.node.selection_set and field.type
    ]


class _Why(NamedTuple):
    reason: str
    one: FieldNode
    other: FieldNode


def _first(differ: Callable[[_Field, _Field], str | None], fields: list[_Field]) -> _Why | None:
    """The first that differs from the first."""
    for other in fields[1:]:
        if (reason := differ(fields[0], other)) is not None:
            return _Why(reason, fields[0].node, other.node)
    return None


def _error(name: str, why: _Why) -> GraphQLError:
    advice = "Use different aliases on the fields to fetch both if this was intentional."
    return GraphQLError(f"Fields '{name}' conflict because {why.reason}. {advice}", [why.one, why.other])


def _types_differ(one: _Field, other: _Field) -> str | None:
    if _shape(one.type) == _shape(other.type):
        return None
    return f"they return conflicting types '{one.type}' and '{other.type}'"


def _shape(kind: GraphQLOutputType | None) -> str:
    """What has to be the same wherever a client reads it: lists, nulls, and the type of a leaf."""
    named = get_named_type(kind)
    return str(kind).replace(named.name, "{}") if named and is_composite_type(named) else str(kind)


def _names_differ(one: _Field, other: _Field) -> str | None:
    first, second = one.node.name.value, other.node.name.value
    if first != second:
        return f"'{first}' and '{second}' are different fields"
    if _arguments(one.node) != _arguments(other.node):
        return "they have differing arguments"
    return None


def _arguments(node: FieldNode) -> dict[str, str]:
    return {
        argument.name.value: print_ast(sort_value_node(argument.value)) for argument in node.arguments or ()
    }
