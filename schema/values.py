"""How a value becomes a part of the answer: functions from an object to JSON's values, as graphql-core's
executor completes them, in as few calls as can be, because calls are what all this costs."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import msgspec
from graphql import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT, GraphQLEnumType, GraphQLLeafType

from schema.fragments import Kept, Piece

Project = Callable[[Any], Any]
"""From an object to a value of it as JSON has it, None included."""

Parts = Sequence[tuple[str, Project]]
"""The selected fields of an object: their names in the answer, and how to get them."""

_ITSELF = {"String": str, "ID": str, "Boolean": bool}
"""Scalars whose values of exactly this class are serialised as what they are."""

_INTS = range(GRAPHQL_MIN_INT, GRAPHQL_MAX_INT + 1)
_JSON = msgspec.json.Encoder()


class NullError(ValueError):
    """A null where the schema promises a value."""


def itself(value: Any) -> Any:
    return value


def a_list(read: Project, project: Project, *, required: bool) -> Project:
    def values(source: Any) -> Any:
        found = read(source)
        return _null(required=required) if found is None else [project(value) for value in found]

    return values


def an_object(read: Project, parts: Parts, *, required: bool) -> Project:
    def fields(source: Any) -> Any:
        found = read(source)
        if found is None:
            return _null(required=required)
        return {name: project(found) for name, project in parts}

    return fields


def a_leaf(read: Project, kind: GraphQLLeafType, *, required: bool) -> Project:
    same = _ITSELF.get(kind.name)
    serialize = _serializer(kind)

    def leaf(source: Any) -> Any:
        value = read(source)
        if type(value) is same:
            return value
        return _null(required=required) if value is None else serialize(value)

    return leaf


def a_version(read: Project, kept: Kept, make: Callable[[Any], Piece], *, required: bool) -> Project:
    """An object whose JSON is kept."""

    def fragment(source: Any) -> Any:
        found = read(source)
        return _null(required=required) if found is None else kept.of(found, make)

    return fragment


def at_once(read: Project, of_all: Callable[[Sequence[Any]], msgspec.Raw], *, required: bool) -> Project:
    """A list of objects that is projected as a whole."""

    def values(source: Any) -> Any:
        found = read(source)
        return _null(required=required) if found is None else of_all(found)

    return values


def filled(
    read: Project, kept: Kept, make: Callable[[Any], Piece], asked: Sequence[Project], *, required: bool
) -> Project:
    """An object whose JSON is kept but for the fields that are `asked` each time."""

    def fragment(source: Any) -> Any:
        found = read(source)
        if found is None:
            return _null(required=required)
        first, *others = cast("tuple[bytes, ...]", kept.of(found, make))
        for project, piece in zip(asked, others, strict=True):
            first += _JSON.encode(project(found)) + piece
        return msgspec.Raw(first)

    return fragment


def whole(parts: Parts) -> Callable[[Any], msgspec.Raw]:
    """Makes the fragment of an object whose selected fields all last."""

    def make(version: Any) -> msgspec.Raw:
        return msgspec.Raw(_JSON.encode({name: project(version) for name, project in parts}))

    return make


def around(parts: Sequence[tuple[str, Project | None]]) -> Callable[[Any], tuple[bytes, ...]]:
    """Makes the pieces between those fields that don't last, which have no `Project` here."""

    def make(version: Any) -> tuple[bytes, ...]:
        pieces, piece = [], b"{"
        for number, (name, project) in enumerate(parts):
            piece += (b"," if number else b"") + _JSON.encode(name) + b":"
            if project is None:
                pieces.append(piece)
                piece = b""
            else:
                piece += _JSON.encode(project(version))
        return (*pieces, piece + b"}")

    return make


def _serializer(kind: GraphQLLeafType) -> Project:
    serialize: Project = kind.serialize
    if isinstance(kind, GraphQLEnumType):
        return cache(serialize)
    if kind.name == "Int":
        return lambda value: value if type(value) is int and value in _INTS else serialize(value)
    return serialize


def _null(*, required: bool) -> None:
    if required:
        raise NullError
