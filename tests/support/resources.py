"""Resources as the client would have decoded them."""

from datetime import UTC, datetime

from cluster.wire import (
    ContainerState,
    ContainerStatus,
    Metadata,
    ModelDeployment,
    ModelDeploymentSpec,
    ModelDeploymentStatus,
    ModelSpec,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ReplicaStatus,
    RoleScaling,
    Scaling,
    WaitingState,
)

THEN = datetime(2026, 11, 2, 8, tzinfo=UTC)


def deployment(
    name: str = "llama",
    *,
    namespace: str = "ml-team",
    uid: str = "u1",
    version: int | str = 1,
    phase: str | None = None,
    replicas: tuple[int, int] | None = None,
    asked: int = 1,
    roles: tuple[int, int] | None = None,
    deleted: bool = False,
) -> ModelDeployment:
    """`replicas` are (desired, ready) as reported; `asked` and `roles` (prefill, decode) are the spec's."""
    prefill, decode = (RoleScaling(replicas=count) for count in roles) if roles else (None, None)
    return ModelDeployment(
        metadata=Metadata(
            name=name,
            namespace=namespace,
            uid=uid,
            resource_version=str(version),
            deletion_timestamp=THEN if deleted else None,
        ),
        spec=ModelDeploymentSpec(
            model=ModelSpec(id="meta/llama"),
            scaling=Scaling(replicas=asked, prefill=prefill, decode=decode),
        ),
        status=ModelDeploymentStatus(
            phase=phase,
            replicas=None if replicas is None else ReplicaStatus(*replicas, replicas[1]),
        ),
    )


def pod(
    name: str = "llama-0",
    *,
    namespace: str = "ml-team",
    uid: str | None = None,
    version: int | str = 1,
    labels: dict[str, str] | None = None,
    phase: str = "Running",
    ready: bool | None = None,
    node: str | None = "gpu-1",
    waiting: str | None = None,
    init_waiting: str | None = None,
    restarts: int = 0,
) -> Pod:
    """`ready` is its Ready condition; None for none. `waiting` and `init_waiting` are containers' reasons."""
    return Pod(
        metadata=Metadata(
            name=name,
            namespace=namespace,
            uid=uid or f"uid-of-{name}",
            resource_version=str(version),
            labels={"app.kubernetes.io/instance": "llama"} if labels is None else labels,
        ),
        spec=PodSpec(node_name=node),
        status=PodStatus(
            phase=phase,
            conditions=() if ready is None else (PodCondition("Ready", "True" if ready else "False"),),
            container_statuses=(_container(ready=bool(ready), waiting=waiting, restarts=restarts),),
            init_container_statuses=(_container(ready=False, waiting=init_waiting, restarts=0),),
        ),
    )


def _container(*, ready: bool, waiting: str | None, restarts: int) -> ContainerStatus:
    state = ContainerState(waiting=None if waiting is None else WaitingState(reason=waiting))
    return ContainerStatus(name="main", ready=ready, restart_count=restarts, state=state)
