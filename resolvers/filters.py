"""Which deployments a filter lets through, and which places it names."""

from collections.abc import Callable

import msgspec

from cluster.types import Deployment, Phase

Predicate = Callable[[Deployment], bool]


class DeploymentFilter(msgspec.Struct, frozen=True):
    """All that is given has to hold. None asks for nothing; an empty tuple matches nothing."""

    ids: tuple[str, ...] | None = None
    search: str | None = None
    instance_ids: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    name: str | None = None
    phases: tuple[Phase, ...] | None = None
    model_id: str | None = None
    engines: tuple[str, ...] | None = None
    """In the cluster's words: `vllm`, `sglang`, …"""
    providers: tuple[str, ...] | None = None
    unhealthy: bool | None = None

    @property
    def only_places(self) -> bool:
        """Whether the places decide alone, so that nothing needs to be scanned."""
        return msgspec.structs.replace(self, instance_ids=None, namespaces=None) == DeploymentFilter()

    def without(self, field: str) -> "DeploymentFilter":
        return msgspec.structs.replace(self, **{field: None})


EVERYTHING = DeploymentFilter()


def predicate(wanted: DeploymentFilter) -> Predicate:
    """One function for all that the filter asks of a deployment."""
    tests = _place_tests(wanted) + _text_tests(wanted) + _field_tests(wanted)
    if not tests:
        return lambda _: True
    if len(tests) == 1:
        return tests[0]
    return lambda deployment: all(test(deployment) for test in tests)


def _place_tests(wanted: DeploymentFilter) -> list[Predicate]:
    tests: list[Predicate] = []
    if wanted.ids is not None:
        ids = frozenset(wanted.ids)
        tests.append(lambda d: d.id in ids)
    if wanted.instance_ids is not None:
        instance_ids = frozenset(wanted.instance_ids)
        tests.append(lambda d: d.instance_id in instance_ids)
    if wanted.namespaces is not None:
        namespaces = frozenset(wanted.namespaces)
        tests.append(lambda d: d.namespace in namespaces)
    return tests


def _text_tests(wanted: DeploymentFilter) -> list[Predicate]:
    tests: list[Predicate] = []
    if wanted.name:
        name = wanted.name.lower()
        tests.append(lambda d: name in d.name.lower())
    if wanted.search:
        search = wanted.search.lower()
        tests.append(lambda d: any(search in text.lower() for text in _searched(d)))
    return tests


def _searched(deployment: Deployment) -> tuple[str, ...]:
    return (
        deployment.name,
        deployment.namespace,
        deployment.instance_id,
        deployment.model_id,
        deployment.resource.spec.model.served_name or "",
    )


def _field_tests(wanted: DeploymentFilter) -> list[Predicate]:
    tests: list[Predicate] = []
    if wanted.phases is not None:
        phases = frozenset(wanted.phases)
        tests.append(lambda d: d.phase in phases)
    if wanted.model_id is not None:
        model_id = wanted.model_id
        tests.append(lambda d: d.model_id == model_id)
    if wanted.engines is not None:
        engines = frozenset(wanted.engines)
        tests.append(lambda d: d.engine_name in engines)
    if wanted.providers is not None:
        providers = frozenset(wanted.providers)
        tests.append(lambda d: d.provider in providers)
    if wanted.unhealthy is not None:
        unhealthy = wanted.unhealthy
        tests.append(lambda d: d.unhealthy is unhealthy)
    return tests
