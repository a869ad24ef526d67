"""The Kubernetes resources as they come over the wire, cut down to what the hub reads.

Decoded straight from JSON by msgspec (CLUSTERS.md of the design has the facts; DESIGN.md the measurements:
4.7 µs and 4 KB an object, against 119 µs and 21 KB for a dict). Unknown fields are skipped; a field of
another type than expected fails the object's decoding, which the client reports.
"""

from datetime import datetime

import msgspec


class _Wire(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    # gc=False (inherited): values without cycles. 100,000 objects are millions of structs; tracked, each
    # would take 16 bytes more, and a full collection seconds.
    pass


class Annotations(_Wire, frozen=True):
    """Those that the hub reads; the rest (last-applied configurations, CNI states) can be kilobytes each."""

    created_by: str | None = msgspec.field(default=None, name="hub.airunway.ai/created-by")


class Metadata(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: Annotations = Annotations()


class Resource(_Wire, frozen=True):
    """What all resources share; by itself, one of which only the name matters (namespaces, CRDs, nodes)."""

    metadata: Metadata = Metadata()


class GpuSpec(_Wire, frozen=True):
    count: int = 0
    type: str = "nvidia.com/gpu"


class RoleScaling(_Wire, frozen=True):
    replicas: int = 1
    gpu: GpuSpec = GpuSpec()


class Scaling(_Wire, frozen=True):
    replicas: int = 1
    prefill: RoleScaling | None = None
    decode: RoleScaling | None = None


class ModelSpec(_Wire, frozen=True):
    id: str = ""
    served_name: str | None = None


class EngineSpec(_Wire, frozen=True):
    type: str | None = None
    image: str | None = None
    context_length: int | None = None


class ProviderSpec(_Wire, frozen=True):
    name: str | None = None


class ServingSpec(_Wire, frozen=True):
    mode: str | None = None


class Resources(_Wire, frozen=True):
    gpu: GpuSpec = GpuSpec()


class ModelDeploymentSpec(_Wire, frozen=True):
    model: ModelSpec = ModelSpec()
    provider: ProviderSpec = ProviderSpec()
    engine: EngineSpec = EngineSpec()
    serving: ServingSpec = ServingSpec()
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    image: str | None = None


class ReplicaStatus(_Wire, frozen=True):
    desired: int = 0
    ready: int = 0
    available: int = 0


class EndpointStatus(_Wire, frozen=True):
    service: str | None = None
    port: int | None = None


class GatewayStatus(_Wire, frozen=True):
    endpoint: str | None = None
    model_name: str | None = None


class NamedChoice(_Wire, frozen=True):
    """status.provider and status.engine."""

    name: str | None = None
    type: str | None = None


class Condition(_Wire, frozen=True):
    type: str = ""
    status: str = "Unknown"
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class ImageStatus(_Wire, frozen=True):
    requested: str | None = None
    resolved: str | None = None


class ModelDeploymentStatus(_Wire, frozen=True):
    phase: str | None = None
    message: str | None = None
    observed_generation: int = 0
    provider: NamedChoice = NamedChoice()
    engine: NamedChoice = NamedChoice()
    replicas: ReplicaStatus | None = None
    endpoint: EndpointStatus | None = None
    gateway: GatewayStatus | None = None
    image: ImageStatus | str | None = None
    """An object in AI Runway's Go types; a plain reference is taken as well."""
    conditions: tuple[Condition, ...] = ()


class ModelDeployment(Resource, frozen=True):
    spec: ModelDeploymentSpec = ModelDeploymentSpec()
    status: ModelDeploymentStatus = ModelDeploymentStatus()


class WaitingState(_Wire, frozen=True):
    reason: str | None = None
    message: str | None = None


class TerminatedState(_Wire, frozen=True):
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None


class RunningState(_Wire, frozen=True):
    pass


class ContainerState(_Wire, frozen=True):
    waiting: WaitingState | None = None
    running: RunningState | None = None
    terminated: TerminatedState | None = None


class ContainerStatus(_Wire, frozen=True):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()


class PodCondition(_Wire, frozen=True):
    type: str = ""
    status: str = "Unknown"


class PodSpec(_Wire, frozen=True):
    node_name: str | None = None


class PodStatus(_Wire, frozen=True):
    phase: str = "Unknown"
    start_time: datetime | None = None
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Resource, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
