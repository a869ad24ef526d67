"""Kubeconfigs as mappings, to be bent in tests of what judges them."""

from collections.abc import Mapping
from typing import Any

import yaml


def document(
    *, server: str = "https://cluster.test:6443", user: Mapping[str, Any] | None = None, **cluster: Any
) -> dict[str, Any]:
    """A kubeconfig of one cluster and one user, by default with a token. Underscores stand for dashes."""
    fields = {key.replace("_", "-"): value for key, value in cluster.items()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "east", "user": "hub"}}],
        "clusters": [{"name": "east", "cluster": {"server": server} | fields}],
        "users": [{"name": "hub", "user": {"token": "secret-token"} if user is None else dict(user)}],
    }


def encoded(kubeconfig: object) -> bytes:
    """The bytes of its file."""
    return yaml.safe_dump(kubeconfig).encode()
