"""The deployments of one instance as they stand: sorted by name within each namespace, and counted."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from cluster.types import Deployment, Phase


class _Namespace:
    def __init__(self) -> None:
        self.deployments: dict[str, Deployment] = {}
        self.names: list[str] = []
        self.counts = dict.fromkeys(Phase, 0)


class Catalogue:
    """A page by name and a count cost what they return, whatever else is there."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    def get(self, namespace: str, name: str) -> Deployment | None:
        known = self._namespaces.get(namespace)
        return None if known is None else known.deployments.get(name)

    def by_name(self, namespace: str, after: str) -> Iterator[Deployment]:
        if (known := self._namespaces.get(namespace)) is not None:
            for index in range(bisect_right(known.names, after), len(known.names)):
                yield known.deployments[known.names[index]]

    def by_name_descending(self, namespace: str, before: str | None) -> Iterator[Deployment]:
        if (known := self._namespaces.get(namespace)) is not None:
            end = len(known.names) if before is None else bisect_left(known.names, before)
            for index in range(end - 1, -1, -1):
                yield known.deployments[known.names[index]]

    def within(self, scope: str | None) -> list[Deployment]:
        """All deployments of a namespace, or of all; a copy, so that the catalogue may change meanwhile."""
        spaces = self._namespaces.values() if scope is None else [self._namespaces.get(scope, _Namespace())]
        return [deployment for known in spaces for deployment in known.deployments.values()]

    def namespaces(self) -> list[str]:
        """Those that hold deployments, sorted."""
        return sorted(self._namespaces)

    def counts(self, namespace: str) -> dict[Phase, int]:
        known = self._namespaces.get(namespace)
        return dict.fromkeys(Phase, 0) if known is None else known.counts.copy()

    def put(self, deployment: Deployment) -> None:
        namespace, name = deployment.namespace, deployment.name
        if (known := self._namespaces.get(namespace)) is None:
            known = self._namespaces[namespace] = _Namespace()
        if (old := known.deployments.get(name)) is None:
            insort(known.names, name)
        else:
            known.counts[old.phase] -= 1
        known.counts[deployment.phase] += 1
        known.deployments[name] = deployment

    def remove(self, deployment: Deployment) -> None:
        known = self._namespaces[deployment.namespace]
        known.counts[known.deployments.pop(deployment.name).phase] -= 1
        del known.names[bisect_left(known.names, deployment.name)]
        if not known.names:
            del self._namespaces[deployment.namespace]
