"""The resource types that a simulated cluster serves, and its discovery documents."""

from collections.abc import Iterable
from typing import Any

import msgspec

Json = dict[str, Any]

API_GROUPS = ("airunway.ai", "kubeairunway.ai", "kubefoundry.kubefoundry.ai")
"""AI Runway's API groups, newest first."""


class Resource(msgspec.Struct, frozen=True):
    """One resource type."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    selectable: tuple[str, ...] = ()
    """Field selectors that it knows beside metadata.name and metadata.namespace, as dotted paths."""
    status: bool = True
    """Whether it has a status subresource."""
    first_phase: str = ""
    """The status.phase that objects are created with."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As in error messages and names of CRDs: `modeldeployments.airunway.ai`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def custom(self) -> bool:
        return self.group in API_GROUPS

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of the collection, or of one object."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        return "/".join([*parts, name] if name else parts)


INVOLVED = tuple(f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid"))

NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, selectable=("status.phase",), first_phase="Active"
)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod", selectable=("spec.nodeName", "status.phase"), first_phase="Pending")
EVENTS = Resource("", "v1", "events", "Event", selectable=("type", "reason", *INVOLVED), status=False)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
BUILT_IN = (NAMESPACES, NODES, PODS, EVENTS, CRDS)


def model_deployments(group: str = "airunway.ai") -> Resource:
    return Resource(group, "v1alpha1", "modeldeployments", "ModelDeployment")


def provider_configs(group: str = "airunway.ai") -> Resource:
    return Resource(
        group, "v1alpha1", "inferenceproviderconfigs", "InferenceProviderConfig", namespaced=False
    )


def crd_of(resource: Resource, schema: Json) -> Json:
    """The CustomResourceDefinition that makes a resource type served."""
    version: Json = {"name": resource.version, "served": True, "storage": True}
    version |= {"schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    names = {"plural": resource.plural, "singular": resource.kind.lower(), "kind": resource.kind}
    names["listKind"] = f"{resource.kind}List"
    established = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": resource.qualified},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
        "status": {"conditions": [established], "acceptedNames": names, "storedVersions": [resource.version]},
    }


def group_list(served: Iterable[Resource]) -> Json:
    """`GET /apis`."""
    groups = sorted({(resource.group, resource.version) for resource in served if resource.group})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*each) for each in groups]}


def group_document(served: Iterable[Resource], group: str) -> Json | None:
    """`GET /apis/GROUP`; None for a group that isn't served."""
    versions = {resource.version for resource in served if resource.group == group}
    if not versions:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions.pop())}


def _group(group: str, version: str) -> Json:
    entry = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [entry], "preferredVersion": entry}


def resource_list(served: Iterable[Resource], api_version: str) -> Json | None:
    """`GET /api/v1` or `GET /apis/GROUP/VERSION`; None for one that isn't served."""
    entries: list[Json] = []
    for resource in served:
        if resource.api_version == api_version:
            entries += _entries(resource)
    if not entries:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": entries,
    }


def _entries(resource: Resource) -> list[Json]:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    entry: Json = {"name": resource.plural, "singularName": resource.kind.lower(), "kind": resource.kind}
    entry |= {"namespaced": resource.namespaced, "verbs": verbs}
    if not resource.status:
        return [entry]
    status = {**entry, "name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"]}
    return [entry, status | {"singularName": ""}]
