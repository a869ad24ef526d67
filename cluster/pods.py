"""Which pods belong to which deployment (CLUSTERS.md of the design), kept as an index.

A pod's labels alone say which names it may belong to, so one pod's event touches only these: no deployment is
searched, and a pod that comes before its deployment waits here.
"""

from collections.abc import Collection, Iterator

from cluster.wire import Pod

Key = tuple[str, str]
"""Namespace and name of a deployment."""

NAME_LABELS = (
    "app.kubernetes.io/instance",
    "airunway.ai/deployment",
    "airunway.ai/model-deployment",
    "kubeairunway.ai/deployment",
    "kubeairunway.ai/model-deployment",
    "kubefoundry.kubefoundry.ai/deployment",
    "kubefoundry.kubefoundry.ai/model-deployment",
    "nvidia.com/dynamo-graph-deployment-name",
    "kaito.sh/workspace",
)
RAY_LABEL = "ray.io/cluster"
RAY_SUFFIX = "-raycluster"
FALLBACK_LABEL = "app"


def selected_names(pod: Pod) -> set[str]:
    """The names of the deployments whose selectors match the pod."""
    labels = pod.metadata.labels
    names = {labels[label] for label in NAME_LABELS if label in labels}
    if (cluster := labels.get(RAY_LABEL)) is not None:
        names.add(cluster)
        end = cluster.find(RAY_SUFFIX)
        while end > 0:
            names.add(cluster[:end])
            end = cluster.find(RAY_SUFFIX, end + 1)
    return names


def same(one: Pod, other: Pod) -> bool:
    """Whether two versions of a pod tell the same: its metadata changes without anybody caring."""
    return one.metadata.uid == other.metadata.uid and one.status == other.status and one.spec == other.spec


def same_all(some: tuple[Pod, ...] | None, others: tuple[Pod, ...] | None) -> bool:
    if some is None or others is None:
        return some is others
    return len(some) == len(others) and all(a is b or same(a, b) for a, b in zip(some, others, strict=True))


class PodIndex:
    """The pods that may belong to a deployment, by namespace and name. Others aren't kept."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Pod]] = {}
        self._selected: dict[Key, tuple[Pod, ...]] = {}
        self._fallback: dict[Key, tuple[Pod, ...]] = {}

    def of(self, key: Key) -> tuple[Pod, ...]:
        """A deployment's pods by name: those that a selector matches, only without any those of its `app`."""
        return self._selected.get(key) or self._fallback.get(key, ())

    def get(self, namespace: str, name: str) -> Pod | None:
        return self._pods.get(namespace, {}).get(name)

    def within(self, scope: str | None) -> Iterator[Pod]:
        namespaces: Collection[str] = list(self._pods) if scope is None else (scope,)
        for namespace in namespaces:
            yield from list(self._pods.get(namespace, {}).values())

    def put(self, pod: Pod) -> set[Key]:
        """Take the pod's newest version; the deployments that it belongs or belonged to."""
        touched = self.remove(pod)
        namespace = pod.metadata.namespace
        mine = {(namespace, name) for name in selected_names(pod)}
        for key in mine:
            self._selected[key] = _with(self._selected.get(key, ()), pod)
        if (app := pod.metadata.labels.get(FALLBACK_LABEL)) is not None:
            self._fallback[namespace, app] = _with(self._fallback.get((namespace, app), ()), pod)
            mine.add((namespace, app))
        if mine:
            self._pods.setdefault(namespace, {})[pod.metadata.name] = pod
        return touched | mine

    def remove(self, pod: Pod) -> set[Key]:
        """Forget the pod of this namespace and name; the deployments that it belonged to."""
        namespace = pod.metadata.namespace
        known = self._pods.get(namespace, {}).pop(pod.metadata.name, None)
        if known is None:
            return set()
        if not self._pods[namespace]:
            del self._pods[namespace]
        mine = {(namespace, name) for name in selected_names(known)}
        for key in mine:
            _drop(self._selected, key, known)
        if (app := known.metadata.labels.get(FALLBACK_LABEL)) is not None:
            _drop(self._fallback, (namespace, app), known)
            mine.add((namespace, app))
        return mine


def _with(pods: tuple[Pod, ...], pod: Pod) -> tuple[Pod, ...]:
    return tuple(sorted((*pods, pod), key=lambda each: each.metadata.name))


def _drop(index: dict[Key, tuple[Pod, ...]], key: Key, pod: Pod) -> None:
    if rest := tuple(each for each in index[key] if each is not pod):
        index[key] = rest
    else:
        del index[key]
