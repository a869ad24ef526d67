"""The custom resources' schemas and rules (CLUSTERS.md of the design says where each comes from)."""

from collections.abc import Callable, Iterator
from typing import Any

from hub.demo.resources import Resource
from hub.demo.status import Cause, Json

STRING: Json = {"type": "string"}
BOOLEAN: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
STRING_MAP: Json = {"type": "object", "additionalProperties": STRING}


def record(*, required: tuple[str, ...] = (), **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def listing(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def choice(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


_VOLUME = record(
    required=("name",),
    name=STRING,
    claimName=STRING,
    mountPath=STRING,
    purpose=choice("modelCache", "compilationCache", "custom"),
    readOnly=BOOLEAN,
    size=STRING,
    storageClassName=STRING,
    accessMode=STRING,
)
_GPU = record(count=COUNT | {"default": 0}, type=STRING | {"default": "nvidia.com/gpu"})
_ROLE = record(replicas=COUNT | {"default": 1}, gpu=_GPU, memory=STRING)
_SPEC = record(
    required=("model",),
    model=record(
        required=("id",),
        id=STRING | {"minLength": 1},
        servedName=STRING,
        source=choice("huggingface", "custom"),
        storage=record(volumes=listing(_VOLUME, maxItems=8)),
    ),
    provider=record(name=STRING, overrides=OPEN),
    engine=record(
        type=choice("vllm", "sglang", "trtllm", "llamacpp"),
        image=STRING,
        contextLength={"type": "integer", "minimum": 1},
        trustRemoteCode=BOOLEAN,
        enablePrefixCaching=BOOLEAN | {"default": True},
        enforceEager=BOOLEAN,
        args=STRING_MAP,
        extraArgs=listing(STRING),
    ),
    serving=record(mode=choice("aggregated", "disaggregated")),
    scaling=record(replicas=COUNT | {"default": 1}, prefill=_ROLE, decode=_ROLE),
    resources=record(gpu=_GPU, memory=STRING, cpu=STRING),
    image=STRING,
    env=listing(OPEN),
    podTemplate=record(metadata=record(labels=STRING_MAP, annotations=STRING_MAP)),
    secrets=record(huggingFaceToken=STRING),
    gateway=record(enabled=BOOLEAN, modelName=STRING, httpRouteRef=OPEN),
    nodeSelector=STRING_MAP,
    tolerations=listing(OPEN),
)


def _custom_resource(spec: Json, *, required: tuple[str, ...]) -> Json:
    return record(required=required, apiVersion=STRING, kind=STRING, metadata=OPEN, spec=spec, status=OPEN)


MODEL_DEPLOYMENT = _custom_resource(_SPEC, required=("spec",))
PROVIDER_CONFIG = _custom_resource(OPEN, required=())


def schema_of(resource: Resource) -> Json:
    return MODEL_DEPLOYMENT if resource.kind == "ModelDeployment" else PROVIDER_CONFIG


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path; None where there is nothing."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def rule_violations(body: Json, old: Json | None) -> Iterator[Cause]:
    """The rules of a ModelDeployment across fields and versions."""
    yield from _serving_violations(body["spec"])
    if old is not None:
        yield from _immutable_violations(body["spec"], old["spec"])


def _serving_violations(spec: Json) -> Iterator[Cause]:
    if at(spec, "serving.mode") != "disaggregated":
        return
    if at(spec, "resources.gpu") is not None:
        message = (
            "Forbidden: not allowed in disaggregated mode; give scaling.prefill.gpu and scaling.decode.gpu"
        )
        yield Cause("FieldValueForbidden", message, "spec.resources.gpu")
    if not all(at(spec, f"scaling.{role}.gpu.count") for role in ("prefill", "decode")):
        message = (
            "Required value: disaggregated mode needs scaling.prefill and scaling.decode, each with GPUs"
        )
        yield Cause("FieldValueRequired", message, "spec.scaling")


def _immutable_violations(spec: Json, old: Json) -> Iterator[Cause]:
    message = "Forbidden: is immutable; delete the deployment and create it anew"
    for path in ("model.id", "model.source", "engine.type", "provider.name", "serving.mode"):
        before = at(old, path)
        if before is not None and at(spec, path) != before:
            yield Cause("FieldValueForbidden", message, f"spec.{path}")
    volumes = at(spec, "model.storage.volumes") or []
    # A volume with a size is managed: its claim was made by the controller.
    managed = [volume for volume in at(old, "model.storage.volumes") or [] if "size" in volume]
    if any(volume not in volumes for volume in managed):
        yield Cause("FieldValueForbidden", message, "spec.model.storage.volumes")


Rule = Callable[[Json, Json | None], Iterator[Cause]]


def rules_of(resource: Resource) -> Rule | None:
    return rule_violations if resource.kind == "ModelDeployment" else None
