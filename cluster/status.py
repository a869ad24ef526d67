"""What a deployment's phase and replicas are, from its resource and its pods (CLUSTERS.md of the design).

`pods` is None where they can't be read: what is reported then stands alone.
"""

from collections.abc import Sequence

from cluster.types import Phase, Replicas
from cluster.wire import ModelDeployment, Pod, Scaling

REPORTED = {phase.value.capitalize(): phase for phase in Phase}
"""The cluster's words for the phases."""

FATAL_WAITS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
        "StartError",
    }
)


def phase(resource: ModelDeployment, pods: Sequence[Pod] | None) -> Phase:
    """The phase that is shown: the first line of the rules that holds.

    A deletion timestamp is the API server's own report of Terminating: the controller's word comes later.
    """
    reported = REPORTED.get(resource.status.phase or "")
    if reported is Phase.TERMINATING or resource.metadata.deletion_timestamp is not None:
        return Phase.TERMINATING
    pods = pods or ()
    ready_pod = any(pod_ready(pod) for pod in pods)
    count = replicas(resource, pods)
    complete = count.ready >= count.desired if count.desired else ready_pod
    if complete and (reported is Phase.RUNNING or ready_pod):
        return Phase.RUNNING
    return _phase_of_pods(pods) or reported or Phase.PENDING


def _phase_of_pods(pods: Sequence[Pod]) -> Phase | None:
    if any(pod_failed(pod) for pod in pods):
        return Phase.FAILED
    phases = {(pod.status.phase, pod.spec.node_name is not None) for pod in pods}
    if phases & {("Running", True), ("Running", False), ("Pending", True)}:
        return Phase.DEPLOYING
    return Phase.PENDING if ("Pending", False) in phases else None


def replicas(resource: ModelDeployment, pods: Sequence[Pod] | None) -> Replicas:
    """As reported; before any report, what the spec asks for, all of it ready or none.

    A replica may be several pods (a Ray head and its workers), so pods aren't counted: all have to be ready.
    """
    if (reported := resource.status.replicas) is not None:
        return Replicas(reported.desired, reported.ready, reported.available)
    desired = _desired(resource.spec.scaling)
    ready = desired if pods and all(pod_ready(pod) for pod in pods) else 0
    return Replicas(desired, ready, ready)


def _desired(scaling: Scaling) -> int:
    roles = [role for role in (scaling.prefill, scaling.decode) if role is not None]
    return sum(role.replicas for role in roles) if roles else scaling.replicas


def pod_ready(pod: Pod) -> bool:
    """By its Ready condition; where there is none, all of its containers."""
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition.status == "True"
    statuses = pod.status.container_statuses
    return bool(statuses) and all(status.ready for status in statuses)


def pod_failed(pod: Pod) -> bool:
    """Whether it failed, or a container of it waits for something that won't come by itself."""
    return pod.status.phase == "Failed" or any(
        status.state.waiting is not None and status.state.waiting.reason in FATAL_WAITS
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
