"""The rules of CLUSTERS.md for phase and replicas, line by line."""

import msgspec
import pytest

from cluster.status import FATAL_WAITS, phase, pod_ready, replicas
from cluster.types import Phase, Replicas
from cluster.wire import ContainerStatus, ModelDeployment, Pod, PodStatus
from tests.support.resources import deployment, pod

RUNNING_READY = pod(ready=True)
RUNNING_UNREADY = pod(ready=False)
SCHEDULED = pod(phase="Pending", node="gpu-1")
UNSCHEDULED = pod(phase="Pending", node=None)
FAILED = pod(phase="Failed")
CRASHING = pod(waiting="CrashLoopBackOff")
SUCCEEDED = pod(phase="Succeeded")

PHASES: list[tuple[str, ModelDeployment, list[Pod] | None, Phase]] = [
    (
        "Terminating if reported, whatever runs",
        deployment(phase="Terminating", replicas=(1, 1)),
        [RUNNING_READY],
        Phase.TERMINATING,
    ),
    (
        "Terminating if reported, whatever failed",
        deployment(phase="Terminating"),
        [FAILED],
        Phase.TERMINATING,
    ),
    (
        "Terminating from the API server's own mark",
        deployment(phase="Running", replicas=(1, 1), deleted=True),
        [RUNNING_READY],
        Phase.TERMINATING,
    ),
    ("ready and reported Running", deployment(phase="Running", replicas=(2, 2)), [], Phase.RUNNING),
    (
        "more than enough and reported Running",
        deployment(phase="Running", replicas=(1, 2)),
        [],
        Phase.RUNNING,
    ),
    (
        "ready with a ready pod, not reported yet",
        deployment(phase="Deploying", replicas=(1, 1)),
        [RUNNING_READY],
        Phase.RUNNING,
    ),
    (
        "ready beats a failed pod beside",
        deployment(phase="Running", replicas=(1, 1)),
        [FAILED, RUNNING_READY],
        Phase.RUNNING,
    ),
    (
        "ready without a report or a ready pod is not Running",
        deployment(phase="Deploying", replicas=(1, 1)),
        [RUNNING_UNREADY],
        Phase.DEPLOYING,
    ),
    (
        "desired 0 with any ready pod",
        deployment(phase="Deploying", replicas=(0, 0)),
        [RUNNING_UNREADY, RUNNING_READY],
        Phase.RUNNING,
    ),
    (
        "desired 0 without a ready pod isn't ready",
        deployment(phase="Running", replicas=(0, 0)),
        [UNSCHEDULED],
        Phase.PENDING,
    ),
    (
        "scaled to nothing: what is reported",
        deployment(phase="Running", replicas=(0, 0)),
        [],
        Phase.RUNNING,
    ),
    (
        "reported Running, but not all replicas: a failed pod shows",
        deployment(phase="Running", replicas=(2, 1)),
        [RUNNING_READY, CRASHING],
        Phase.FAILED,
    ),
    ("a failed pod", deployment(phase="Deploying", replicas=(1, 0)), [FAILED], Phase.FAILED),
    (
        "a failed pod beats a running one",
        deployment(replicas=(2, 0)),
        [RUNNING_UNREADY, FAILED],
        Phase.FAILED,
    ),
    (
        "an init container that waits in vain",
        deployment(replicas=(1, 0)),
        [pod(phase="Pending", init_waiting="ErrImagePull")],
        Phase.FAILED,
    ),
    (
        "a wait that passes by itself",
        deployment(replicas=(1, 0)),
        [pod(phase="Pending", waiting="ContainerCreating")],
        Phase.DEPLOYING,
    ),
    ("any running pod", deployment(phase="Pending"), [UNSCHEDULED, RUNNING_UNREADY], Phase.DEPLOYING),
    (
        "a running pod beats a reported Failed",
        deployment(phase="Failed"),
        [RUNNING_UNREADY],
        Phase.DEPLOYING,
    ),
    ("a scheduled pending pod", deployment(phase="Pending"), [UNSCHEDULED, SCHEDULED], Phase.DEPLOYING),
    ("an unscheduled pending pod", deployment(phase="Deploying"), [UNSCHEDULED], Phase.PENDING),
    ("pods that say nothing", deployment(phase="Deploying"), [SUCCEEDED], Phase.DEPLOYING),
    ("no pods: what is reported", deployment(phase="Failed"), [], Phase.FAILED),
    ("not yet reconciled", deployment(phase=None), [], Phase.PENDING),
    ("an empty phase", deployment(phase=""), [], Phase.PENDING),
    ("a phase of the future", deployment(phase="Levitating"), [], Phase.PENDING),
    (
        "unreadable pods: what is reported",
        deployment(phase="Running", replicas=(2, 1)),
        None,
        Phase.RUNNING,
    ),
    ("unreadable pods, nothing reported", deployment(), None, Phase.PENDING),
]


@pytest.mark.parametrize(
    ("resource", "pods", "expected"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES]
)
def test_phase(resource: ModelDeployment, pods: list[Pod] | None, expected: Phase) -> None:
    assert phase(resource, pods) is expected


@pytest.mark.parametrize("reason", sorted(FATAL_WAITS))
def test_every_fatal_wait_fails(reason: str) -> None:
    assert phase(deployment(replicas=(1, 0)), [pod(waiting=reason)]) is Phase.FAILED


def test_the_fatal_waits_are_those_of_the_design() -> None:
    listed = (
        "CrashLoopBackOff, CreateContainerConfigError, CreateContainerError, ErrImagePull, "
        "ImagePullBackOff, InvalidImageName, RunContainerError, StartError"
    )
    assert sorted(FATAL_WAITS) == listed.split(", ")


REPLICAS: list[tuple[str, ModelDeployment, list[Pod] | None, Replicas]] = [
    ("as reported", deployment(replicas=(3, 2), asked=5), [RUNNING_READY], Replicas(3, 2, 2)),
    ("unreported: asked for, no pods", deployment(asked=2), [], Replicas(2, 0, 0)),
    ("unreported: pods unreadable", deployment(asked=2), None, Replicas(2, 0, 0)),
    ("unreported: not all pods ready", deployment(), [RUNNING_READY, SCHEDULED], Replicas(1, 0, 0)),
    ("unreported: all pods ready", deployment(asked=2), [RUNNING_READY, RUNNING_READY], Replicas(2, 2, 2)),
    ("disaggregated: its roles together", deployment(asked=1, roles=(2, 3)), [], Replicas(5, 0, 0)),
]


@pytest.mark.parametrize(
    ("resource", "pods", "expected"), [row[1:] for row in REPLICAS], ids=[row[0] for row in REPLICAS]
)
def test_replicas(resource: ModelDeployment, pods: list[Pod] | None, expected: Replicas) -> None:
    assert replicas(resource, pods) == expected


def test_a_pod_is_ready_by_its_condition_else_by_all_of_its_containers() -> None:
    ready, unready = ContainerStatus(name="a", ready=True), ContainerStatus(name="b")
    both = msgspec.structs.replace(RUNNING_READY, status=PodStatus(container_statuses=(ready, unready)))
    one = msgspec.structs.replace(RUNNING_READY, status=PodStatus(container_statuses=(ready,)))
    none = msgspec.structs.replace(RUNNING_READY, status=PodStatus())
    assert pod_ready(RUNNING_READY)
    assert not pod_ready(RUNNING_UNREADY)
    assert [pod_ready(each) for each in (both, one, none)] == [False, True, False]
