"""Instances: their type and what is asked of it."""

from datetime import datetime
from typing import Annotated

import strawberry

from auth.permissions import Permission
from auth.policy import narrow
from cluster.types import InstanceStatus
from credentials.types import CredentialSource
from resolvers import instances
from resolvers.instances import InstanceView
from resolvers.names import check_place
from resolvers.places import in_detail
from schema.common import Node, given
from schema.connections import Connection
from schema.context import Info
from schema.guards import Requires
from schema.words import Denial

Row = strawberry.Parent[InstanceView]


@strawberry.type(description="What can be said of an instance's credential without showing it.")
class CredentialPosture:
    source: CredentialSource = strawberry.field(description="Where it comes from.")
    context: str | None = strawberry.field(description="The kubeconfig's context that is used.")
    loaded_at: datetime | None = strawberry.field(description="When the hub read it.")
    expires_at: datetime | None = strawberry.field(description="When it ends, if it says so.")
    error: str | None = strawberry.field(
        description="Why the file as it stands now is no good, while the last good one works on."
    )
    tls_verified: bool = strawberry.field(description="Whether the server's certificate is verified.")
    missing_verbs: list[str] = strawberry.field(
        description="What the hub does on clusters and may not do there by this credential, such as `create "
        "modeldeployments.airunway.ai`; empty as long as that isn't known."
    )
    warnings: list[str] = strawberry.field(description="What should be mended.")


def _id(parent: Row) -> strawberry.ID:
    return strawberry.ID(parent.id)


def _display_name(parent: Row) -> str:
    return parent.registered.display_name


def _endpoint(parent: Row) -> str | None:
    return parent.state.endpoint


def _status(parent: Row) -> InstanceStatus:
    return parent.state.status


def _status_reason(parent: Row, info: Info) -> str | None:
    detailed = in_detail(narrow(info.context.identity, Permission.VIEW_INSTANCES))
    return parent.state.reason if detailed else parent.state.public_reason


def _last_seen_at(parent: Row) -> datetime | None:
    return parent.state.last_seen_at


def _kubernetes_version(parent: Row) -> str | None:
    return parent.state.kubernetes_version


def _api_group(parent: Row) -> str | None:
    return parent.state.api_group


def _node_count(parent: Row) -> int | None:
    return parent.state.node_count


def _deployment_count(parent: Row, info: Info) -> int | None:
    permit = narrow(info.context.identity, Permission.VIEW_DEPLOYMENTS)
    return instances.deployment_count(fleet=info.context.services.fleet, permit=permit, instance_id=parent.id)


def _namespaces(
    parent: Row,
    info: Info,
    permission: Annotated[
        Permission, strawberry.argument(description="Only namespaces where you have this permission.")
    ] = Permission.VIEW_DEPLOYMENTS,
) -> list[str] | None:
    permit = narrow(info.context.identity, permission)
    found = instances.namespaces(fleet=info.context.services.fleet, permit=permit, instance_id=parent.id)
    return None if found is None else list(found)


def _credential(parent: Row) -> CredentialPosture | None:
    credential = parent.credential
    if credential is None:
        return None
    return CredentialPosture(
        source=credential.source,
        context=credential.context,
        loaded_at=credential.loaded_at,
        expires_at=credential.expires_at,
        error=parent.credential_error,
        tls_verified=credential.tls_verified,
        missing_verbs=list(parent.state.missing_verbs),
        warnings=list(parent.warnings),
    )


def _viewer_can(
    parent: Row,
    info: Info,
    namespace: Annotated[
        str | None,
        strawberry.argument(description="There; without it, what is allowed in some namespace."),
    ] = strawberry.UNSET,
) -> list[Permission]:
    check_place(instance_id=parent.id, namespace=given(namespace))
    return instances.viewer_can(
        identity=info.context.identity, instance_id=parent.id, namespace=given(namespace)
    )


def _created_at(parent: Row) -> datetime:
    return parent.registered.created_at


def _updated_at(parent: Row) -> datetime:
    return parent.registered.updated_at


@strawberry.type(description="A Kubernetes cluster that the hub watches.")
class Instance(Node):
    id: strawberry.ID = strawberry.field(resolver=_id, description="Its name.")
    name: str = strawberry.field(
        resolver=_id, description="The name of its kubeconfig file, without the ending."
    )
    display_name: str = strawberry.field(resolver=_display_name, description="What to call it.")
    endpoint: str | None = strawberry.field(
        resolver=_endpoint,
        extensions=[Requires(Permission.MANAGE_INSTANCES, Denial.HIDE)],
        description="The API server's address.",
    )
    status: InstanceStatus = strawberry.field(resolver=_status, description="How it stands with it.")
    status_reason: str | None = strawberry.field(
        resolver=_status_reason,
        description="What is wrong and what to do; in full for those who manage instances.",
    )
    last_seen_at: datetime | None = strawberry.field(
        resolver=_last_seen_at, description="When its API server last answered anything."
    )
    kubernetes_version: str | None = strawberry.field(
        resolver=_kubernetes_version, description="Its Kubernetes version."
    )
    api_group: str | None = strawberry.field(
        resolver=_api_group,
        description="The newest AI Runway API group that it serves; null if AI Runway isn't installed.",
    )
    node_count: int | None = strawberry.field(
        resolver=_node_count, description="Its nodes; null if the hub's credential may not list them."
    )
    deployment_count: int | None = strawberry.field(
        resolver=_deployment_count,
        description="Deployments that you may see there; null while nobody knows.",
    )
    namespaces: list[str] | None = strawberry.field(
        resolver=_namespaces,
        description="Its namespaces where you have the permission; null if they couldn't be read.",
    )
    credential: CredentialPosture | None = strawberry.field(
        resolver=_credential,
        extensions=[Requires(Permission.MANAGE_INSTANCES, Denial.HIDE)],
        description="What can be said of its credential.",
    )
    viewer_can: list[Permission] = strawberry.field(
        resolver=_viewer_can, description="What you may do there."
    )
    created_at: datetime = strawberry.field(resolver=_created_at, description="When it was first registered.")
    updated_at: datetime = strawberry.field(
        resolver=_updated_at, description="When its registration last changed."
    )

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, InstanceView)


@strawberry.type(description="A page of instances.")
class InstanceConnection(Connection[Instance]):
    pass


@strawberry.type(description="A file in the credentials directory that never was a good credential.")
class CredentialProblem:
    file_name: str = strawberry.field(description="The file's name.")
    reason: str = strawberry.field(description="What is wrong with it and what to do.")
    since: datetime = strawberry.field(description="Since when.")
