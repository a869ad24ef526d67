"""Answers straight from the structs: a selection is compiled once, not executed each time.

The executor walks the document anew for every object, at about 170 µs; the compiled selection takes a tenth,
and next to nothing for a version whose JSON is kept (`schema.fragments`). It gives the same bytes
(tests/schema/test_projection.py compares them over random documents), because it collects fields, reads
arguments and serialises leaves with graphql-core's functions.

A selection that needs more opts out by itself: `compile_projection` gives None for inner resolvers that wait
and for abstract types, and the caller executes as ever. So it does where something fails here, since only the
executor turns a failure into errors with their paths.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from operator import attrgetter
from sys import intern
from typing import Any, NamedTuple, cast

import msgspec
from graphql import (
    Executor,
    GraphQLField,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet, collect_fields
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path
from strawberry import Info
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from schema import values
from schema.context import Context
from schema.fragments import Fragments, Kept
from schema.lasting import Witness, is_version, witness_of
from schema.values import Project, itself

FIELDS = 1024
"""Fields whose projections are kept: more than a schema has."""

Lasting = frozenset[Witness]
"""What a field depends on besides its version and the asker's rights."""
ALWAYS: Lasting = frozenset()


class _OptOut(Exception):
    """The selection holds something that only the executor can do."""


class Part(NamedTuple):
    """How a field becomes a part of the answer."""

    project: Project
    lasting: Lasting | None
    """None: it has to be asked for each time."""
    selected: Hashable
    """The same for all whose JSON is the same."""
    of_all: Callable[[Sequence[Any]], msgspec.Raw] | None = None
    """The same for a whole list of objects at once, where that is faster."""


class Root(NamedTuple):
    """A field of the operation itself."""

    name: str
    ask: Callable[[], Any]
    """Runs its guards and its resolver."""
    waits: bool
    """Whether what `ask` gives has to be awaited."""
    project: Project


def compile_projection(
    executor: Executor[Any], *, fragments: Fragments, rights: Hashable
) -> "Projection | None":
    """The executor's operation, for whoever has these rights; None if it needs the executor."""
    try:
        return Projection(executor, fragments, rights)
    except _OptOut:
        return None


