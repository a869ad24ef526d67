"""Pods and their containers, as the surface shows them."""

from datetime import datetime

import strawberry

from cluster import wire
from schema.words import ContainerState, PodPhase

PodRow = strawberry.Parent[wire.Pod]
ContainerRow = strawberry.Parent[wire.ContainerStatus]


def _state(parent: ContainerRow) -> ContainerState:
    if parent.state.running is not None:
        return ContainerState.RUNNING
    return ContainerState.TERMINATED if parent.state.terminated is not None else ContainerState.WAITING


def _reason(parent: ContainerRow) -> str | None:
    stopped = parent.state.terminated or parent.state.waiting
    return stopped.reason if stopped else None


def _message(parent: ContainerRow) -> str | None:
    stopped = parent.state.terminated or parent.state.waiting
    return stopped.message if stopped else None


def _exit_code(parent: ContainerRow) -> int | None:
    return parent.state.terminated.exit_code if parent.state.terminated else None


@strawberry.type(description="A container of a pod; init containers come first.")
class Container:
    name: str = strawberry.field(description="The container's name.")
    state: ContainerState = strawberry.field(resolver=_state, description="What it does now.")
    ready: bool = strawberry.field(description="Whether it passes its readiness probe.")
    restart_count: int = strawberry.field(description="How often it was started anew.")
    reason: str | None = strawberry.field(resolver=_reason, description="Why it waits or ended, in a word.")
    message: str | None = strawberry.field(
        resolver=_message, description="Why it waits or ended, in a sentence."
    )
    exit_code: int | None = strawberry.field(resolver=_exit_code, description="How it ended.")


def _uid(parent: PodRow) -> strawberry.ID:
    return strawberry.ID(parent.metadata.uid)


def _name(parent: PodRow) -> str:
    return parent.metadata.name


def _phase(parent: PodRow) -> PodPhase:
    try:
        return PodPhase(parent.status.phase)
    except ValueError:
        return PodPhase.UNKNOWN


def _ready(parent: PodRow) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in parent.status.conditions)


def _node_name(parent: PodRow) -> str | None:
    return parent.spec.node_name


def _started_at(parent: PodRow) -> datetime | None:
    return parent.status.start_time


def _containers(parent: PodRow) -> list[Container]:
    return [*parent.status.init_container_statuses, *parent.status.container_statuses]  # type: ignore[list-item]


@strawberry.type(description="A pod of a deployment.")
class Pod:
    uid: strawberry.ID = strawberry.field(resolver=_uid, description="The pod's uid.")
    name: str = strawberry.field(resolver=_name, description="The pod's name.")
    phase: PodPhase = strawberry.field(resolver=_phase, description="The pod's phase.")
    ready: bool = strawberry.field(resolver=_ready, description="Whether it may serve requests.")
    node_name: str | None = strawberry.field(
        resolver=_node_name, description="The node that it was scheduled to; null before."
    )
    started_at: datetime | None = strawberry.field(
        resolver=_started_at, description="When the node took it up."
    )
    containers: list[Container] = strawberry.field(
        resolver=_containers, description="Its containers, init containers first."
    )
