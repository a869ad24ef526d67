"""Deployments: their type and what is asked of it."""

from collections.abc import Mapping
from datetime import datetime

import strawberry

from auth.permissions import Permission
from cluster import types, wire
from cluster.drafts import Engine, ServingMode
from cluster.types import InstanceStatus, Phase
from resolvers import deployments, instances
from resolvers.summaries import Summary
from schema.common import Node
from schema.connections import Connection
from schema.context import Context, Info
from schema.instances import Instance
from schema.lasting import version, while_same
from schema.pods import Pod
from schema.words import ConditionStatus

Row = strawberry.Parent[types.Deployment]
ConditionRow = strawberry.Parent[wire.Condition]


@strawberry.type(description="How many replicas there are.")
class Replicas:
    desired: int = strawberry.field(description="How many were asked for.")
    ready: int = strawberry.field(description="How many may serve requests.")
    available: int = strawberry.field(description="How many have been ready for long enough.")


@strawberry.type(description="Where a deployment is served.")
class Endpoint:
    service: str | None = strawberry.field(
        description="The Kubernetes Service, in the deployment's namespace."
    )
    port: int | None = strawberry.field(description="The Service's port.")
    url: str | None = strawberry.field(
        description="The gateway's address, else the Service's address inside the cluster."
    )
    model_name: str | None = strawberry.field(description="What to pass as `model` in a request.")


def _condition_status(parent: ConditionRow) -> ConditionStatus:
    try:
        return ConditionStatus(parent.status)
    except ValueError:
        return ConditionStatus.UNKNOWN


@strawberry.type(description="One aspect of a deployment's state, as its controllers report it.")
class Condition:
    type: str = strawberry.field(description="The aspect: Validated, ProviderSelected, Ready, …")
    status: ConditionStatus = strawberry.field(resolver=_condition_status, description="Whether it holds.")
    reason: str | None = strawberry.field(description="Why, in a word.")
    message: str | None = strawberry.field(description="Why, in a sentence.")
    last_transition_time: datetime | None = strawberry.field(description="Since when.")


@strawberry.type(description="A Kubernetes label.")
class Label:
    key: str = strawberry.field(description="The label's key.")
    value: str = strawberry.field(description="The label's value.")


def _id(parent: Row) -> strawberry.ID:
    return strawberry.ID(parent.id)


def _instance_id(parent: Row) -> strawberry.ID:
    return strawberry.ID(parent.instance_id)


def _instance(parent: Row, info: Info) -> Instance:
    services = info.context.services
    return instances.owner(  # type: ignore[return-value]
        fleet=services.fleet, registry=services.registry, deployment=parent
    )


def _uid(parent: Row) -> strawberry.ID:
    return strawberry.ID(parent.uid)


def _served_name(parent: Row) -> str | None:
    return parent.resource.spec.model.served_name


def _engine(parent: Row) -> Engine | None:
    try:
        return Engine(parent.engine_name) if parent.engine_name else None
    except ValueError:
        return None


def _mode(parent: Row) -> ServingMode | None:
    word = parent.resource.spec.serving.mode
    try:
        return ServingMode(word) if word else ServingMode.AGGREGATED
    except ValueError:
        return None


def _message(parent: Row) -> str | None:
    return parent.resource.status.message


def _stale(parent: Row, info: Info) -> bool:
    return parent.status_stale or not deployments.is_live(
        fleet=info.context.services.fleet, deployment=parent
    )


def _live_instances(context: Context) -> tuple[str, ...]:
    feeds = context.services.fleet.feeds
    return tuple([instance_id for instance_id, feed in feeds.items() if feed.state.live])


def _gpu_type(parent: Row) -> str | None:
    return parent.gpu_type


def _image(parent: Row) -> str | None:
    spec, status = parent.resource.spec, parent.resource.status
    reported = status.image
    if isinstance(reported, wire.ImageStatus):
        reported = reported.resolved or reported.requested
    return reported or spec.engine.image or spec.image


def _context_length(parent: Row) -> int | None:
    return parent.resource.spec.engine.context_length


def _endpoint(parent: Row) -> Endpoint | None:
    service, gateway = parent.resource.status.endpoint, parent.resource.status.gateway
    if service is None and gateway is None:
        return None
    name = service.service if service else None
    port = service.port if service else None
    url = gateway.endpoint if gateway else None
    if url is None and name and port:
        url = f"http://{name}.{parent.namespace}.svc:{port}"
    model = parent.resource.spec.model
    return Endpoint(
        service=name,
        port=port,
        url=url,
        model_name=(gateway.model_name if gateway else None) or model.served_name or model.id,
    )


def _conditions(parent: Row) -> list[Condition]:
    return list(parent.resource.status.conditions)  # type: ignore[arg-type]


def _labels(parent: Row) -> list[Label]:
    labels: Mapping[str, str] = parent.resource.metadata.labels
    return [Label(key=key, value=value) for key, value in sorted(labels.items())]


def _created_at(parent: Row) -> datetime:
    return parent.resource.metadata.creation_timestamp or datetime.fromtimestamp(0).astimezone()


def _created_by_name(parent: Row) -> str | None:
    return parent.resource.metadata.annotations.created_by


def _resource_version(parent: Row) -> str:
    return parent.resource.metadata.resource_version


def _generation(parent: Row) -> int:
    return parent.resource.metadata.generation


def _viewer_can(parent: Row, info: Info) -> list[Permission]:
    return instances.viewer_can(
        identity=info.context.identity, instance_id=parent.instance_id, namespace=parent.namespace
    )


