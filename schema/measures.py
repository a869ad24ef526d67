"""How large a document is once its fragments are in place, without putting them there.

A fragment that spreads another one twice doubles it, so thirty small ones can stand for a thousand million
fields. Here each is measured once, inside out, and what is measured is added up where it is spread.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)

MOST = 1_000_000_000
"""Where counting stops, so that figures stay figures."""


class Size(NamedTuple):
    """Of a document, or of a part of one."""

    depth: int = 0
    """Fields within fields."""
    nesting: int = 0
    """Selections within selections, fragments included."""
    root_fields: int = 0
    """Fields that stand at its own level."""
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    """Fields, fragments and values of arguments: what validation and execution walk over."""


NOTHING = Size()


def measure(document: DocumentNode) -> Size:
    """The most of any operation in depth, nesting and root fields, and the sum of all in the rest. A fragment
    that no operation reaches counts like one more: it is validated as well."""
    fragments = fragments_of(document)
    sizes: dict[str, Size] = {}
    for name in inside_out(fragments):
        sizes[name] = _definition(fragments[name], sizes)
    total, reached = NOTHING, set[str]()
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            total = _beside(total, _definition(definition, sizes))
            reached.update(_reached(definition.selection_set, fragments, reached))
    for name in reversed(sizes):  # who spreads others comes before them
        if name not in reached:
            total = _beside(total, sizes[name]._replace(root_fields=0))
            reached.add(name)
            reached.update(_reached(fragments[name].selection_set, fragments, reached))
    return total


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """By name; of two of one name, which validation refuses, the last."""
    return {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def inside_out(fragments: Mapping[str, FragmentDefinitionNode]) -> list[str]:
    """The fragments' names, each behind those that it spreads, as far as there is no cycle."""
    ordered: dict[str, None] = {}
    entered: set[str] = set()
    for root in fragments:
        path = [(root, _spreads(fragments[root].selection_set))] if root not in entered else []
        entered.add(root)
        while path:
            name, spreads = path[-1]
            inner = next((each for each in spreads if each in fragments and each not in entered), None)
            if inner is None:
                ordered[name] = None
                path.pop()
            else:
                entered.add(inner)
                path.append((inner, _spreads(fragments[inner].selection_set)))
    return list(ordered)


def _reached(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], known: set[str]
) -> set[str]:
    """Fragments that are spread there, at whatever remove, and aren't known yet."""
    found: set[str] = set()
    waiting = [selection_set]
    while waiting:
        for name in _spreads(waiting.pop()):
            if name in fragments and name not in found and name not in known:
                found.add(name)
                waiting.append(fragments[name].selection_set)
    return found


def _spreads(selection_set: SelectionSetNode) -> Iterator[str]:
    """Names of the fragments that are spread in it, at any depth."""
    waiting = [selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                yield selection.name.value
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                waiting.append(selection.selection_set)


def _definition(
    definition: OperationDefinitionNode | FragmentDefinitionNode, sizes: Mapping[str, Size]
) -> Size:
    size = _selections(definition.selection_set, sizes)
    directives = list(definition.directives or ())
    for variable in definition.variable_definitions or ():
        directives += variable.directives or ()
    return size._replace(
        directives=size.directives + len(directives), fields=size.fields + _arguments(directives)
    )


def _selections(selection_set: SelectionSetNode, sizes: Mapping[str, Size]) -> Size:
    depth = nesting = root_fields = aliases = directives = fields = 0
    for selection in selection_set.selections:
        below, is_field = _below(selection, sizes), isinstance(selection, FieldNode)
        depth = max(depth, below.depth + is_field)
        nesting = max(nesting, below.nesting)
        root_fields += 1 if is_field else below.root_fields
        aliases += below.aliases
        directives += below.directives
        fields += below.fields + 1
        if isinstance(selection, FieldNode):
            aliases += selection.alias is not None
            fields += _values(selection.arguments) if selection.arguments else 0
        if selection.directives:
            directives += len(selection.directives)
            fields += _arguments(selection.directives)
    return Size(
        depth, nesting + 1, *(min(figure, MOST) for figure in (root_fields, aliases, directives, fields))
    )


def _below(selection: SelectionNode, sizes: Mapping[str, Size]) -> Size:
    if isinstance(selection, FragmentSpreadNode):
        return sizes.get(selection.name.value, NOTHING)
    if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
        return _selections(selection.selection_set, sizes)
    return NOTHING


def _arguments(directives: Iterable[DirectiveNode]) -> int:
    return sum(_values(directive.arguments) for directive in directives)


def _beside(one: Size, other: Size) -> Size:
    """Both together, as two operations of a document."""
    return Size(
        depth=max(one.depth, other.depth),
        nesting=max(one.nesting, other.nesting),
        root_fields=max(one.root_fields, other.root_fields),
        aliases=min(one.aliases + other.aliases, MOST),
        directives=min(one.directives + other.directives, MOST),
        fields=min(one.fields + other.fields, MOST),
    )


def _values(arguments: Iterable[ArgumentNode] | None) -> int:
    """Values in the arguments, those within lists and objects included."""
    waiting: list[ValueNode] = [argument.value for argument in arguments or ()]
    count = 0
    while waiting:
        value = waiting.pop()
        count += 1
        if isinstance(value, ListValueNode):
            waiting.extend(value.values)
        elif isinstance(value, ObjectValueNode):
            waiting.extend(field.value for field in value.fields)
    return count
