"""Our enums as GraphQL enums. The lower floors' own classes are exposed, so no value is ever converted."""

from collections.abc import Mapping
from enum import Enum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from auth.audit import Means, Outcome
from auth.identity import Provider
from auth.permissions import GrantSource, Permission, Role
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
from credentials.types import CredentialSource
from resolvers.deployments import Direction, OrderField
from resolvers.streams import EventType
from resolvers.viewer_stream import ViewerEventType
from schema.words import ConditionStatus, ContainerState, Denial, HubMode, PodPhase


def _expose(enum: type[Enum], name: str, description: str, values: Mapping[str, str]) -> None:
    """Make the enum a GraphQL enum in which every value is described."""
    strawberry.enum(enum, name=name, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


_expose(
    Permission,
    "Permission",
    "What somebody may do. A role holds permissions; a grant says where.",
    {
        "VIEW_INSTANCES": "See an instance and how it is doing.",
        "VIEW_DEPLOYMENTS": "See deployments, their pods and their counts.",
        "MANAGE_DEPLOYMENTS": "Create, change and delete deployments.",
        "MANAGE_USERS": "See people, give and take roles.",
        "MANAGE_GROUP_MAPPINGS": "Map the identity provider's groups to roles.",
        "MANAGE_INSTANCES": "Register, change and remove instances; see their credentials' posture.",
        "VIEW_AUDIT_LOG": "Read who did what.",
    },
)
_expose(
    Denial,
    "Denial",
    "What a guarded field does for somebody without the permission.",
    {
        "REFUSE": "An error: FORBIDDEN where the person may see the place, else NOT_FOUND.",
        "NARROW": "The answer holds only what the person may see.",
        "HIDE": "Null, without an error.",
    },
)
_expose(
    HubMode,
    "HubMode",
    "What the hub runs as.",
    {
        "HUB": "The portal: people sign in, clusters come from the credentials directory.",
        "LOCAL": "One instance from the ambient kubeconfig, no sign-in, loopback only.",
        "DEMO": "Simulated clusters and ready users, loopback only.",
    },
)
_expose(
    Role,
    "Role",
    "A set of permissions. A higher role includes the lower ones.",
    {
        "ADMIN": "Everything, everywhere.",
        "DEPLOYER": "See, and manage deployments.",
        "VIEWER": "See.",
    },
)
_expose(
    Provider,
    "AuthProvider",
    "Who vouches for a person.",
    {
        "ENTRA": "Microsoft Entra ID.",
        "GITHUB": "GitHub.",
        "OIDC": "Another OpenID Connect provider.",
        "DEMO": "The demo's ready users.",
        "LOCAL": "Whoever runs the hub on their own machine.",
    },
)
_expose(
    GrantSource,
    "GrantSource",
    "Where a grant comes from.",
    {
        "MANUAL": "Given by an administrator; the only kind that can be revoked.",
        "GROUP": "Follows from a group mapping and the person's groups.",
        "BOOTSTRAP": "Follows from the hub's HUB_ADMINS setting.",
    },
)
_expose(
    InstanceStatus,
    "InstanceStatus",
    "How it stands with an instance.",
    {
        "CONNECTING": "Never synced yet.",
        "CONNECTED": "All watches are live.",
        "DEGRADED": "Synced, but some resource can't be read.",
        "DISCONNECTED": "Unreachable; what was last seen is shown and marked stale.",
        "ERROR": "Needs a person: the credential was refused or can't be used.",
    },
)
_expose(
    CredentialSource,
    "CredentialSource",
    "Where an instance's credential comes from.",
    {
        "FILE": "A file in the credentials directory.",
        "STORED": "Uploaded, kept encrypted in the database.",
        "AMBIENT": "The kubeconfig of whoever runs the hub.",
    },
)
_expose(
    Phase,
    "DeploymentPhase",
    "Where a deployment is in its life, as its status and its pods together show it.",
    {
        "PENDING": "Not started: not reconciled, or its pods can't be scheduled yet.",
        "DEPLOYING": "Pods are scheduled or running, not yet ready.",
        "RUNNING": "Ready to serve.",
        "FAILED": "A pod failed or can't start.",
        "TERMINATING": "Being deleted; providers may take minutes to clean up.",
    },
)
_expose(
    Engine,
    "Engine",
    "The inference engine.",
    {
        "VLLM": "vLLM.",
        "SGLANG": "SGLang.",
        "TRTLLM": "TensorRT-LLM.",
        "LLAMACPP": "llama.cpp.",
    },
)
_expose(
    ServingMode,
    "ServingMode",
    "Whether prefill and decode share a server.",
    {
        "AGGREGATED": "One server does both.",
        "DISAGGREGATED": "Prefill and decode run, and scale, apart.",
    },
)
_expose(
    EventType,
    "EventType",
    "What an event of a stream tells.",
    {
        "ADDED": "It is there, or came into view.",
        "MODIFIED": "It changed.",
        "DELETED": "It is gone, or left the view.",
        "SYNCED": "All that is there has been sent; from now on changes follow as they happen.",
        "STALE": "The instance stopped being live; what was sent stays, marked stale, until SYNCED.",
    },
)
_expose(
    OrderField,
    "DeploymentOrderField",
    "What deployments are ordered by; equals by id.",
    {
        "NAME": "By name.",
        "INSTANCE": "By the instance's name.",
        "NAMESPACE": "By namespace.",
        "MODEL": "By the model's id.",
        "PHASE": "By phase, in the order of a deployment's life.",
        "CREATED_AT": "By creation time, oldest first.",
    },
)
_expose(
    Direction,
    "OrderDirection",
    "Which end comes first.",
    {"ASC": "Smallest first.", "DESC": "Largest first."},
)
_expose(
    ConditionStatus,
    "ConditionStatus",
    "A condition's status.",
    {"TRUE": "It holds.", "FALSE": "It doesn't.", "UNKNOWN": "Nobody knows."},
)
_expose(
    PodPhase,
    "PodPhase",
    "A pod's phase, as Kubernetes has it.",
    {
        "PENDING": "Accepted, not running yet.",
        "RUNNING": "At least one container runs.",
        "SUCCEEDED": "All containers ended well.",
        "FAILED": "All containers ended, one badly.",
        "UNKNOWN": "The node can't be reached.",
    },
)
_expose(
    ContainerState,
    "ContainerState",
    "A container's state.",
    {
        "WAITING": "Not started; `reason` says why.",
        "RUNNING": "Running.",
        "TERMINATED": "Ended; `exitCode` says how.",
    },
)
_expose(
    ModelSource,
    "ModelSource",
    "Where the model comes from.",
    {"HUGGINGFACE": "The Hugging Face hub.", "CUSTOM": "A volume or the image itself."},
)
_expose(
    VolumePurpose,
    "VolumePurpose",
    "What a volume is for.",
    {
        "MODEL_CACHE": "Keeps downloaded model weights.",
        "COMPILATION_CACHE": "Keeps what the engine compiled.",
        "CUSTOM": "Anything else; needs a mount path.",
    },
)
_expose(
    AccessMode,
    "AccessMode",
    "How a volume may be mounted.",
    {
        "READ_WRITE_ONCE": "By one node, for reading and writing.",
        "READ_ONLY_MANY": "By many nodes, for reading.",
        "READ_WRITE_MANY": "By many nodes, for reading and writing.",
        "READ_WRITE_ONCE_POD": "By one pod, for reading and writing.",
    },
)
_expose(
    TolerationOperator,
    "TolerationOperator",
    "How a toleration compares its value.",
    {"EXISTS": "Any value of the key.", "EQUAL": "Exactly this value."},
)
_expose(
    TaintEffect,
    "TaintEffect",
    "Which effect of a taint is tolerated.",
    {
        "NO_SCHEDULE": "Pods aren't scheduled there.",
        "PREFER_NO_SCHEDULE": "Pods are rather scheduled elsewhere.",
        "NO_EXECUTE": "Running pods are evicted too.",
    },
)
_expose(
    ViewerEventType,
    "ViewerEventType",
    "What happened to whoever is asking.",
    {
        "GRANTS_CHANGED": "Your grants changed; ask again for what depends on them.",
        "SESSION_EXPIRING": "Your session or access token ends within five minutes, unless it is renewed.",
    },
)
_expose(
    Outcome,
    "AuditOutcome",
    "What came of something that somebody did.",
    {
        "ATTEMPTED": "It was begun; it isn't over yet.",
        "SUCCEEDED": "It was done.",
        "REFUSED": "The person may not do it.",
        "FAILED": "It couldn't be done.",
        "UNKNOWN": "The hub stopped before it was over: it may or may not have happened.",
    },
)
_expose(
    Means,
    "AuthMethod",
    "By what somebody acted.",
    {
        "SESSION": "A sign-in in a browser.",
        "ACCESS_TOKEN": "An access token.",
        "LOCAL": "Nothing: in local mode whoever is on the machine may act.",
        "CLI": "The command line beside the hub.",
        "SYSTEM": "The hub by itself.",
        "ANONYMOUS": "Nothing: nobody had signed in.",
    },
)
