"""Structural schemas of custom resources: prune, default and validate, as the API server does.

Only what the schemas of `hub.demo.schemas` use: types, properties, additionalProperties, items, required,
enum, minimum, minLength, maxItems, default, x-kubernetes-preserve-unknown-fields.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec

from hub.demo.status import Cause, Json

_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def prune(schema: Json, value: Any, path: str = "") -> list[str]:
    """Removes fields that the schema doesn't know, in place; their paths."""
    unknown: list[str] = []
    if isinstance(value, dict):
        for key in list(value):
            child = _child(schema, key)
            if child is not None:
                unknown += prune(child, value[key], _join(path, key))
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                del value[key]
                unknown.append(_join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            unknown += prune(schema.get("items", {}), item, f"{path}[{index}]")
    return unknown


def _child(schema: Json, key: str) -> Json | None:
    child: Json | None = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return child


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def set_defaults(schema: Json, value: Any) -> None:
    """Fills in what the schema has defaults for, in place."""
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if "default" in child and key not in value:
                value[key] = deepcopy(child["default"])
            set_defaults(child, value.get(key))
    elif isinstance(value, list):
        for item in value:
            set_defaults(schema.get("items", {}), item)


def violations(schema: Json, value: Any, path: str = "") -> Iterator[Cause]:
    """What the schema forbids, in the API server's words."""
    expected = schema.get("type")
    if expected and not _is_of(expected, value):
        yield _type_violation(path, expected, value)
    elif isinstance(value, dict):
        yield from _object_violations(schema, value, path)
    elif isinstance(value, list):
        yield from _list_violations(schema, value, path)
    else:
        yield from _scalar_violations(schema, value, path)


def _is_of(expected: str, value: Any) -> bool:
    if isinstance(value, bool):
        return expected == "boolean"
    return isinstance(value, _PYTHON_TYPES[expected])


def _type_violation(path: str, expected: str, value: Any) -> Cause:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    found = names.get(type(value), "number")
    message = f'Invalid value: "{found}": {path} in body must be of type {expected}: "{found}"'
    return Cause("FieldValueTypeInvalid", message, path)


def _object_violations(schema: Json, value: Json, path: str) -> Iterator[Cause]:
    for key in schema.get("required", ()):
        if key not in value:
            yield Cause("FieldValueRequired", "Required value", _join(path, key))
    for key, item in value.items():
        if (child := _child(schema, key)) is not None:
            yield from violations(child, item, _join(path, key))


def _list_violations(schema: Json, value: list[Any], path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        message = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        yield Cause("FieldValueTooMany", message, path)
    for index, item in enumerate(value):
        yield from violations(schema.get("items", {}), item, f"{path}[{index}]")


def _scalar_violations(schema: Json, value: Any, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{word}"' for word in schema["enum"])
        shown = msgspec.json.encode(value).decode()
        message = f"Unsupported value: {shown}: supported values: {supported}"
        yield Cause("FieldValueNotSupported", message, path)
    if "minimum" in schema and value < schema["minimum"]:
        message = (
            f"Invalid value: {value}: {path} in body should be greater than or equal to {schema['minimum']}"
        )
        yield Cause("FieldValueInvalid", message, path)
    if len(str(value)) < schema.get("minLength", 0):
        message = (
            f'Invalid value: "{value}": {path} in body should be at least {schema["minLength"]} chars long'
        )
        yield Cause("FieldValueInvalid", message, path)
