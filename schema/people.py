"""People and their grants."""

from datetime import datetime
from typing import Annotated

import strawberry

from auth import identity as auth
from auth import permissions
from auth.identity import Provider
from auth.permissions import GrantSource, Permission, Role
from auth.policy import Permit
from resolvers import people
from schema.common import Node
from schema.context import Info
from schema.guards import Requires
from schema.words import Denial

GrantRow = strawberry.Parent[permissions.Grant]


def _instance_id(parent: GrantRow) -> strawberry.ID | None:
    return None if parent.scope.instance_id is None else strawberry.ID(parent.scope.instance_id)


def _namespaces(parent: GrantRow) -> list[str] | None:
    return None if parent.scope.namespaces is None else list(parent.scope.namespaces)


async def _created_by(
    parent: GrantRow, info: Info, permit: Permit
) -> Annotated["User", strawberry.lazy("schema.people")] | None:
    if parent.created_by is None:
        return None
    found = await people.find_people(
        rules=info.context.services.rules, permit=permit, user_ids=[parent.created_by]
    )
    return found.get(parent.created_by)  # type: ignore[return-value]


@strawberry.type(description="A role at some places. Grants add up.")
class Grant:
    id: strawberry.ID = strawberry.field(description="Stable; computed grants have one too.")
    role: Role = strawberry.field(description="What it allows.")
    instance_id: strawberry.ID | None = strawberry.field(
        resolver=_instance_id, description="The one instance; null means all."
    )
    namespaces: list[str] | None = strawberry.field(
        resolver=_namespaces, description="The namespaces; null means all."
    )
    source: GrantSource = strawberry.field(description="Where it comes from.")
    created_at: datetime | None = strawberry.field(description="When it was given; null for a computed one.")
    created_by: Annotated["User", strawberry.lazy("schema.people")] | None = strawberry.field(
        resolver=_created_by,
        extensions=[Requires(Permission.MANAGE_USERS, Denial.HIDE)],
        description="Who gave it; null for a computed one, and for the command line's.",
    )


PersonRow = strawberry.Parent[auth.Profile]


def _id(parent: PersonRow) -> strawberry.ID:
    return strawberry.ID(parent.user_id)


@strawberry.type(description="A person, keyed by provider and subject.")
class User(Node):
    id: strawberry.ID = strawberry.field(resolver=_id, description="`usr_` and a ULID.")
    provider: Provider = strawberry.field(description="Who vouches for the person.")
    email: str | None = strawberry.field(description="Shown, and never decides anything.")
    display_name: str = strawberry.field(description="What the person is called.")
    avatar_url: str | None = strawberry.field(description="A picture, if the provider has one.")
    active: bool = strawberry.field(description="Whether the person may sign in.")
    is_admin: bool = strawberry.field(description="Whether a grant makes them ADMIN.")
    grants: list[Grant] = strawberry.field(description="What they may do, and where.")
    created_at: datetime = strawberry.field(description="When the hub first knew the person.")
    last_sign_in_at: datetime | None = strawberry.field(description="When they last signed in.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, auth.Profile)