@version
@strawberry.type(
    description="A model deployed on an instance: its ModelDeployment and the pods that serve it."
)
class Deployment(Node):
    id: strawberry.ID = strawberry.field(resolver=_id, description="`instance/namespace/name`.")
    instance_id: strawberry.ID = strawberry.field(resolver=_instance_id, description="The instance's id.")
    instance: Instance = strawberry.field(resolver=_instance, description="The instance that it runs on.")
    namespace: str = strawberry.field(description="Its namespace.")
    name: str = strawberry.field(description="Its name.")
    uid: strawberry.ID = strawberry.field(
        resolver=_uid, description="Kubernetes' uid: another one under the same name is another deployment."
    )
    model_id: str = strawberry.field(description="The model, such as `meta-llama/Llama-3.1-8B-Instruct`.")
    served_name: str | None = strawberry.field(
        resolver=_served_name, description="The name that the model is served under, if another."
    )
    engine: Engine | None = strawberry.field(
        resolver=_engine, description="The engine; null if none is chosen yet, or this hub doesn't know it."
    )
    engine_name: str | None = strawberry.field(description="The engine in the cluster's own word.")
    provider: str | None = strawberry.field(description="The inference provider: chosen, else asked for.")
    mode: ServingMode | None = strawberry.field(
        resolver=_mode, description="How it is served; null if this hub doesn't know the mode."
    )
    phase: Phase = strawberry.field(description="Where it is in its life, by its status and its pods.")
    message: str | None = strawberry.field(resolver=_message, description="The controller's words.")
    stale: bool = strawberry.field(
        resolver=_stale,
        metadata=while_same(_live_instances),
        description="Whether this may no longer be so: the instance isn't live, "
        "or the controller hasn't seen the newest spec.",
    )
    replicas: Replicas = strawberry.field(description="How many replicas there are.")
    gpu_count: int = strawberry.field(description="GPUs that all its replicas ask for together.")
    gpu_type: str | None = strawberry.field(
        resolver=_gpu_type, description="The GPU resource, such as `nvidia.com/gpu`; null without GPUs."
    )
    image: str | None = strawberry.field(resolver=_image, description="The container image.")
    context_length: int | None = strawberry.field(
        resolver=_context_length, description="The longest context, in tokens, if it was set."
    )
    endpoint: Endpoint | None = strawberry.field(
        resolver=_endpoint, description="Where it is served; null before it is."
    )
    conditions: list[Condition] = strawberry.field(resolver=_conditions, description="Its state by aspects.")
    labels: list[Label] = strawberry.field(resolver=_labels, description="Its labels, by key.")
    created_at: datetime = strawberry.field(resolver=_created_at, description="When it was created.")
    created_by_name: str | None = strawberry.field(
        resolver=_created_by_name,
        description="Who created it through the hub. Anybody with kubectl can write this too.",
    )
    resource_version: str = strawberry.field(
        resolver=_resource_version, description="Kubernetes' version of the object, for safe updates."
    )
    generation: int = strawberry.field(
        resolver=_generation, description="How often its spec changed, counted from 1."
    )
    pods: list[Pod] | None = strawberry.field(
        description="Its pods by name; null where the hub's credential may not read pods."
    )
    viewer_can: list[Permission] = strawberry.field(
        resolver=_viewer_can,
        metadata=while_same(lambda _: None),  # it depends on the asker's rights alone
        description="What you may do in its namespace.",
    )

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, types.Deployment)


@strawberry.type(description="How far one instance's part of an answer can be trusted.")
class InstanceSource:
    instance_id: strawberry.ID = strawberry.field(description="The instance's id.")
    status: InstanceStatus = strawberry.field(description="How it stands with the instance.")
    stale: bool = strawberry.field(description="Whether what is shown of it may be out of date.")
    synced_at: datetime | None = strawberry.field(description="When it was last live; null if never.")
    error: str | None = strawberry.field(description="Why it isn't live.")


@strawberry.type(description="A page of deployments.")
class DeploymentConnection(Connection[Deployment]):
    sources: list[InstanceSource] = strawberry.field(
        description="Every instance that the answer draws from, live or not."
    )


@strawberry.type(description="How many deployments are in a phase.")
class PhaseCount:
    phase: Phase = strawberry.field(description="The phase.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="Counts for one value of a field.")
class Facet:
    value: str = strawberry.field(description="The value.")
    count: int = strawberry.field(description="How many deployments have it.")
    unhealthy: int = strawberry.field(description="How many of them are FAILED.")
    gpus: int = strawberry.field(description="GPUs that they ask for together.")


@strawberry.type(
    description="Counts over everything that the filter matches. A facet ignores the filter on its own field."
)
class DeploymentSummary:
    total: int = strawberry.field(description="How many deployments.")
    unhealthy: int = strawberry.field(description="How many of them are FAILED.")
    gpus: int = strawberry.field(description="GPUs that they ask for together.")
    phases: list[PhaseCount] = strawberry.field(description="By phase, every phase in order.")
    instances: list[Facet] = strawberry.field(description="By instance, the largest first.")
    namespaces: list[Facet] = strawberry.field(description="By namespace, the largest first.")
    models: list[Facet] = strawberry.field(description="By model, the largest first.")
    sources: list[InstanceSource] = strawberry.field(
        description="Every instance that the counts draw from, live or not."
    )
    observed_at: datetime = strawberry.field(description="When this was counted.")

    @classmethod
    def of(cls, summary: Summary) -> "DeploymentSummary":
        counts = summary.counts
        return cls(
            total=counts.total,
            unhealthy=counts.unhealthy,
            gpus=counts.gpus,
            phases=list(counts.phases),  # type: ignore[arg-type]
            instances=list(counts.instances),  # type: ignore[arg-type]
            namespaces=list(counts.namespaces),  # type: ignore[arg-type]
            models=list(counts.models),  # type: ignore[arg-type]
            sources=list(summary.sources),  # type: ignore[arg-type]
            observed_at=summary.observed_at,
        )
