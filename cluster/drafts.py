"""What a person asks for in a new deployment.

Names and nesting are those of `CreateDeploymentInput`, None is what was left out, an enum's values are the
words that clusters use.
"""

from enum import StrEnum

import msgspec


class Engine(StrEnum):
    VLLM = "vllm"
    SGLANG = "sglang"
    TRTLLM = "trtllm"
    LLAMACPP = "llamacpp"


class ServingMode(StrEnum):
    AGGREGATED = "aggregated"
    DISAGGREGATED = "disaggregated"


class ModelSource(StrEnum):
    HUGGINGFACE = "huggingface"
    CUSTOM = "custom"


class VolumePurpose(StrEnum):
    MODEL_CACHE = "modelCache"
    COMPILATION_CACHE = "compilationCache"
    CUSTOM = "custom"


class AccessMode(StrEnum):
    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"


class TolerationOperator(StrEnum):
    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    # Encoded, each is what the ModelDeployment's spec has in this place: camel case, absent where None.
    pass


class Volume(_Part, frozen=True):
    name: str
    claim_name: str | None = None
    mount_path: str | None = None
    purpose: VolumePurpose | None = None
    read_only: bool | None = None
    size: str | None = None
    storage_class_name: str | None = None
    access_mode: AccessMode | None = None


class Model(_Part, frozen=True):
    id: str
    source: ModelSource | None = None
    served_name: str | None = None
    volumes: tuple[Volume, ...] = ()


class Pair(_Part, frozen=True):
    """An engine argument, an environment variable (`name`) or a label (`key`)."""

    name: str
    value: str


class EngineDraft(_Part, frozen=True):
    type: Engine | None = None
    image: str | None = None
    context_length: int | None = None
    trust_remote_code: bool | None = None
    enable_prefix_caching: bool | None = None
    enforce_eager: bool | None = None
    args: tuple[Pair, ...] = ()
    extra_args: tuple[str, ...] = ()


class Gpu(_Part, frozen=True):
    count: int
    type: str | None = None


class Resources(_Part, frozen=True):
    gpu: Gpu | None = None
    memory: str | None = None
    cpu: str | None = None


class RoleScaling(_Part, frozen=True):
    replicas: int
    gpu: Gpu
    memory: str | None = None


class Gateway(_Part, frozen=True):
    enabled: bool | None = None
    model_name: str | None = None


class Toleration(_Part, frozen=True):
    key: str | None = None
    operator: TolerationOperator | None = None
    value: str | None = None
    effect: TaintEffect | None = None
    toleration_seconds: int | None = None


class DeploymentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment to be created in a namespace of an instance."""

    namespace: str
    name: str
    model: Model
    engine: EngineDraft | None = None
    provider: str | None = None
    mode: ServingMode | None = None
    replicas: int | None = None
    prefill: RoleScaling | None = None
    decode: RoleScaling | None = None
    resources: Resources | None = None
    image: str | None = None
    env: tuple[Pair, ...] = ()
    hugging_face_token_secret: str | None = None
    gateway: Gateway | None = None
    node_selector: tuple[Pair, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    labels: tuple[Pair, ...] = ()
