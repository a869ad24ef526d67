"""The mutation root, read like a menu."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry

from auth.permissions import Permission
from auth.policy import Permit, Place
from cluster.draft_checks import check_draft
from resolvers import deployments
from resolvers.names import check_place
from schema.administration import AdministrationMutation
from schema.common import given
from schema.context import Info
from schema.deployments import Deployment
from schema.guards import Requires
from schema.inputs import CreateDeploymentInput, DeleteDeploymentInput, draft_of
from schema.registration import RegistrationMutation

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="arg-type"


@strawberry.type(description="What `createDeployment` did.")
class CreateDeploymentPayload:
    deployment: Deployment = strawberry.field(description="The deployment, as the cluster took it.")
    warnings: list[str] = strawberry.field(description="The API server's warnings.")


@strawberry.type(description="What `deleteDeployment` did.")
class DeleteDeploymentPayload:
    deleted_deployment_id: strawberry.ID = strawberry.field(description="The deployment's id.")
    deployment: Deployment | None = strawberry.field(
        description="Its last state: usually being deleted still, while the provider cleans up."
    )


def _place(_source: object, arguments: Mapping[str, Any]) -> Place:
    """Where a mutation on a deployment acts. All names in its input are judged before the policy is asked."""
    target: CreateDeploymentInput | DeleteDeploymentInput = arguments["input"]
    check_place(instance_id=target.instance_id, namespace=target.namespace, name=target.name)
    if isinstance(target, CreateDeploymentInput):
        check_draft(draft_of(target))
    return Place(target.instance_id, target.namespace)


@strawberry.type(description="What can be done.")
class Mutation(AdministrationMutation, RegistrationMutation):
    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_DEPLOYMENTS, place=_place)],
        description="Deploy a model.",
    )
    async def create_deployment(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[CreateDeploymentInput, strawberry.argument(description="What to deploy.")],
    ) -> CreateDeploymentPayload | None:
        created = await deployments.create_deployment(
            services=info.context.services,
            permit=permit,
            instance_id=input.instance_id,
            draft=draft_of(input),
            dry_run=input.dry_run,
        )
        return CreateDeploymentPayload(deployment=created.deployment, warnings=list(created.warnings))

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_DEPLOYMENTS, place=_place)],
        description="Delete a deployment. It is gone when its provider has cleaned up.",
    )
    async def delete_deployment(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[DeleteDeploymentInput, strawberry.argument(description="What to delete.")],
    ) -> DeleteDeploymentPayload | None:
        last = await deployments.delete_deployment(
            services=info.context.services,
            permit=permit,
            instance_id=input.instance_id,
            namespace=input.namespace,
            name=input.name,
            uid=given(input.uid),
            dry_run=input.dry_run,
        )
        deleted_id = strawberry.ID(f"{input.instance_id}/{input.namespace}/{input.name}")
        return DeleteDeploymentPayload(deleted_deployment_id=deleted_id, deployment=last)
