"""People and their grants."""

from datetime import datetime

import strawberry

from auth import identity as auth
from auth import permissions
from auth.identity import Provider
from auth.permissions import GrantSource, Role
from schema.common import Node
from schema.context import Info
from schema.guards import PUBLIC

GrantRow = strawberry.Parent[permissions.Grant]


def _instance_id(parent: GrantRow) -> strawberry.ID | None:
    return None if parent.scope.instance_id is None else strawberry.ID(parent.scope.instance_id)


def _namespaces(parent: GrantRow) -> list[str] | None:
    return None if parent.scope.namespaces is None else list(parent.scope.namespaces)


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


PersonRow = strawberry.Parent[auth.Identity]


def _id(parent: PersonRow) -> strawberry.ID:
    return strawberry.ID(parent.user_id)


def _is_admin(parent: PersonRow) -> bool:
    return any(grant.role is Role.ADMIN for grant in parent.grants)


@strawberry.type(description="A person, keyed by provider and subject.")
class User(Node):
    id: strawberry.ID = strawberry.field(resolver=_id, description="`usr_` and a ULID.")
    provider: Provider = strawberry.field(description="Who vouches for the person.")
    email: str | None = strawberry.field(description="Shown, and never decides anything.")
    display_name: str = strawberry.field(description="What the person is called.")
    avatar_url: str | None = strawberry.field(description="A picture, if the provider has one.")
    active: bool = strawberry.field(description="Whether the person may sign in.")
    is_admin: bool = strawberry.field(resolver=_is_admin, description="Whether a grant makes them ADMIN.")
    grants: list[Grant] = strawberry.field(description="What they may do, and where.")
    created_at: datetime = strawberry.field(description="When the hub first knew the person.")
    last_sign_in_at: datetime | None = strawberry.field(description="When they last signed in.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, auth.Identity)


def _viewer(info: Info) -> User | None:
    return info.context.identity  # type: ignore[return-value]


@strawberry.type
class PeopleQuery:
    viewer: User | None = strawberry.field(
        resolver=_viewer, extensions=[PUBLIC], description="Who is asking; null without a sign-in."
    )
