"""Counts over deployments: totals, and facets that each ignore the filter on their own field."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from auth.policy import Permit
from cluster.types import Deployment, Phase
from resolvers.deployments import Source, sources
from resolvers.filters import DeploymentFilter, predicate
from resolvers.scans import scan
from resolvers.services import Services


class PhaseCount(msgspec.Struct, frozen=True):
    phase: Phase
    count: int


class Facet(msgspec.Struct, frozen=True):
    value: str
    count: int
    unhealthy: int
    gpus: int


class Counts(msgspec.Struct, frozen=True):
    """All of a summary that the deployments decide."""

    total: int
    unhealthy: int
    gpus: int
    phases: tuple[PhaseCount, ...]
    instances: tuple[Facet, ...]
    namespaces: tuple[Facet, ...]
    models: tuple[Facet, ...]


class Summary(msgspec.Struct, frozen=True):
    counts: Counts
    sources: tuple[Source, ...]
    observed_at: datetime

    def same(self, other: "Summary") -> bool:
        """Alike but for the time."""
        return self.counts == other.counts and self.sources == other.sources


class _Tally:
    """Counts of one facet while a scan runs."""

    def __init__(self) -> None:
        self.values: dict[str, list[int]] = {}

    def add(self, value: str, deployment: Deployment) -> None:
        counts = self.values.setdefault(value, [0, 0, 0])
        counts[0] += 1
        counts[1] += deployment.unhealthy
        counts[2] += deployment.gpu_count

    def facets(self) -> tuple[Facet, ...]:
        """The largest first."""
        ordered: Iterable[tuple[str, list[int]]] = sorted(
            self.values.items(), key=lambda item: (-item[1][0], item[0])
        )
        return tuple(Facet(value, *counts) for value, counts in ordered)


async def summarise(*, services: Services, permit: Permit, wanted: DeploymentFilter) -> Summary:
    """Counts over everything that the permit allows and the filter matches, as of now."""

    async def compute() -> Counts:
        return await _count(services, permit, wanted)

    counts = await services.scans.shared(("summary", permit.scopes, wanted), compute)
    return Summary(
        counts,
        tuple(sources(fleet=services.fleet, permit=permit, wanted=wanted)),
        datetime.now(UTC),
    )


async def _count(services: Services, permit: Permit, wanted: DeploymentFilter) -> Counts:
    matches = predicate(wanted)
    but_phase = predicate(wanted.without("phases"))
    but_instance = predicate(wanted.without("instance_ids"))
    but_namespace = predicate(wanted.without("namespaces"))
    but_model = predicate(wanted.without("model_id"))
    everything, instances, namespaces, models = _Tally(), _Tally(), _Tally(), _Tally()
    phases = dict.fromkeys(Phase, 0)
    # The filters on places are facets too, so the scan must not leave their places out.
    anywhere = wanted.without("instance_ids").without("namespaces")
    async for deployment in scan(fleet=services.fleet, permit=permit, wanted=anywhere):
        if matches(deployment):
            everything.add("", deployment)
        if but_phase(deployment):
            phases[deployment.phase] += 1
        if but_instance(deployment):
            instances.add(deployment.instance_id, deployment)
        if but_namespace(deployment):
            namespaces.add(deployment.namespace, deployment)
        if but_model(deployment):
            models.add(deployment.model_id, deployment)
    total, unhealthy, gpus = everything.values.get("", (0, 0, 0))
    return Counts(
        total=total,
        unhealthy=unhealthy,
        gpus=gpus,
        phases=tuple(PhaseCount(phase, count) for phase, count in phases.items()),
        instances=instances.facets(),
        namespaces=namespaces.facets(),
        models=models.facets(),
    )