class Projection:
    """A compiled operation. Whoever uses it has entered it, and not waited since."""

    def __init__(self, executor: Executor[Any], fragments: Fragments, rights: Hashable) -> None:
        self.context: Context = executor.context_value
        self._executor = executor
        self._fragments = fragments
        self._rights = rights
        self._kept: list[tuple[Kept, Sequence[Witness]]] = []
        root = cast("GraphQLObjectType", executor.schema.get_root_type(executor.operation.operation))
        fields = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, root, executor.operation
        ).grouped_field_set
        self.roots = [self._root(root, name, details) for name, details in fields.items()]
        self.waits = any(root.waits for root in self.roots)

    def enter(self, context: Context) -> None:
        """From now on, who asks is who `context` says. Raises nothing, and waits for nothing."""
        self.context = context
        for kept, witnesses in self._kept:
            kept.enter(tuple([witness(context) for witness in witnesses]))

    # ------------------------------------------------------------ fields

    def _root(self, root: GraphQLObjectType, name: str, details: FieldDetailsList) -> Root:
        definition = _definition(root, details)
        resolve, info = definition.resolve, self._info(root, definition, details)
        if resolve is None:
            raise _OptOut
        arguments = get_argument_values(definition, details[0].node, self._executor.variable_values)
        value = self._complete(itself, definition.type, details)
        waits = _strawberry_field(definition).is_async
        return Root(name, lambda: resolve(None, info(), **arguments), waits, value.project)

    def _field(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Part:
        """From an object to one of its fields."""
        name = details[0].node.name.value
        if name == "__typename":
            return Part(lambda _: parent.name, ALWAYS, name)
        if (plain := _plain(parent, name)) is not None:
            return Part(plain, ALWAYS, name)
        definition = _definition(parent, details)
        read, lasting = self._read(parent, definition, details)
        value = self._complete(read, definition.type, details)
        return Part(value.project, _both(lasting, value.lasting), (name, value.selected))

    def _read(
        self, parent: GraphQLObjectType, definition: GraphQLField, details: FieldDetailsList
    ) -> tuple[Project, Lasting | None]:
        """How to get the field's value from its object."""
        field = _strawberry_field(definition)
        resolve, resolver = definition.resolve, field.base_resolver
        if field.is_async or resolve is None:
            raise _OptOut
        if field.extensions or field.arguments:
            info = self._info(parent, definition, details)
            arguments = get_argument_values(definition, details[0].node, self._executor.variable_values)
            return lambda source: resolve(source, info(), **arguments), None
        if resolver is None:
            return attrgetter(field.python_name), ALWAYS
        # Past strawberry's own preparation of every call, which finds out again what is the same each time.
        function = cast("Project", resolver.wrapped_func)
        if resolver.info_parameter is None:
            return function, ALWAYS
        info, asked = self._info(parent, definition, details), cast("Callable[..., Any]", function)
        witness = witness_of(field)
        lasting = None if witness is None else frozenset([witness])
        return lambda source: asked(source, Info(_raw_info=info(), _field=field)), lasting

    def _info(
        self, parent: GraphQLObjectType, definition: GraphQLField, details: FieldDetailsList
    ) -> Callable[[], GraphQLResolveInfo[Context]]:
        """What a resolver is told, with the context of whoever asks."""
        nodes = [detail.node for detail in details]
        path = Path(None, nodes[0].name.value, parent.name)
        known = self._executor.build_resolve_info(definition, nodes, parent, path)

        def info() -> GraphQLResolveInfo[Context]:
            nonlocal known
            if known.context is not self.context:
                known = known._replace(context=self.context)
            return known

        return info

    # ------------------------------------------------------------ values

    def _complete(
        self, read: Project, kind: GraphQLOutputType, details: FieldDetailsList, *, required: bool = False
    ) -> Part:
        """How what `read` gives becomes a part of the answer."""
        match kind:
            case GraphQLNonNull():
                return self._complete(read, kind.of_type, details, required=True)
            case GraphQLList():
                return self._list(read, kind, details, required=required)
            case GraphQLObjectType():
                return self._object(read, kind, details, required=required)
            case _ if isinstance(kind, GraphQLLeafType):
                return Part(values.a_leaf(read, kind, required=required), ALWAYS, None)
            case _:
                raise _OptOut

    def _list(
        self, read: Project, kind: GraphQLList[Any], details: FieldDetailsList, *, required: bool
    ) -> Part:
        each = self._complete(itself, kind.of_type, details)
        if each.of_all is None:
            project = values.a_list(read, each.project, required=required)
        else:
            project = values.at_once(read, each.of_all, required=required)
        return each._replace(project=project, of_all=None)

    def _object(
        self, read: Project, kind: GraphQLObjectType, details: FieldDetailsList, *, required: bool
    ) -> Part:
        fields: GroupedFieldSet = self._executor.collect_subfields(kind, details).grouped_field_set
        # Names are interned for the same reason as `_plain` is kept: what 1,000 selections share stays in
        # the processor's caches.
        parts = [(intern(name), self._field(kind, each)) for name, each in fields.items()]
        lasting: Lasting | None = ALWAYS
        for _, part in parts:
            lasting = _both(lasting, part.lasting)
        selected = (kind.name, *((name, part.selected) for name, part in parts))
        if is_version(kind):
            return self._version(read, parts, Part(itself, lasting, selected), required=required)
        project = values.an_object(read, [(name, part.project) for name, part in parts], required=required)
        return Part(project, lasting, selected)

    def _version(
        self, read: Project, parts: Sequence[tuple[str, Part]], found: Part, *, required: bool
    ) -> Part:
        """An object whose JSON is kept, as far as its fields last."""
        kept = self._fragments.of((found.selected, self._rights))
        lasting = ALWAYS.union(*(part.lasting for _, part in parts if part.lasting is not None))
        self._kept.append((kept, sorted(lasting, key=id)))
        if found.lasting is None:
            asked = [part.project for _, part in parts if part.lasting is None]
            around = values.around(
                [(name, None if part.lasting is None else part.project) for name, part in parts]
            )
            return found._replace(project=values.filled(read, kept, around, asked, required=required))
        whole = values.whole([(name, part.project) for name, part in parts])
        return found._replace(
            project=values.a_version(read, kept, whole, required=required),
            of_all=lambda versions: kept.of_all(versions, whole),
        )


def _both(one: Lasting | None, other: Lasting | None) -> Lasting | None:
    return None if one is None or other is None else one | other


def _definition(parent: GraphQLObjectType, details: FieldDetailsList) -> GraphQLField:
    definition: GraphQLField | None = parent.fields.get(details[0].node.name.value)
    if definition is None:  # introspection
        raise _OptOut
    return definition


@lru_cache(FIELDS)
def _plain(parent: GraphQLObjectType, name: str) -> Project | None:
    """The field, if it is a leaf that depends on nothing but its object.

    All selections have it in common: with one of their own, a thousand documents take a quarter longer.
    """
    definition = parent.fields.get(name)
    if definition is None or not is_leaf_type(get_named_type(definition.type)):
        return None
    field = _strawberry_field(definition)
    if field.extensions or field.arguments or field.is_async:
        return None
    if field.base_resolver is None:
        return _leaves(attrgetter(field.python_name), definition.type)
    if field.base_resolver.info_parameter is not None:
        return None
    return _leaves(cast("Project", field.base_resolver.wrapped_func), definition.type)


def _leaves(read: Project, kind: GraphQLOutputType, *, required: bool = False) -> Project:
    match kind:
        case GraphQLNonNull():
            return _leaves(read, kind.of_type, required=True)
        case GraphQLList():
            return values.a_list(read, _leaves(itself, kind.of_type), required=required)
        case _:
            return values.a_leaf(read, cast("GraphQLLeafType", kind), required=required)


def _strawberry_field(definition: GraphQLField) -> StrawberryField:
    field: StrawberryField = definition.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return field
