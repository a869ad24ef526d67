"""The kinds of resources that are watched on every cluster, and where in the store their objects go."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic

from cluster import paths
from cluster.discovery import concerns_deployments
from cluster.events import R
from cluster.health import DEPLOYMENTS
from cluster.store import Store
from cluster.wire import ModelDeployment, Pod, Resource


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind(Generic[R]):
    """A scope is a namespace, or None for the whole cluster."""

    name: str
    type: type[R]
    path: Callable[[str | None], str]
    replace: Callable[[Iterable[R], str | None], None]
    apply: Callable[[R], None]
    remove: Callable[[R], None]
    forbidden: Callable[[str | None, bool], None]
    """The credential may not read the scope; whether it ever could."""


def deployments(store: Store, *, api_group: str, namespaces: Sequence[str]) -> Kind[ModelDeployment]:
    """`namespaces` are the credential's."""

    def replace(resources: Iterable[ModelDeployment], scope: str | None) -> None:
        store.replace_deployments(resources, scope=scope, api_group=api_group)

    def forbidden(scope: str | None, ever_read: bool) -> None:
        """What an earlier credential could read and this one never could is no longer shown."""
        if ever_read:
            return
        if scope is not None:
            store.clear_deployments(scope=scope)
        elif namespaces:
            for namespace in set(store.namespaces()).difference(namespaces):
                store.clear_deployments(scope=namespace)

    return Kind(
        name=DEPLOYMENTS,
        type=ModelDeployment,
        path=partial(paths.deployments, api_group),
        replace=replace,
        apply=partial(store.apply_deployment, api_group=api_group),
        remove=store.remove_deployment,
        forbidden=forbidden,
    )


def pods(store: Store, *, namespaces: Sequence[str]) -> Kind[Pod]:
    """`namespaces` are the credential's."""

    def forbidden(scope: str | None, _: bool) -> None:
        store.pods_unreadable(scope=scope, but=namespaces if scope is None else ())

    return Kind(
        name="pods",
        type=Pod,
        path=paths.pods,
        replace=lambda listed, scope: store.replace_pods(listed, scope=scope),
        apply=store.apply_pod,
        remove=store.remove_pod,
        forbidden=forbidden,
    )


def namespaces(store: Store, *, fallback: Sequence[str]) -> Kind[Resource]:
    """`fallback` are the credential's namespaces, for one that may not list the cluster's."""
    known: set[str] = set()

    def replace(listed: Iterable[Resource], _: str | None) -> None:
        known.clear()
        known.update(each.metadata.name for each in listed)
        store.set_namespaces(known)

    def apply(one: Resource) -> None:
        known.add(one.metadata.name)
        store.set_namespaces(known)

    def remove(one: Resource) -> None:
        known.discard(one.metadata.name)
        store.set_namespaces(known)

    return Kind(
        name="namespaces",
        type=Resource,
        path=lambda _: paths.NAMESPACES,
        replace=replace,
        apply=apply,
        remove=remove,
        forbidden=lambda *_: store.set_namespaces(fallback or None),
    )


def crds(changed: Callable[[], None]) -> Kind[Resource]:
    """Calls `changed` when ModelDeployments may have come or gone."""

    def hint(crd: Resource) -> None:
        if concerns_deployments(crd.metadata.name):
            changed()

    return Kind(
        name="CRDs",
        type=Resource,
        path=lambda _: paths.CRDS,
        replace=lambda *_: changed(),
        apply=hint,
        remove=hint,
        forbidden=lambda *_: None,
    )
