"""What a controller says of a ModelDeployment: pure, from its specification and its pods' stages."""

from collections import Counter
from collections.abc import Callable, Mapping

from hub.demo.lives import FAILED_STAGES, SCHEDULING, Stage
from hub.demo.objects import Json, timestamp
from hub.demo.schemas import at

MAX_PODS = 32
"""Of one role of one deployment: what is asked for beyond is never ready."""

_PROVIDER_OF_ENGINE = {"vllm": "kaito", "sglang": "dynamo", "trtllm": "dynamo", "llamacpp": "kaito"}
_CHECKS = ("Validated", "EngineSelected", "ProviderSelected", "ProviderCompatible")


def provider_of(deployment: Json) -> str:
    """The provider asked for, else the one that the engine gets."""
    asked = at(deployment, "spec.provider.name")
    engine = at(deployment, "spec.engine.type") or "vllm"
    return str(asked or _PROVIDER_OF_ENGINE[engine])


def _wanted(deployment: Json) -> Mapping[str, int]:
    """Replicas by role."""
    scaling = at(deployment, "spec.scaling") or {}
    if at(deployment, "spec.serving.mode") == "disaggregated":
        return {role: scaling[role].get("replicas", 1) for role in ("prefill", "decode")}
    return {"server": scaling.get("replicas", 1)}


def pods_of(deployment: Json) -> Mapping[str, int]:
    """The pods' names and the GPUs of each."""
    name, found = str(deployment["metadata"]["name"]), dict[str, int]()
    for role, replicas in _wanted(deployment).items():
        place = "spec.resources" if role == "server" else f"spec.scaling.{role}"
        gpus = at(deployment, f"{place}.gpu.count") or 0
        found |= {f"{name}-{role}-{index}": gpus for index in range(min(replicas, MAX_PODS))}
    return found


def accepted(deployment: Json) -> Json:
    """The first status: validated, engine and provider chosen."""
    provider, name = provider_of(deployment), deployment["metadata"]["name"]
    status: Json = {"phase": "Pending", "message": "Waiting for the provider to create its resources"}
    status["observedGeneration"] = deployment["metadata"]["generation"]
    status["provider"] = {"name": provider, "resourceName": name, "selectedReason": "default"}
    status["engine"] = {"type": at(deployment, "spec.engine.type") or "vllm", "selectedReason": "asked for"}
    status["replicas"] = {"desired": sum(_wanted(deployment).values()), "ready": 0, "available": 0}
    status["conditions"] = [_condition(check, "True", check) for check in _CHECKS]
    return status


def reported(deployment: Json, stages: Counter[Stage], refusal: Callable[[], str]) -> Json:
    """The status as a merge patch; `refusal` says why pods can't be scheduled."""
    desired, ready = sum(_wanted(deployment).values()), stages[Stage.READY]
    phase, message = _phase(stages, desired, at(deployment, "status.phase"))
    if phase == "Pending" and stages[Stage.UNSCHEDULABLE]:
        message = refusal()
    return {
        "phase": phase,
        "message": message,
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": {"desired": desired, "ready": ready, "available": ready},
        "endpoint": {"service": deployment["metadata"]["name"], "port": 8000} if ready else None,
        "conditions": _conditions(deployment, phase, message),
    }


def _phase(stages: Counter[Stage], desired: int, before: str) -> tuple[str, str | None]:
    """The phase to report, with its message."""
    ready = stages[Stage.READY]
    if any(stages[stage] for stage in FAILED_STAGES):
        return "Failed", "A pod can't start; see its events"
    if desired and (ready >= desired or (ready and before == "Running")):
        return "Running", None
    if before == "Failed" and stages[Stage.STARTING]:
        return "Failed", "A pod is starting again after failures"
    if stages.total() > sum(stages[stage] for stage in SCHEDULING):
        return "Deploying", f"{ready} of {desired} replicas are ready"
    return "Pending", "Waiting for a node" if desired else "Scaled to zero"


def _condition(type_: str, status: str, reason: str, message: str = "") -> Json:
    moment = {"lastTransitionTime": timestamp()}
    return {"type": type_, "status": status, "reason": reason, "message": message, **moment}


def _conditions(deployment: Json, phase: str, message: str | None) -> list[Json]:
    """The present conditions; those that say what they said before keep their time."""
    before = {each["type"]: each for each in at(deployment, "status.conditions") or ()}
    running = "True" if phase == "Running" else "False"
    for each in (
        _condition("ResourceCreated", "True", "ResourceCreated"),
        _condition("Ready", running, f"Deployment{phase}", message or ""),
    ):
        old = before.get(each["type"])
        if old is not None and old["status"] == each["status"]:
            each["lastTransitionTime"] = old["lastTransitionTime"]
        before[each["type"]] = each
    return list(before.values())
