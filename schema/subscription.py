"""The subscription root, read like a menu. Each resolver gives a `Live`, which the fan-out serves."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import strawberry

from auth.permissions import Permission
from auth.policy import Permit
from resolvers.audit_stream import AuditReader
from resolvers.deployment_stream import DeploymentReader
from resolvers.instance_stream import InstanceReader
from resolvers.streams import EventType, Live
from resolvers.summary_stream import SummaryReader
from resolvers.viewer_stream import ViewerEventType, ViewerReader, shown_by
from schema.arguments import IncludeInitial, Wanted
from schema.audit import AuditEntry, ChosenEntries, wanted_entries
from schema.context import Info
from schema.deployments import Deployment, DeploymentSummary
from schema.guards import AUTHENTICATED, Requires
from schema.inputs import wanted
from schema.instances import Instance
from schema.people import User
from schema.words import Denial

CHANGES = 200
"""Events in one `deploymentChanges` message, at the most (API.md)."""

# A `Live` is iterated like the generators that strawberry asks for, and yields what the types stand for.
# mypy: disable-error-code="return-value"


@strawberry.type(description="Something happened to a deployment, or to what is known of its instance.")
class DeploymentEvent:
    type: EventType = strawberry.field(description="What happened.")
    instance_id: strawberry.ID = strawberry.field(description="On which instance.")
    deployment_id: strawberry.ID | None = strawberry.field(
        description="Which deployment; null for SYNCED and STALE."
    )
    deployment: Deployment | None = strawberry.field(
        description="Its state; with DELETED its last one, null if you may no longer see it."
    )
    observed_at: datetime = strawberry.field(description="When the hub saw it.")


@strawberry.type(description="Up to 200 events in one message, in order.")
class DeploymentChanges:
    events: list[DeploymentEvent] = strawberry.field(description="The events.")


@strawberry.type(description="Something happened to an instance.")
class InstanceEvent:
    type: EventType = strawberry.field(description="What happened.")
    instance_id: strawberry.ID | None = strawberry.field(description="Which instance; null for SYNCED.")
    instance: Instance | None = strawberry.field(
        description="Its state; with DELETED its last one, null if you may no longer see it."
    )
    observed_at: datetime = strawberry.field(description="When the hub saw it.")


@strawberry.type(description="Something changed for whoever is asking.")
class ViewerEvent:
    type: ViewerEventType = strawberry.field(description="What happened.")
    viewer: User | None = strawberry.field(description="You, as you are now.")


@strawberry.type(description="What can be followed live.")
class Subscription:
    @strawberry.subscription(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="What happens to deployments, one event a message.",
    )
    def deployment_events(
        self,
        info: Info,
        permit: Permit,
        filter: Wanted = strawberry.UNSET,
        include_initial: IncludeInitial = True,
    ) -> AsyncGenerator[DeploymentEvent, None]:
        return Live(
            reader=_deployments(info, permit, filter, include_initial),
            permission=Permission.VIEW_DEPLOYMENTS,
            fleet=info.context.services.fleet,
        )

    @strawberry.subscription(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="What happens to deployments, up to 200 events a message.",
    )
    def deployment_changes(
        self,
        info: Info,
        permit: Permit,
        filter: Wanted = strawberry.UNSET,
        include_initial: IncludeInitial = True,
    ) -> AsyncGenerator[DeploymentChanges, None]:
        return Live(
            reader=_deployments(info, permit, filter, include_initial),
            permission=Permission.VIEW_DEPLOYMENTS,
            fleet=info.context.services.fleet,
            pack=_pack_changes,
        )

    @strawberry.subscription(
        extensions=[Requires(Permission.VIEW_DEPLOYMENTS, Denial.NARROW)],
        description="The summary now, and again when it changes, at most once a second.",
    )
    def deployment_summary_events(
        self, info: Info, permit: Permit, filter: Wanted = strawberry.UNSET
    ) -> AsyncGenerator[DeploymentSummary, None]:
        context = info.context
        reader = SummaryReader(
            services=context.services, permit=permit, wanted=wanted(filter), wake=context.wake
        )
        return Live(
            reader=reader,
            permission=Permission.VIEW_DEPLOYMENTS,
            fleet=context.services.fleet,
            pack=lambda summaries: [DeploymentSummary.of(summary) for summary in summaries],
        )

    @strawberry.subscription(
        extensions=[Requires(Permission.VIEW_INSTANCES, Denial.NARROW)],
        description="What happens to instances: status, version, nodes, credential; counts once a second.",
    )
    def instance_events(
        self, info: Info, permit: Permit, include_initial: IncludeInitial = True
    ) -> AsyncGenerator[InstanceEvent, None]:
        services = info.context.services
        reader = InstanceReader(
            fleet=services.fleet,
            registry=services.registry,
            permit=permit,
            include_initial=include_initial,
        )
        return Live(reader=reader, permission=Permission.VIEW_INSTANCES, fleet=services.fleet)

    @strawberry.subscription(
        extensions=[AUTHENTICATED],
        description="When your own grants change, and five minutes before your session or token ends.",
    )
    def viewer_events(self, info: Info) -> AsyncGenerator[ViewerEvent, None]:
        identity = info.context.identity
        assert identity is not None  # noqa: S101 - the guard's word
        return Live(
            reader=ViewerReader(viewer=identity),
            permission=Permission.VIEW_INSTANCES,
            fleet=info.context.services.fleet,
            shown_by=shown_by,
        )

    @strawberry.subscription(
        extensions=[Requires(Permission.VIEW_AUDIT_LOG)],
        description="What people do, as it is written down: an attempt when it begins, and again with its "
        "outcome.",
    )
    def audit_events(
        self, info: Info, permit: Permit, filter: ChosenEntries = strawberry.UNSET
    ) -> AsyncGenerator[AuditEntry, None]:
        services = info.context.services
        return Live(
            reader=AuditReader(feed=services.audit, permit=permit, wanted=wanted_entries(filter)),
            permission=Permission.VIEW_AUDIT_LOG,
            fleet=services.fleet,
        )


def _deployments(info: Info, permit: Permit, chosen: Wanted, include_initial: bool) -> DeploymentReader:
    return DeploymentReader(
        fleet=info.context.services.fleet,
        permit=permit,
        wanted=wanted(chosen),
        include_initial=include_initial,
    )


def _pack_changes(events: list[Any]) -> list[DeploymentChanges]:
    return [DeploymentChanges(events=events[at : at + CHANGES]) for at in range(0, len(events), CHANGES)]
