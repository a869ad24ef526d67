"""Anything by its id. The type's own lookup decides who may see it."""

from typing import Any

from auth.permissions import Permission
from auth.policy import narrow
from resolvers import audit, deployments, instances
from schema.context import Context


async def find_node(context: Context, node_id: str) -> Any:
    """What has this id; None unless the asker may look it up."""
    identity, services = context.identity, context.services
    if identity is not None and node_id == identity.user_id:
        return identity
    if node_id.startswith("usr_"):
        return await context.loaders.people.load(node_id)
    if node_id.startswith("map_"):
        return await context.loaders.mappings.load(node_id)
    if node_id.startswith("aud_"):
        permit = narrow(identity, Permission.VIEW_AUDIT_LOG)
        return await audit.find_entry(permit=permit, entry_id=node_id)
    match node_id.split("/"):
        case [instance_id]:
            return instances.find_instance(
                fleet=services.fleet,
                registry=services.registry,
                permit=narrow(identity, Permission.VIEW_INSTANCES),
                instance_id=instance_id,
            )
        case [instance_id, namespace, name]:
            return deployments.find_deployment(
                fleet=services.fleet,
                permit=narrow(identity, Permission.VIEW_DEPLOYMENTS),
                instance_id=instance_id,
                namespace=namespace,
                name=name,
            )
    return None
