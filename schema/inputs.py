"""Inputs of the deployments' fields, and what the use cases take for them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import strawberry
from strawberry import UNSET

from cluster import drafts
from cluster.drafts import (
    AccessMode,
    Engine,
    ModelSource,
    ServingMode,
    TaintEffect,
    TolerationOperator,
    VolumePurpose,
)
from cluster.types import InstanceStatus, Phase
from resolvers import filters, instances
from resolvers.deployments import Direction, Order, OrderField
from schema.common import given, several


@strawberry.input(description="All that is given has to hold; an empty list matches nothing.")
class DeploymentFilter:
    ids: list[strawberry.ID] | None = strawberry.field(default=UNSET, description="One of these.")
    search: str | None = strawberry.field(
        default=UNSET,
        description="A part of the name, namespace, instance, model or served name, in any case.",
    )
    instance_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="On one of these instances."
    )
    namespaces: list[str] | None = strawberry.field(default=UNSET, description="In one of these namespaces.")
    name: str | None = strawberry.field(default=UNSET, description="A part of the name, in any case.")
    phases: list[Phase] | None = strawberry.field(default=UNSET, description="In one of these phases.")
    model_id: str | None = strawberry.field(default=UNSET, description="Exactly this model.")
    engines: list[Engine] | None = strawberry.field(default=UNSET, description="With one of these engines.")
    providers: list[str] | None = strawberry.field(
        default=UNSET, description="Run by one of these inference providers."
    )
    unhealthy: bool | None = strawberry.field(
        default=UNSET, description="Only what is FAILED (true), or only what isn't (false)."
    )


def wanted(given_filter: DeploymentFilter | None) -> filters.DeploymentFilter:
    chosen = given(given_filter)
    if chosen is None:
        return filters.EVERYTHING
    return filters.DeploymentFilter(
        ids=several(chosen.ids),
        search=given(chosen.search),
        instance_ids=several(chosen.instance_ids),
        namespaces=several(chosen.namespaces),
        name=given(chosen.name),
        phases=several(chosen.phases),
        model_id=given(chosen.model_id),
        engines=several(chosen.engines),
        providers=several(chosen.providers),
        unhealthy=given(chosen.unhealthy),
    )


@strawberry.input(description="An order of deployments; equals are ordered by id.")
class DeploymentOrder:
    field: OrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


def order_of(chosen: DeploymentOrder | None) -> Order:
    order = given(chosen)
    return Order() if order is None else Order(order.field, order.direction)


@strawberry.input(description="All that is given has to hold.")
class InstanceFilter:
    search: str | None = strawberry.field(
        default=UNSET, description="A part of the name or the display name, in any case."
    )
    statuses: list[InstanceStatus] | None = strawberry.field(
        default=UNSET, description="With one of these statuses."
    )


def wanted_instances(chosen: InstanceFilter | None) -> instances.InstanceFilter:
    wanted_ones = given(chosen)
    if wanted_ones is None:
        return instances.InstanceFilter()
    return instances.InstanceFilter(given(wanted_ones.search), several(wanted_ones.statuses))


@strawberry.input(description="A volume that the model's pods mount.")
class ModelVolumeInput:
    name: str = strawberry.field(description="The volume's name.")
    claim_name: str | None = strawberry.field(
        default=UNSET, description="An existing PersistentVolumeClaim; without it one is made."
    )
    mount_path: str | None = strawberry.field(default=UNSET, description="Where it is mounted.")
    purpose: VolumePurpose | None = strawberry.field(default=UNSET, description="What it is for.")
    read_only: bool | None = strawberry.field(default=UNSET, description="Whether it is only read.")
    size: str | None = strawberry.field(default=UNSET, description="A new claim's size, such as `100Gi`.")
    storage_class_name: str | None = strawberry.field(
        default=UNSET, description="A new claim's storage class."
    )
    access_mode: AccessMode | None = strawberry.field(default=UNSET, description="A new claim's access mode.")


@strawberry.input(description="The model to serve.")
class ModelInput:
    id: str = strawberry.field(description="Such as `meta-llama/Llama-3.1-8B-Instruct`.")
    source: ModelSource | None = strawberry.field(default=UNSET, description="Where it comes from.")
    served_name: str | None = strawberry.field(
        default=UNSET, description="The name to serve it under, if another."
    )
    volumes: list[ModelVolumeInput] | None = strawberry.field(
        default=UNSET, description="Volumes to mount, at most 8."
    )


@strawberry.input(description="A command line argument of the engine.")
class EngineArgInput:
    name: str = strawberry.field(description="Without the leading dashes.")
    value: str = strawberry.field(description="Its value.")


@strawberry.input(description="The inference engine and its settings.")
class EngineInput:
    type: Engine | None = strawberry.field(
        default=UNSET, description="The engine; chosen by the cluster if left out."
    )
    image: str | None = strawberry.field(default=UNSET, description="A container image of your own.")
    context_length: int | None = strawberry.field(
        default=UNSET, description="The longest context, in tokens."
    )
    trust_remote_code: bool | None = strawberry.field(
        default=UNSET, description="Run code that comes with the model."
    )
    enable_prefix_caching: bool | None = strawberry.field(
        default=UNSET, description="Reuse the cache of common prefixes; on if left out."
    )
    enforce_eager: bool | None = strawberry.field(default=UNSET, description="Don't capture CUDA graphs.")
    args: list[EngineArgInput] | None = strawberry.field(default=UNSET, description="Named arguments.")
    extra_args: list[str] | None = strawberry.field(
        default=UNSET, description="Arguments appended as they are."
    )


@strawberry.input(description="GPUs of one replica.")
class GpuInput:
    count: int = strawberry.field(description="How many.")
    type: str | None = strawberry.field(default=UNSET, description="`nvidia.com/gpu` if left out.")


@strawberry.input(description="What one replica asks for.")
class ResourcesInput:
    gpu: GpuInput | None = strawberry.field(default=UNSET, description="GPUs; none if left out.")
    memory: str | None = strawberry.field(default=UNSET, description="Such as `32Gi`.")
    cpu: str | None = strawberry.field(default=UNSET, description="Such as `8` or `500m`.")


@strawberry.input(description="One side of disaggregated serving.")
class RoleScalingInput:
    replicas: int = strawberry.field(description="How many.")
    gpu: GpuInput = strawberry.field(description="GPUs of each.")
    memory: str | None = strawberry.field(default=UNSET, description="Memory of each, such as `32Gi`.")


@strawberry.input(description="An environment variable of the engine's container.")
class EnvVarInput:
    name: str = strawberry.field(description="The variable's name.")
    value: str = strawberry.field(description="Its value.")


@strawberry.input(description="Whether and how a gateway serves the model.")
class GatewayInput:
    enabled: bool | None = strawberry.field(default=UNSET, description="Whether a gateway serves it.")
    model_name: str | None = strawberry.field(default=UNSET, description="The model's name there.")


@strawberry.input(description="A key with its value.")
class LabelInput:
    key: str = strawberry.field(description="The key.")
    value: str = strawberry.field(description="The value.")


@strawberry.input(description="A taint that the pods tolerate.")
class TolerationInput:
    key: str | None = strawberry.field(default=UNSET, description="The taint's key; every key if left out.")
    operator: TolerationOperator | None = strawberry.field(
        default=UNSET, description="How the value is compared; EQUAL if left out."
    )
    value: str | None = strawberry.field(default=UNSET, description="The taint's value.")
    effect: TaintEffect | None = strawberry.field(
        default=UNSET, description="The taint's effect; every effect if left out."
    )
    toleration_seconds: int | None = strawberry.field(
        default=UNSET, description="How long NO_EXECUTE is tolerated; for ever if left out."
    )


@strawberry.input(description="A deployment to create. What is left out, the cluster decides.")
class CreateDeploymentInput:
    instance_id: strawberry.ID = strawberry.field(description="The instance to create it on.")
    namespace: str = strawberry.field(description="Its namespace there.")
    name: str = strawberry.field(description="Its name, a DNS name.")
    model: ModelInput = strawberry.field(description="The model to serve.")
    engine: EngineInput | None = strawberry.field(default=UNSET, description="The engine.")
    provider: str | None = strawberry.field(
        default=UNSET, description="The inference provider; chosen by the cluster if left out."
    )
    mode: ServingMode | None = strawberry.field(default=UNSET, description="AGGREGATED if left out.")
    replicas: int | None = strawberry.field(
        default=UNSET, description="How many replicas; 1 if left out, 0 to keep it stopped."
    )
    prefill: RoleScalingInput | None = strawberry.field(
        default=UNSET, description="Prefill servers, for DISAGGREGATED."
    )
    decode: RoleScalingInput | None = strawberry.field(
        default=UNSET, description="Decode servers, for DISAGGREGATED."
    )
    resources: ResourcesInput | None = strawberry.field(
        default=UNSET, description="What one replica asks for."
    )
    image: str | None = strawberry.field(
        default=UNSET, description="The container image; prefer `engine.image`."
    )
    env: list[EnvVarInput] | None = strawberry.field(default=UNSET, description="Environment variables.")
    hugging_face_token_secret: str | None = strawberry.field(
        default=UNSET, description="A Secret in the namespace with a Hugging Face token."
    )
    gateway: GatewayInput | None = strawberry.field(
        default=UNSET, description="Whether and how a gateway serves it."
    )
    node_selector: list[LabelInput] | None = strawberry.field(
        default=UNSET, description="Labels that its nodes must have."
    )
    tolerations: list[TolerationInput] | None = strawberry.field(
        default=UNSET, description="Taints that its pods tolerate."
    )
    labels: list[LabelInput] | None = strawberry.field(default=UNSET, description="Labels of its own.")
    dry_run: bool = strawberry.field(
        default=False, description="Let the API server judge it and keep nothing."
    )


@strawberry.input(description="A deployment to delete.")
class DeleteDeploymentInput:
    instance_id: strawberry.ID = strawberry.field(description="The instance that it is on.")
    namespace: str = strawberry.field(description="Its namespace.")
    name: str = strawberry.field(description="Its name.")
    uid: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Only if it is still this object, not another one under its name."
    )
    dry_run: bool = strawberry.field(default=False, description="Let the API server judge it and keep it.")


def draft_of(create: CreateDeploymentInput) -> drafts.DeploymentDraft:
    """What the use case takes: the same names and nesting, without what was left out."""
    fields = _given_fields(create)
    for name in ("instance_id", "dry_run"):
        fields.pop(name)
    return drafts.DeploymentDraft(**fields)


def _given_fields(value: Any) -> dict[str, Any]:
    named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {name: _frozen(part) for name, part in named if part is not UNSET and part is not None}


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    part = _PARTS.get(type(value))
    return value if part is None else part(**_given_fields(value))


def _label(key: str, value: str) -> drafts.Pair:
    return drafts.Pair(name=key, value=value)


_PARTS: Mapping[type, Callable[..., Any]] = {
    ModelVolumeInput: drafts.Volume,
    ModelInput: drafts.Model,
    EngineArgInput: drafts.Pair,
    EngineInput: drafts.EngineDraft,
    GpuInput: drafts.Gpu,
    ResourcesInput: drafts.Resources,
    RoleScalingInput: drafts.RoleScaling,
    EnvVarInput: drafts.Pair,
    GatewayInput: drafts.Gateway,
    LabelInput: _label,
    TolerationInput: drafts.Toleration,
}
