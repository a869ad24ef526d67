"""People, their groups and their grants."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from auth import identity as auth
from auth import permissions
from auth.identity import Provider
from auth.listing import PeopleFilter
from auth.permissions import GrantSource, Permission, Role, Scope
from resolvers import sessions
from schema.common import Node, given, several
from schema.connections import Connection
from schema.context import Info
from schema.guards import AUTHENTICATED, Requires
from schema.sessions import Session
from schema.tokens import AccessToken
from schema.words import Denial

if TYPE_CHECKING:
    from schema.group_mappings import GroupMapping

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="return-value"


@strawberry.type(description="A group of people at a provider.")
class Group:
    provider: Provider = strawberry.field(description="Who knows the group.")
    group_id: strawberry.ID = strawberry.field(
        description="Entra: the object id. GitHub: the numeric id of an organisation, or `ORGANISATION/TEAM` "
        "by both. OIDC: the claim's word."
    )
    name: str | None = strawberry.field(description="Shown, and never decides anything.")


GrantRow = strawberry.Parent[permissions.Grant]


def _instance_id(parent: GrantRow) -> strawberry.ID | None:
    return None if parent.scope.instance_id is None else strawberry.ID(parent.scope.instance_id)


def _namespaces(parent: GrantRow) -> list[str] | None:
    return None if parent.scope.namespaces is None else list(parent.scope.namespaces)


async def _group_mapping(
    parent: GrantRow, info: Info
) -> Annotated["GroupMapping", strawberry.lazy("schema.group_mappings")] | None:
    return None if parent.mapping_id is None else await info.context.loaders.mappings.load(parent.mapping_id)


async def _created_by(
    parent: GrantRow, info: Info
) -> Annotated["User", strawberry.lazy("schema.people")] | None:
    return None if parent.created_by is None else await info.context.loaders.people.load(parent.created_by)


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
    group: Group | None = strawberry.field(description="The group that it comes from, if from one.")
    group_mapping: Annotated["GroupMapping", strawberry.lazy("schema.group_mappings")] | None = (
        strawberry.field(
            resolver=_group_mapping,
            extensions=[Requires(Permission.MANAGE_GROUP_MAPPINGS, Denial.HIDE)],
            description="The mapping that it comes from, if from one.",
        )
    )
    created_at: datetime | None = strawberry.field(description="When it was given; null for a computed one.")
    created_by: Annotated["User", strawberry.lazy("schema.people")] | None = strawberry.field(
        resolver=_created_by,
        extensions=[Requires(Permission.MANAGE_USERS, Denial.HIDE)],
        description="Who gave it; null for a computed one, and for the command line's.",
    )


PersonRow = strawberry.Parent[auth.Profile]


def _id(parent: PersonRow) -> strawberry.ID:
    return strawberry.ID(parent.user_id)


async def _groups(parent: PersonRow, info: Info) -> list[Group]:
    return await info.context.loaders.groups.load(parent.user_id) or []


async def _sessions(parent: PersonRow, info: Info) -> list[Session] | None:
    asker = info.context.identity
    if asker is None:
        return None
    return await sessions.list_sessions(asker=asker, user_id=parent.user_id)


async def _access_tokens(parent: PersonRow, info: Info) -> list[AccessToken] | None:
    return await info.context.loaders.tokens.load(parent.user_id)


@strawberry.type(description="A person, keyed by provider and subject.")
class User(Node):
    id: strawberry.ID = strawberry.field(resolver=_id, description="`usr_` and a ULID.")
    provider: Provider = strawberry.field(description="Who vouches for the person.")
    email: str | None = strawberry.field(description="Shown, and never decides anything.")
    display_name: str = strawberry.field(description="What the person is called.")
    avatar_url: str | None = strawberry.field(description="A picture, if the provider has one.")
    active: bool = strawberry.field(description="Whether the person may sign in.")
    is_admin: bool = strawberry.field(description="Whether a grant makes them ADMIN.")
    grants: list[Grant] = strawberry.field(
        description="What they may do, and where: given by hand, by their groups, and by HUB_ADMINS."
    )
    groups: list[Group] = strawberry.field(
        resolver=_groups, description="The groups that they are in, as last read from the provider."
    )
    groups_synced_at: datetime | None = strawberry.field(
        description="When their groups were last read; too long ago, they grant nothing."
    )
    groups_error: str | None = strawberry.field(
        description="Why their groups couldn't be read the last time; null if they could."
    )
    sessions: list[Session] | None = strawberry.field(
        resolver=_sessions,
        extensions=[AUTHENTICATED],
        description="Where they are signed in; null unless you are that person or may manage users.",
    )
    access_tokens: list[AccessToken] | None = strawberry.field(
        resolver=_access_tokens,
        extensions=[AUTHENTICATED],
        description="Their access tokens; null unless you are that person or may manage users.",
    )
    created_at: datetime = strawberry.field(description="When the hub first knew the person.")
    last_sign_in_at: datetime | None = strawberry.field(description="When they last signed in.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, auth.Profile)


@strawberry.type(description="A page of people.")
class UserConnection(Connection[User]):
    pass


@strawberry.input(description="All that is given has to hold; an empty list matches nobody.")
class UserFilter:
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="A part of the name, the e-mail address or the provider's subject, in any case.",
    )
    roles: list[Role] | None = strawberry.field(
        default=strawberry.UNSET,
        description="With a grant of one of these roles, wherever it comes from; with `instanceId`, there.",
    )
    instance_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="With a grant that reaches this instance."
    )
    active: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only those who may sign in (true), or may not (false)."
    )


def wanted_people(chosen: UserFilter | None) -> PeopleFilter:
    wanted = given(chosen)
    if wanted is None:
        return PeopleFilter()
    return PeopleFilter(
        given(wanted.search), several(wanted.roles), given(wanted.instance_id), given(wanted.active)
    )


@strawberry.input(description="What to change of a person; what is left out stays.")
class UpdateUserInput:
    user_id: strawberry.ID = strawberry.field(description="Who.")
    active: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="False refuses the person and ends all that they have open; true lets them in again.",
    )


@strawberry.type(description="What `updateUser` did.")
class UpdateUserPayload:
    user: User = strawberry.field(description="The person, as they are now.")


@strawberry.input(description="A role to give, and where.")
class AssignRoleInput:
    user_id: strawberry.ID = strawberry.field(description="To whom.")
    role: Role = strawberry.field(description="What it allows. An ADMIN is one everywhere.")
    instance_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The one instance, which is registered; all if left out."
    )
    namespaces: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="The namespaces; all if left out."
    )

    @property
    def scope(self) -> Scope:
        namespaces = several(self.namespaces)
        return Scope(given(self.instance_id), None if namespaces is None else tuple(sorted(set(namespaces))))


@strawberry.type(description="What `assignRole` did.")
class AssignRolePayload:
    grant: Grant = strawberry.field(
        description="The grant; the one that was there already, if it is the same."
    )
    user: User = strawberry.field(description="The person, as they are now.")


@strawberry.input(description="A grant to take back.")
class RevokeRoleInput:
    grant_id: strawberry.ID = strawberry.field(description="A grant that was given by hand.")


@strawberry.type(description="What `revokeRole` did.")
class RevokeRolePayload:
    revoked_grant_id: strawberry.ID = strawberry.field(description="The grant's id.")
    user: User = strawberry.field(description="The person, as they are now.")
