"""Writes with the API server's rules, on a `Store`: what HTTP requests and calls in the process share."""

import re
from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from hub.demo import status
from hub.demo.objects import Collection, Store, Stored, encode, timestamp
from hub.demo.openapi import prune, set_defaults, violations
from hub.demo.resources import NAMESPACES, Resource
from hub.demo.schemas import rules_of, schema_of
from hub.demo.status import Cause, Json

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "generation", "name", "namespace")


class Part(StrEnum):
    """What a write may change."""

    MAIN = "MAIN"
    """Everything but the status."""
    STATUS = "STATUS"
    WHOLE = "WHOLE"
    """Both in one version, which no client can: for tests and scenarios."""


class WriteOptions(msgspec.Struct, frozen=True):
    dry_run: bool = False
    field_validation: str = "Warn"
    """Of unknown fields: Ignore, Warn or Strict."""


class Preconditions(msgspec.Struct, frozen=True, rename="camel"):
    """Of a deletion."""

    uid: str | None = None
    resource_version: str | None = None


USUAL = WriteOptions()
UNCONDITIONAL = Preconditions()


class Written(msgspec.Struct, frozen=True):
    """What became of a write."""

    stored: Stored
    warnings: tuple[str, ...] = ()
    removed: bool = False


class Registry:
    """The one writer of a cluster's store."""

    def __init__(self, *, store: Store, random: Random) -> None:
        self._store = store
        self._random = random

    def served(self, resource: Resource) -> Collection:
        """Raises the 404 of a resource type that isn't served."""
        collection = self._store.collection(resource)
        if collection is None:
            raise status.unserved()
        return collection

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        stored = self.served(resource).get(namespace, name)
        if stored is None:
            raise status.not_found(resource, name)
        return stored

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Json,
        *,
        part: Part = Part.MAIN,
        options: WriteOptions = USUAL,
    ) -> Written:
        """Takes the body over. Raises `StatusError`: 400, 404 for the namespace, 409, 422."""
        collection = self.served(resource)
        self._check_type(resource, body)
        metadata = self._new_metadata(resource, namespace, body)
        if resource.namespaced:
            self._check_namespace(namespace)
        if part is Part.MAIN and resource.status:
            body.pop("status", None)
        if resource.first_phase:
            body.setdefault("status", {"phase": resource.first_phase})
        warnings = self._admit(resource, body, None, options)
        if collection.get(metadata.get("namespace", ""), metadata["name"]) is not None:
            raise status.already_exists(resource, metadata["name"])
        if options.dry_run:
            return Written(encode(resource, body, self._store.version), warnings)
        return Written(self._store.commit(resource, "ADDED", body), warnings)

    def update(
        self,
        resource: Resource,
        old: Stored,
        body: Json,
        *,
        part: Part = Part.MAIN,
        options: WriteOptions = USUAL,
    ) -> Written:
        """Replace an object's version by the body. Raises `StatusError`: 400, 409, 422.

        A body equal to what is there makes no new version; taking the last finalizer off an object that is
        being deleted removes it.
        """
        self._check_type(resource, body)
        before = old.read()
        self._check_version(resource, body["metadata"], before["metadata"])
        after = _merged(before, body, part if resource.status else Part.WHOLE)
        warnings: tuple[str, ...] = ()
        if _specification(after) != _specification(before):
            warnings = self._admit(resource, after, before, options)
        metadata = after["metadata"]
        if _specification(after) != _specification(before):
            metadata["generation"] = metadata.get("generation", 1) + 1
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self._remove(resource, after, options)
        if after == before:
            return Written(old, warnings)
        if options.dry_run:
            return Written(encode(resource, after, old.version), warnings)
        return Written(self._store.commit(resource, "MODIFIED", after), warnings)

    def delete(
        self,
        resource: Resource,
        old: Stored,
        *,
        preconditions: Preconditions = UNCONDITIONAL,
        options: WriteOptions = USUAL,
    ) -> Written:
        """Remove an object, or mark it as being deleted while finalizers hold it. Raises a 409."""
        self._check_preconditions(resource, old, preconditions)
        body = old.read()
        metadata = body["metadata"]
        if not metadata.get("finalizers"):
            return self._remove(resource, body, options)
        if "deletionTimestamp" in metadata:
            return Written(old)
        metadata["deletionTimestamp"] = timestamp()
        metadata["deletionGracePeriodSeconds"] = 0
        metadata["generation"] = metadata.get("generation", 1) + 1
        if options.dry_run:
            return Written(encode(resource, body, old.version))
        return Written(self._store.commit(resource, "MODIFIED", body))

    def _remove(self, resource: Resource, body: Json, options: WriteOptions) -> Written:
        if options.dry_run:
            return Written(encode(resource, body, self._store.version), removed=True)
        if resource == NAMESPACES:
            self._empty_namespace(body["metadata"]["name"])
        return Written(self._store.commit(resource, "DELETED", body), removed=True)

    def _empty_namespace(self, namespace: str) -> None:
        """All that is in it goes with it at once, finalizers or not: nobody is there to wait for."""
        for resource in self._store.resources:
            if resource.namespaced:
                for stored in self.served(resource).scan(namespace):
                    self._store.commit(resource, "DELETED", stored.read())

    def _new_metadata(self, resource: Resource, namespace: str, body: Json) -> Json:
        metadata: Json = {key: value for key, value in body.get("metadata", {}).items() if value is not None}
        body["metadata"] = metadata
        if metadata.setdefault("namespace", namespace) != namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if not namespace:
            del metadata["namespace"]
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(self._random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
            metadata["name"] = metadata["generateName"] + suffix
        name = metadata.get("name") or ""
        if not name:
            cause = Cause(
                "FieldValueRequired", "Required value: name or generateName is required", "metadata.name"
            )
            raise status.invalid(resource, "", [cause])
        if not _NAME.fullmatch(name) or len(name) > 253:
            message = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case …'
            raise status.invalid(resource, name, [Cause("FieldValueInvalid", message, "metadata.name")])
        for field in ("resourceVersion", "deletionTimestamp", "managedFields"):
            metadata.pop(field, None)
        metadata["uid"] = self._uid()
        metadata["creationTimestamp"] = timestamp()
        metadata["generation"] = 1
        return metadata

    def _uid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _check_namespace(self, namespace: str) -> None:
        self.get(NAMESPACES, "", namespace)

    def _check_type(self, resource: Resource, body: Json) -> None:
        if not resource.custom:
            body.setdefault("apiVersion", resource.api_version)
            body.setdefault("kind", resource.kind)
        if not isinstance(body.get("metadata", {}), dict):
            raise status.bad_request("metadata is no object")
        for field, expected in (("apiVersion", resource.api_version), ("kind", resource.kind)):
            if body.get(field) != expected:
                message = f'Invalid value: "{body.get(field)}": must be {expected}'
                name = body.get("metadata", {}).get("name", "")
                raise status.invalid(resource, name, [Cause("FieldValueInvalid", message, field)])

    def _check_version(self, resource: Resource, wanted: Json, current: Json) -> None:
        name = current["name"]
        if resource.custom and not wanted.get("resourceVersion"):
            message = "Invalid value: 0: must be specified for an update"
            raise status.invalid(
                resource, name, [Cause("FieldValueInvalid", message, "metadata.resourceVersion")]
            )
        for field in ("resourceVersion", "uid"):
            if wanted.get(field) and wanted[field] != current[field]:
                why = "the object has been modified; please apply your changes to the latest version"
                raise status.conflict(resource, name, f"{why} and try again")
        if wanted.get("name", name) != name:
            raise status.bad_request("the name of the object does not match the name on the URL")

    def _check_preconditions(self, resource: Resource, old: Stored, wanted: Preconditions) -> None:
        name = old.key[1]
        if wanted.uid is not None and wanted.uid != old.uid:
            why = f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {old.uid}"
            raise status.conflict(resource, name, why)
        if wanted.resource_version is not None and wanted.resource_version != str(old.version):
            why = "Precondition failed: ResourceVersion in precondition: "
            why += f"{wanted.resource_version}, ResourceVersion in object meta: {old.version}"
            raise status.conflict(resource, name, why)

    def _admit(
        self, resource: Resource, body: Json, before: Json | None, options: WriteOptions
    ) -> tuple[str, ...]:
        """Prune, default and validate; the warnings."""
        if not resource.custom:
            return ()
        schema = schema_of(resource)
        unknown = [f'unknown field "{path}"' for path in prune(schema, body)]
        if unknown and options.field_validation == "Strict":
            raise status.bad_request(f"strict decoding error: {', '.join(unknown)}")
        set_defaults(schema, body)
        causes: Sequence[Cause] = list(violations(schema, body))
        if not causes and (rules := rules_of(resource)):
            causes = list(rules(body, before))
        if causes:
            raise status.invalid(resource, body["metadata"]["name"], causes)
        return tuple(unknown) if options.field_validation == "Warn" else ()


def _specification(body: Json) -> Json:
    """What a change of raises the generation."""
    return {key: value for key, value in body.items() if key not in ("metadata", "status")}


def _merged(before: Json, body: Json, part: Part) -> Json:
    """The new version: the part of the body that may change, system fields kept."""
    if part is Part.STATUS:
        after: dict[str, Any] = dict(before)
        _set_or_drop(after, "status", body.get("status"))
        after["metadata"] = dict(before["metadata"])
        return after
    after = dict(body)
    if part is Part.MAIN:
        _set_or_drop(after, "status", before.get("status"))
    metadata = {key: value for key, value in body["metadata"].items() if value is not None}
    metadata.pop("managedFields", None)
    for field in (*_SYSTEM_FIELDS, "resourceVersion"):
        _set_or_drop(metadata, field, before["metadata"].get(field))
    after["metadata"] = metadata
    return after


def _set_or_drop(target: Json, key: str, value: Any) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value
