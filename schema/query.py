"""The query root, read like a menu."""

from typing import Annotated

import strawberry

from auth.permissions import Permission
from auth.policy import Permit
from resolvers import audit, deployments, instances, summaries
from resolvers.names import check_place
from schema.administration import AdministrationQuery
from schema.arguments import After, DeploymentName, First, InstanceId, Namespace, Wanted
from schema.audit import AuditEntryConnection, ChosenEntries, wanted_entries
from schema.common import Node, given
from schema.context import Info
from schema.deployments import Deployment, DeploymentConnection, DeploymentSummary
from schema.guards import AUTHENTICATED, PUBLIC, Requires
from schema.hub import Hub
from schema.inputs import DeploymentOrder, InstanceFilter, order_of, wanted, wanted_instances
from schema.instances import CredentialProblem, Instance, InstanceConnection
from schema.nodes import find_node
from schema.people import User
from schema.words import Denial

# Resolvers return what the types stand for (frozen structs, the identity), not instances of the types.
# mypy: disable-error-code="return-value, arg-type, no-any-return"


@strawberry.type(description="What can be asked.")
class Query(AdministrationQuery):
    @strawberry.field(extensions=[PUBLIC], description="What this hub is.")
    def hub(self, info: Info) -> Hub:
        return info.context.hub

    @strawberry.field(extensions=[PUBLIC], description="Who is asking; null without a sign-in.")
    def viewer(self, info: Info) -> User | None:
        return info.context.identity

    @strawberry.field(
        extensions=[AUTHENTICATED], description="Anything by its id; null unless you may look it up."
    )
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id.")]
    ) -> Node | None:
        return await find_node(info.context, id)

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_INSTANCES, Denial.NARROW)],
        description="The instances that you may see, by name.",
    )
    def instances(
        self,
        info: Info,
        permit: Permit,
        filter: Annotated[
            InstanceFilter | None, strawberry.argument(description="What to let through.")
        ] = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> InstanceConnection:
        services = info.context.services
        page = instances.list_instances(
            fleet=services.fleet,
            registry=services.registry,
            permit=permit,
            wanted=wanted_instances(filter),
            first=first,
            after=given(after),
        )
        return InstanceConnection(page=page)

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_INSTANCES, Denial.NARROW)],
        description="An instance; null where there is none that you may see.",
    )
    def instance(self, info: Info, permit: Permit, id: InstanceId) -> Instance | None:
        check_place(instance_id=id, instance_path="id")
        services = info.context.services
        return instances.find_instance(
            fleet=services.fleet, registry=services.registry, permit=permit, instance_id=id
        )

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="The deployments that you may see, on all instances; by name unless ordered otherwise.",
    )
    async def deployments(
        self,
        info: Info,
        permit: Permit,
        filter: Wanted = strawberry.UNSET,
        order_by: Annotated[
            DeploymentOrder | None, strawberry.argument(description="The order; by name if left out.")
        ] = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> DeploymentConnection:
        services, asked = info.context.services, wanted(filter)
        page = await deployments.list_deployments(
            services=services,
            permit=permit,
            wanted=asked,
            order=order_of(order_by),
            first=first,
            after=given(after),
        )
        sources = deployments.sources(fleet=services.fleet, permit=permit, wanted=asked)
        return DeploymentConnection(page=page, sources=sources)

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="A deployment; null where there is none that you may see.",
    )
    def deployment(
        self,
        info: Info,
        permit: Permit,
        instance_id: InstanceId,
        namespace: Namespace,
        name: DeploymentName,
    ) -> Deployment | None:
        check_place(instance_id=instance_id, namespace=namespace, name=name)
        return deployments.find_deployment(
            fleet=info.context.services.fleet,
            permit=permit,
            instance_id=instance_id,
            namespace=namespace,
            name=name,
        )

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="Counts over the deployments that you may see.",
    )
    async def deployment_summary(
        self, info: Info, permit: Permit, filter: Wanted = strawberry.UNSET
    ) -> DeploymentSummary:
        summary = await summaries.summarise(
            services=info.context.services, permit=permit, wanted=wanted(filter)
        )
        return DeploymentSummary.of(summary)

    @strawberry.field(
        extensions=[Requires(Permission.MANAGE_INSTANCES)],
        description="Files in the credentials directory that never were good credentials.",
    )
    def credential_problems(self, info: Info, permit: Permit) -> list[CredentialProblem] | None:
        return instances.problems(fleet=info.context.services.fleet, permit=permit)

    @strawberry.field(
        extensions=[Requires(Permission.VIEW_AUDIT_LOG)],
        description="Who did what, tried to or was refused; the newest first.",
    )
    async def audit_log(
        self,
        permit: Permit,
        filter: ChosenEntries = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> AuditEntryConnection | None:
        found = await audit.list_entries(
            permit=permit, wanted=wanted_entries(filter), first=first, after=given(after)
        )
        return AuditEntryConnection(page=found.page, count=found.count)
