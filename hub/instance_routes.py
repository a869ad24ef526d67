"""Instances for scripts: `/api/instances`, a façade over the use cases of GraphQL."""

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.identity import Identity
from auth.permissions import Permission
from auth.policy import Permit, Place, Refusal, RefusalReason, narrow
from cluster.types import InstanceStatus
from credentials.types import Credential
from hub.auditing import Endpoint, act_of, acting, noted
from hub.rest import (
    item_response,
    nothing_left,
    one,
    page_response,
    page_size,
    permit_for,
    read_body,
    read_query,
)
from resolvers import instances
from resolvers.errors import BadInput, NotFound
from resolvers.instances import InstanceFilter, InstanceView
from resolvers.names import check_place
from resolvers.places import in_detail
from resolvers.registration import Registrar
from resolvers.services import Services
from schema.common import print_time
from schema.errors import Refused


class _NewInstance(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    name: str
    display_name: str | None = None
    kubeconfig: str | None = None

    def __repr__(self) -> str:
        return f"<_NewInstance {self.name}>"


def instance_routes(*, services: Services) -> list[BaseRoute]:
    if services.registrar is None:
        raise ValueError("there is nobody to register instances")
    handlers = _Handlers(services, services.registrar)
    path = "/api/instances"
    return [
        _route("GET", path, noted("instances", handlers.list_instances)),
        _route("POST", path, noted("registerInstance", handlers.register)),
        _route("GET", f"{path}/{{id}}", noted("instance", handlers.find_instance)),
        _route("DELETE", f"{path}/{{id}}", noted("removeInstance", handlers.remove)),
    ]


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


@dataclass(frozen=True)
class _Handlers:
    services: Services
    registrar: Registrar

    async def list_instances(self, request: Request) -> Response:
        permit = _all_that_is_seen(request)
        query = read_query(request, "search", "status")
        page = instances.list_instances(
            fleet=self.services.fleet,
            registry=self.services.registry,
            permit=permit,
            wanted=InstanceFilter(
                one(query, "search"), tuple(map(_status, query["status"])) if query["status"] else None
            ),
            first=page_size(query),
            after=one(query, "after"),
        )
        return page_response(page, lambda view: self._instance(view, permit.identity))

    async def find_instance(self, request: Request) -> Response:
        instance_id = request.path_params["id"]
        check_place(instance_id=instance_id, instance_path="id")
        permit = _all_that_is_seen(request)
        view = instances.find_instance(
            fleet=self.services.fleet,
            registry=self.services.registry,
            permit=permit,
            instance_id=instance_id,
        )
        if view is None:
            raise NotFound
        return item_response(self._instance(view, permit.identity))

    async def register(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_INSTANCES)
        body = await read_body(request, _NewInstance)
        check_place(instance_id=body.name, instance_path="name")
        async with acting(request, act_of(request, body)):
            view = await self.registrar.register(
                permit=permit,
                instance_id=body.name,
                display_name=body.display_name,
                kubeconfig=body.kubeconfig,
            )
        return item_response(self._instance(view, permit.identity), status=201)

    async def remove(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_INSTANCES)
        instance_id = request.path_params["id"]
        check_place(instance_id=instance_id, instance_path="id")
        async with acting(request, act_of(request, target=instance_id)):
            await self.registrar.remove(permit=permit, instance_id=instance_id)
        return nothing_left()

    def _instance(self, view: InstanceView, identity: Identity | None) -> dict[str, Any]:
        """What GraphQL shows the same person."""
        detailed = in_detail(narrow(identity, Permission.VIEW_INSTANCES))
        manages = bool(narrow(identity, Permission.MANAGE_INSTANCES).scopes)
        state, registered = view.state, view.registered
        counted = instances.deployment_count(
            fleet=self.services.fleet,
            permit=narrow(identity, Permission.VIEW_DEPLOYMENTS),
            instance_id=view.id,
        )
        return {
            "id": view.id,
            "name": view.id,
            "displayName": registered.display_name,
            "endpoint": state.endpoint if manages else None,
            "status": state.status.lower(),
            "statusReason": state.reason if detailed else state.public_reason,
            "lastSeenAt": None if state.last_seen_at is None else print_time(state.last_seen_at),
            "kubernetesVersion": state.kubernetes_version,
            "apiGroup": state.api_group,
            "nodeCount": state.node_count,
            "deploymentCount": counted,
            "credential": _credential(view, view.credential) if manages and view.credential else None,
            "createdAt": print_time(registered.created_at),
            "updatedAt": print_time(registered.updated_at),
        }


def _credential(view: InstanceView, credential: Credential) -> dict[str, Any]:
    end = credential.expires_at
    return {
        "source": credential.source.lower(),
        "context": credential.context,
        "loadedAt": print_time(credential.loaded_at),
        "expiresAt": None if end is None else print_time(end),
        "error": view.credential_error,
        "tlsVerified": credential.tls_verified,
        "missingVerbs": [*view.state.missing_verbs],
        "warnings": [*view.warnings],
    }


def _all_that_is_seen(request: Request) -> Permit:
    """Raises `Refused` for whoever hasn't signed in."""
    if request.state.identity is None:
        raise Refused(Refusal(RefusalReason.UNAUTHENTICATED, Permission.VIEW_INSTANCES, Place()))
    return narrow(request.state.identity, Permission.VIEW_INSTANCES)


def _status(text: str) -> InstanceStatus:
    found = next((each for each in InstanceStatus if each.lower() == text), None)
    if found is None:
        raise BadInput(("status", f"must be one of {', '.join(each.lower() for each in InstanceStatus)}"))
    return found
