"""Merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from typing import Any

import msgspec

from hub.demo.status import Json, StatusError, bad_request, unsupported_media_type


def merge_patch(target: Any, patch: Any) -> Any:
    """The target with the patch applied; shares what the patch doesn't touch."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: Json, operations: Any) -> Json:
    """Applies add, replace, remove and test to the target, in place. Raises a 422 if that can't be done."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    try:
        for operation in operations:
            _operate(target, operation)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise StatusError(422, "Invalid", message) from error
    return target


def _operate(target: Json, operation: Json) -> None:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    parent: Any = target
    for part in parts[:-1]:
        parent = parent[int(part)] if isinstance(parent, list) else parent[part]
    match operation["op"]:
        case "add":
            _add(parent, parts[-1], operation["value"])
        case "replace":
            _at(parent, parts[-1])
            parent[_index(parent, parts[-1])] = operation["value"]
        case "remove":
            del parent[_index(parent, parts[-1])]
        case "test":
            if _at(parent, parts[-1]) != operation["value"]:
                raise ValueError(f"test failed at {operation['path']}")
        case unknown:
            raise ValueError(f"unsupported operation {unknown!r}")


def _add(parent: Any, part: str, value: Any) -> None:
    if isinstance(parent, list):
        parent.insert(len(parent) if part == "-" else int(part), value)
    else:
        parent[part] = value


def _at(parent: Any, part: str) -> Any:
    return parent[_index(parent, part)]


def _index(parent: Any, part: str) -> Any:
    return int(part) if isinstance(parent, list) else part


def decode_patch(content_type: str, current: Json, body: bytes) -> Json:
    """The object that a PATCH asks for. Raises a 400, or a 415 for a kind of patch that isn't known here."""
    try:
        patch = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if content_type == "application/merge-patch+json":
        merged: Json = merge_patch(current, patch)
        return merged
    if content_type == "application/json-patch+json":
        return json_patch(current, patch)
    raise unsupported_media_type(content_type)
