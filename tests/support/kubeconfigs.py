"""Kubeconfig files as the hub's operators write them."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import yaml


def kubeconfig(*, server: str, ca: bytes, user: Mapping[str, str], namespaces: Sequence[str] = ()) -> str:
    """A kubeconfig of one cluster and one user, with a context per namespace, the first one current.

    Without namespaces it has one context that names none. `user` is a kubeconfig's own user entry:
    `client_certificate(…)`, `{"token": …}` or `{"tokenFile": …}`.
    """
    contexts: dict[str, dict[str, str]] = {name: {"namespace": name} for name in namespaces} or {"main": {}}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "main", "cluster": {"server": server, "certificate-authority-data": _base64(ca)}}
        ],
        "users": [{"name": "main", "user": dict(user)}],
        "contexts": [
            {"name": name, "context": {"cluster": "main", "user": "main"} | place}
            for name, place in contexts.items()
        ],
        "current-context": next(iter(contexts)),
    }
    return yaml.safe_dump(document)


def client_certificate(*, certificate: bytes, key: bytes) -> dict[str, str]:
    """A user entry with an embedded client certificate, both PEM."""
    return {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
