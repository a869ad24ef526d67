"""Group mappings."""

from datetime import datetime
from typing import Any

import strawberry

from auth import mappings
from auth.identity import Provider
from auth.mappings import Mapped, MappingChange, MappingFilter
from auth.permissions import Group, Permission, Role, Scope
from auth.policy import Permit
from resolvers import group_mappings
from resolvers.errors import BadInput
from resolvers.group_mappings import NewMapping
from schema.arguments import After, First
from schema.common import Node, given, several
from schema.connections import Connection
from schema.context import Info
from schema.guards import Requires
from schema.people import User, UserConnection
from schema.words import Denial

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="return-value, arg-type"

Row = strawberry.Parent[mappings.GroupMapping]


def _provider(parent: Row) -> Provider:
    return parent.group.provider


def _group_id(parent: Row) -> strawberry.ID:
    return strawberry.ID(parent.group.group_id)


def _group_name(parent: Row) -> str:
    return parent.group.name or ""


def _instance_id(parent: Row) -> strawberry.ID | None:
    return None if parent.scope.instance_id is None else strawberry.ID(parent.scope.instance_id)


def _namespaces(parent: Row) -> list[str] | None:
    return None if parent.scope.namespaces is None else list(parent.scope.namespaces)


async def _created_by(parent: Row, info: Info) -> User | None:
    return None if parent.created_by is None else await info.context.loaders.people.load(parent.created_by)


@strawberry.type(description="A role at some places for everybody in a group.")
class GroupMapping(Node):
    id: strawberry.ID = strawberry.field(description="`map_` and a ULID.")
    provider: Provider = strawberry.field(resolver=_provider, description="Who knows the group.")
    group_id: strawberry.ID = strawberry.field(
        resolver=_group_id, description="The group, as its provider calls it."
    )
    group_name: str = strawberry.field(
        resolver=_group_name, description="What administrators call the group; it decides nothing."
    )
    role: Role = strawberry.field(description="What it allows.")
    instance_id: strawberry.ID | None = strawberry.field(
        resolver=_instance_id, description="The one instance; null means all."
    )
    namespaces: list[str] | None = strawberry.field(
        resolver=_namespaces, description="The namespaces; null means all."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    created_by: User | None = strawberry.field(
        resolver=_created_by,
        extensions=[Requires(Permission.MANAGE_USERS, Denial.HIDE)],
        description="Who made it.",
    )

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, mappings.GroupMapping)


@strawberry.type(description="A page of group mappings.")
class GroupMappingConnection(Connection[GroupMapping]):
    pass


@strawberry.input(description="All that is given has to hold.")
class GroupMappingFilter:
    provider: Provider | None = strawberry.field(
        default=strawberry.UNSET, description="Of groups that this provider knows."
    )
    group_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of this group.")
    instance_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="For this instance by name; not those for all."
    )


def wanted_mappings(chosen: GroupMappingFilter | None) -> MappingFilter:
    wanted = given(chosen)
    if wanted is None:
        return MappingFilter()
    return MappingFilter(given(wanted.provider), given(wanted.group_id), given(wanted.instance_id))


@strawberry.input(description="A role for everybody in a group.")
class CreateGroupMappingInput:
    provider: Provider = strawberry.field(default=Provider.ENTRA, description="Who knows the group.")
    group_id: strawberry.ID = strawberry.field(
        description="The group, as its provider calls it. Entra: an object id. GitHub: the numeric id of an "
        "organisation, or `ORGANISATION/TEAM` by both. OIDC: a word of the claim."
    )
    group_name: str = strawberry.field(description="What to call the group; it decides nothing.")
    role: Role = strawberry.field(description="What it allows. An ADMIN is one everywhere.")
    instance_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The one instance, which is registered; all if left out."
    )
    namespaces: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="The namespaces; all if left out."
    )
    dry_run: bool = strawberry.field(default=False, description="Only tell whom it would affect.")

    @property
    def mapping(self) -> NewMapping:
        group = Group(self.provider, self.group_id, self.group_name)
        return NewMapping(group, self.role, Scope(given(self.instance_id), several(self.namespaces)))


@strawberry.input(
    description="What to change of a mapping. What is left out stays. Null is refused: it would widen the "
    "mapping to every place. To do that, delete it and create another one."
)
class UpdateGroupMappingInput:
    id: strawberry.ID = strawberry.field(description="Which mapping.")
    group_name: str | None = strawberry.field(default=strawberry.UNSET, description="What to call the group.")
    role: Role | None = strawberry.field(default=strawberry.UNSET, description="What it allows.")
    instance_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The one instance, which is registered."
    )
    namespaces: list[str] | None = strawberry.field(default=strawberry.UNSET, description="The namespaces.")
    dry_run: bool = strawberry.field(default=False, description="Only tell whom it would affect.")

    @property
    def change(self) -> MappingChange:
        """Raises BadInput for a null."""
        fields: dict[str, Any] = {
            "groupName": self.group_name,
            "role": self.role,
            "instanceId": self.instance_id,
            "namespaces": self.namespaces,
        }
        nulls = [path for path, value in fields.items() if value is None]
        if nulls:
            raise BadInput(*((path, "can't be null: leave it out to keep what is there") for path in nulls))
        return MappingChange(
            given(self.group_name), given(self.role), given(self.instance_id), several(self.namespaces)
        )


@strawberry.input(description="A mapping to delete.")
class DeleteGroupMappingInput:
    id: strawberry.ID = strawberry.field(description="Which mapping.")
    dry_run: bool = strawberry.field(default=False, description="Only tell whom it would affect.")


@strawberry.type
class _Affecting:
    """Whom a change of a mapping affects."""

    mapped: strawberry.Private[Mapped]
    permit: strawberry.Private[Permit]

    @strawberry.field(
        description="How many people gain or lose something, of those that the hub knows, by their groups as "
        "last read."
    )
    def affected_user_count(self) -> int:
        return len(self.mapped.affected)

    @strawberry.field(description="Those people, by name, with their grants as they are now.")
    async def affected_users(
        self, info: Info, first: First = 50, after: After = strawberry.UNSET
    ) -> UserConnection:
        page = await group_mappings.affected_people(
            rules=info.context.services.rules,
            permit=self.permit,
            affected=self.mapped.affected,
            first=first,
            after=given(after),
        )
        return UserConnection(page=page)


def _mapping(parent: strawberry.Parent[_Affecting]) -> GroupMapping:
    return parent.mapped.mapping


def _mapping_id(parent: strawberry.Parent[_Affecting]) -> strawberry.ID:
    return strawberry.ID(parent.mapped.mapping.id)


@strawberry.type(description="What `createGroupMapping` did, or would do.")
class CreateGroupMappingPayload(_Affecting):
    group_mapping: GroupMapping = strawberry.field(resolver=_mapping, description="The mapping.")


@strawberry.type(description="What `updateGroupMapping` did, or would do.")
class UpdateGroupMappingPayload(_Affecting):
    group_mapping: GroupMapping = strawberry.field(
        resolver=_mapping, description="The mapping as it is then."
    )


@strawberry.type(description="What `deleteGroupMapping` did, or would do.")
class DeleteGroupMappingPayload(_Affecting):
    deleted_group_mapping_id: strawberry.ID = strawberry.field(
        resolver=_mapping_id, description="The mapping's id."
    )
