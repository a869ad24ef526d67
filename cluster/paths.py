"""Paths of the Kubernetes API. Each name is encoded as one segment, so that none walks elsewhere."""

from urllib.parse import quote

API_GROUPS = ("airunway.ai", "kubeairunway.ai", "kubefoundry.kubefoundry.ai")
"""Of AI Runway, newest first."""
VERSION = "v1alpha1"
DEPLOYMENTS = "modeldeployments"

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMESPACES = "/api/v1/namespaces"
KUBE_SYSTEM = f"{NAMESPACES}/kube-system"
"""It is there for as long as the cluster is, so its uid stands for the cluster."""
NODES = "/api/v1/nodes"
SERVER_VERSION = "/version"


def group(api_group: str) -> str:
    """Where the API server lists the resources of the AI Runway group."""
    return f"/apis/{_segment(api_group)}/{VERSION}"


def deployments(api_group: str, namespace: str | None) -> str:
    return f"{group(api_group)}{_within(namespace)}/{DEPLOYMENTS}"


def deployment(api_group: str, namespace: str, name: str) -> str:
    return f"{deployments(api_group, namespace)}/{_segment(name)}"


def pods(namespace: str | None) -> str:
    return f"/api/v1{_within(namespace)}/pods"


def _within(namespace: str | None) -> str:
    return "" if namespace is None else f"/namespaces/{_segment(namespace)}"


def _segment(name: str) -> str:
    """Raises ValueError for the names that percent-encoding can't tame."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no name of a Kubernetes object")
    return quote(name, safe="")
