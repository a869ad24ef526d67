"""What goes up from a cluster: frozen values, without any live reference."""

from datetime import datetime
from enum import StrEnum

import msgspec

from cluster import wire


class InstanceStatus(StrEnum):
    CONNECTING = "CONNECTING"
    """Never synced."""
    CONNECTED = "CONNECTED"
    """All watches live."""
    DEGRADED = "DEGRADED"
    """Synced, but some resource fails."""
    DISCONNECTED = "DISCONNECTED"
    """Unreachable."""
    ERROR = "ERROR"
    """Needs a person: 401, 403, a bad credential."""


class InstanceState(msgspec.Struct, frozen=True):
    """How it stands with one instance."""

    instance_id: str
    status: InstanceStatus
    reason: str | None = None
    """What is wrong and what to do, for those who manage instances: may name addresses and files."""
    public_reason: str | None = None
    """The same for everybody else: a fixed sentence."""
    live: bool = False
    """Whether the watch of the deployments stands, so that the store is of now."""
    synced_at: datetime | None = None
    """When the store last became live."""
    last_seen_at: datetime | None = None
    """When the API server last answered anything."""
    kubernetes_version: str | None = None
    api_group: str | None = None
    """The newest AI Runway API group that the cluster serves; None without its CRD."""
    node_count: int | None = None
    endpoint: str | None = None
    """The API server's address. For MANAGE_INSTANCES alone."""
    cluster_uid: str | None = None
    """Which cluster it is, by the uid of its `kube-system`; None while that isn't known."""
    missing_verbs: tuple[str, ...] = ()
    """What the hub does on clusters and its account may not do there, as far as that is known. For
    MANAGE_INSTANCES alone."""
    warnings: tuple[str, ...] = ()
    """What should be mended of the hub's access there. For MANAGE_INSTANCES alone."""


class Phase(StrEnum):
    PENDING = "PENDING"
    DEPLOYING = "DEPLOYING"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    TERMINATING = "TERMINATING"


class Replicas(msgspec.Struct, frozen=True):
    desired: int
    ready: int
    available: int


class Deployment(msgspec.Struct, frozen=True, gc=False):
    """A ModelDeployment joined with its pods: one version of it, for good."""

    instance_id: str
    api_group: str
    resource: wire.ModelDeployment
    pods: tuple[wire.Pod, ...] | None
    """Its pods by name; None where the pods can't be read."""
    phase: Phase
    replicas: Replicas
    observed_at: datetime
    """When the hub saw this version of it, or of its pods."""

    @property
    def id(self) -> str:
        return f"{self.instance_id}/{self.namespace}/{self.name}"

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace

    @property
    def name(self) -> str:
        return self.resource.metadata.name

    @property
    def uid(self) -> str:
        return self.resource.metadata.uid

    @property
    def model_id(self) -> str:
        return self.resource.spec.model.id

    @property
    def engine_name(self) -> str | None:
        """In the cluster's word: what was chosen, else what was asked for."""
        return self.resource.status.engine.type or self.resource.spec.engine.type

    @property
    def provider(self) -> str | None:
        return self.resource.status.provider.name or self.resource.spec.provider.name

    @property
    def created_by_name(self) -> str | None:
        """By the hub's annotation, which anyone with kubectl can forge."""
        return self.resource.metadata.annotations.created_by

    @property
    def image(self) -> str | None:
        """What runs, as far as it is reported, else what was asked for."""
        reported, spec = self.resource.status.image, self.resource.spec
        resolved = reported.resolved if isinstance(reported, wire.ImageStatus) else reported
        return resolved or spec.engine.image or spec.image

    @property
    def gpu_count(self) -> int:
        """GPUs that all its replicas ask for together."""
        scaling = self.resource.spec.scaling
        roles = [role for role in (scaling.prefill, scaling.decode) if role is not None]
        if roles:
            return sum(role.replicas * role.gpu.count for role in roles)
        return scaling.replicas * self.resource.spec.resources.gpu.count

    @property
    def gpu_type(self) -> str | None:
        """The GPU resource that its replicas ask for; None without GPUs."""
        spec = self.resource.spec
        roles = (spec.scaling.prefill, spec.scaling.decode)
        asked = [role.gpu for role in roles if role is not None] or [spec.resources.gpu]
        return next((gpu.type for gpu in asked if gpu.count), None)

    @property
    def status_stale(self) -> bool:
        """The controller hasn't seen the newest spec yet."""
        return self.resource.status.observed_generation < self.resource.metadata.generation

    @property
    def unhealthy(self) -> bool:
        return self.phase is Phase.FAILED


class Change(msgspec.Struct, frozen=True, gc=False):
    """One entry of a change log: what last became of one deployment."""

    sequence: int
    namespace: str
    name: str
    deployment: Deployment
    """Its last state, if deleted the state before the deletion."""
    deleted: bool
