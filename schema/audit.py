"""The audit log: who did what."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry

from auth import audit
from auth.audit import Means, Outcome
from auth.audit_log import AuditFilter as Wanted
from schema.common import Node, given, several
from schema.connections import Connection
from schema.context import Info
from schema.people import User

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="return-value"


async def _actor(parent: strawberry.Parent[audit.Entry], info: Info) -> User | None:
    return None if parent.actor_id is None else await info.context.loaders.people.load(parent.actor_id)


@strawberry.type(description="Something that somebody did, tried or was refused. It holds no secret.")
class AuditEntry(Node):
    id: strawberry.ID = strawberry.field(description="`aud_` and a ULID.")
    occurred_at: datetime = strawberry.field(description="When it began.")
    action: str = strawberry.field(
        description="A field of the API, such as `createDeployment`, or `signIn`, `signOut`, "
        "`reuseRefreshToken`, `authenticate`, `rekey`, `auditDropped`."
    )
    outcome: Outcome = strawberry.field(description="What came of it.")
    actor: User | None = strawberry.field(
        resolver=_actor, description="Who did it; null for a stranger, the command line and the hub itself."
    )
    actor_name: str = strawberry.field(description="What they were called then.")
    method: Means = strawberry.field(description="By what they acted.")
    ip_address: str | None = strawberry.field(description="From where; behind a trusted proxy, the client's.")
    instance_id: strawberry.ID | None = strawberry.field(description="On which instance, if on one.")
    namespace: str | None = strawberry.field(description="In which namespace, if in one.")
    target: str | None = strawberry.field(
        description="What it was done to: a deployment's name, or the id of a person, a grant, a token."
    )
    code: str | None = strawberry.field(description="The error's code, if there was one.")
    message: str | None = strawberry.field(
        description="The error in words, or what else has to be known of the act."
    )
    request_id: strawberry.ID = strawberry.field(
        description="The request's, as in the log and in X-Request-Id."
    )

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, audit.Entry)


@strawberry.type(description="A page of the audit log.")
class AuditEntryConnection(Connection[AuditEntry]):
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many there are now, over all pages.")
    async def total_count(self) -> int:
        return await self.count()


@strawberry.input(description="All that is given has to hold; an empty list matches nothing.")
class AuditFilter:
    actor_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Done by one of these people."
    )
    actions: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="One of these actions."
    )
    outcomes: list[Outcome] | None = strawberry.field(
        default=strawberry.UNSET, description="With one of these outcomes."
    )
    instance_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="On one of these instances."
    )
    namespaces: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="In one of these namespaces."
    )
    target: str | None = strawberry.field(
        default=strawberry.UNSET, description="A part of the target, in any case."
    )
    request_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="In this request."
    )
    since: datetime | None = strawberry.field(default=strawberry.UNSET, description="From this time on.")
    until: datetime | None = strawberry.field(default=strawberry.UNSET, description="Before this time.")


ChosenEntries = Annotated[
    AuditFilter | None, strawberry.argument(description="What to let through; all if left out.")
]


def wanted_entries(chosen: AuditFilter | None) -> Wanted:
    wanted = given(chosen)
    if wanted is None:
        return Wanted()
    return Wanted(
        actor_ids=several(wanted.actor_ids),
        actions=several(wanted.actions),
        outcomes=several(wanted.outcomes),
        instance_ids=several(wanted.instance_ids),
        namespaces=several(wanted.namespaces),
        target=given(wanted.target) or None,
        request_id=given(wanted.request_id),
        since=given(wanted.since),
        until=given(wanted.until),
    )
