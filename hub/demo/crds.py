"""Served types follow their CustomResourceDefinitions, whoever creates or deletes those."""

import time
from collections.abc import Iterable

from hub.demo.objects import Json, Store
from hub.demo.registry import Part, Registry
from hub.demo.resources import API_GROUPS, CRDS, Resource, crd_of, model_deployments, provider_configs
from hub.demo.schemas import schema_of

CUSTOM_RESOURCES = {
    resource.qualified: resource
    for group in API_GROUPS
    for resource in (model_deployments(group), provider_configs(group))
}
"""What this server can serve by a CRD, by the CRD's name."""


class CrdController:
    """Serves what there is a CRD for, and stops when it goes, its objects deleted first."""

    def __init__(self, *, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self.settle = 0.0
        """Seconds during which requests for a type that is newly served get a 429."""
        self._settled_at: dict[Resource, float] = {}
        store.serve(CRDS).subscribe(self._follow)

    def settled(self, resource: Resource) -> bool:
        return self._settled_at.get(resource, 0.0) <= time.monotonic()

    def install(self, group: str) -> None:
        """Create the CRDs of a group, as far as they aren't there."""
        for resource in _resources_of(group):
            if self._store.serve(CRDS).get("", resource.qualified) is None:
                body = crd_of(resource, schema_of(resource))
                self._registry.create(CRDS, "", body, part=Part.WHOLE)

    def remove(self, group: str) -> None:
        """Delete the CRDs of a group, and with them all their objects."""
        for resource in _resources_of(group):
            self._registry.delete(CRDS, self._registry.get(CRDS, "", resource.qualified))

    def _follow(self) -> None:
        installed = {stored.key[1] for stored in self._store.serve(CRDS).scan()}
        for name, resource in CUSTOM_RESOURCES.items():
            collection = self._store.collection(resource)
            if name in installed and collection is None:
                self._settled_at[resource] = time.monotonic() + self.settle
                self._store.serve(resource)
            elif name not in installed and collection is not None:
                remaining: list[Json] = [stored.read() for stored in collection.scan()]
                for body in remaining:
                    self._store.commit(resource, "DELETED", body)
                self._store.withdraw(resource)


def _resources_of(group: str) -> Iterable[Resource]:
    return (resource for resource in CUSTOM_RESOURCES.values() if resource.group == group)
