"""From a URL path to what it is about, and the documents at the paths that are about no object."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from hub.demo import status
from hub.demo.faults import Verb
from hub.demo.resources import Json, Resource, group_document, group_list, resource_list

_WRITES = {"POST": Verb.CREATE, "PUT": Verb.UPDATE, "PATCH": Verb.PATCH, "DELETE": Verb.DELETE}


class Target(msgspec.Struct, frozen=True):
    """What a request is about."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(path: str, served: Iterable[Resource]) -> Target | None:
    """None for a path that isn't about objects of a served type."""
    parts = path.strip("/").split("/")
    start = {"api": 2, "apis": 3}.get(parts[0], len(parts))
    api_version, rest, namespace = "/".join(parts[1:start]), parts[start:], ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3:
        return None
    name, subresource = [*rest[1:], "", ""][:2]
    for resource in served:
        if (resource.api_version, resource.plural) == (api_version, rest[0]):
            return Target(resource, namespace, name, subresource)
    return None


def verb_of(request: web.BaseRequest, target: Target | None) -> Verb:
    """Raises a 405 for a method that the target doesn't have."""
    if target is None:
        return Verb.DISCOVER
    if request.method == "GET":
        if target.name:
            return Verb.GET
        return Verb.WATCH if request.query.get("watch") in ("true", "1") else Verb.LIST
    verb = _WRITES.get(request.method)
    if verb is None or (verb is Verb.CREATE) is bool(target.name):
        raise status.method_not_allowed()
    return verb


def document(path: str, served: Iterable[Resource], version: str) -> Json | None:
    """Version and discovery; None where nothing stands."""
    match path.strip("/").split("/"):
        case ["version"]:
            major, minor = version.removeprefix("v").split(".")[:2]
            return {"major": major, "minor": minor, "gitVersion": version}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            return group_list(served)
        case ["apis", group]:
            return group_document(served, group)
        case ["api" | "apis", *api_version]:
            return resource_list(served, "/".join(api_version))
        case _:
            return None
