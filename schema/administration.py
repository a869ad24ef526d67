"""People, roles, group mappings, tokens and sessions in the roots, read like a menu."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry

from auth.identity import Identity
from auth.permissions import Permission
from auth.policy import Permit, Place, Refusal
from resolvers import access, group_mappings, people, sessions, tokens
from resolvers.errors import BadInput
from resolvers.names import check_names, check_place, each_of
from schema.access import Access
from schema.arguments import After, First, InstanceId
from schema.common import given
from schema.context import Info
from schema.errors import Refused
from schema.group_mappings import (
    CreateGroupMappingInput,
    CreateGroupMappingPayload,
    DeleteGroupMappingInput,
    DeleteGroupMappingPayload,
    GroupMappingConnection,
    GroupMappingFilter,
    UpdateGroupMappingInput,
    UpdateGroupMappingPayload,
    wanted_mappings,
)
from schema.guards import AUTHENTICATED, Requires
from schema.people import (
    AssignRoleInput,
    AssignRolePayload,
    RevokeRoleInput,
    RevokeRolePayload,
    UpdateUserInput,
    UpdateUserPayload,
    User,
    UserConnection,
    UserFilter,
    wanted_people,
)
from schema.sessions import RevokeSessionsInput, RevokeSessionsPayload
from schema.tokens import (
    CreateAccessTokenInput,
    CreateAccessTokenPayload,
    RevokeAccessTokenInput,
    RevokeAccessTokenPayload,
)

# Resolvers return what the types stand for, not instances of the types.
# mypy: disable-error-code="return-value, arg-type"


def _named(_source: object, arguments: Mapping[str, Any]) -> Place:
    """The hub. The names in the input are judged before the policy is asked."""
    chosen: AssignRoleInput | CreateGroupMappingInput | UpdateGroupMappingInput = arguments["input"]
    check_names(("instanceId", given(chosen.instance_id)), *each_of("namespaces", given(chosen.namespaces)))
    return Place()


def _asker(info: Info) -> Identity:
    identity = info.context.identity
    assert identity is not None  # noqa: S101 - the guard's word
    return identity


@strawberry.type
class AdministrationQuery:
    @strawberry.field(
        extensions=[Requires(Permission.MANAGE_USERS)],
        description="People by name. The hub knows those who signed in, or were given a role before.",
    )
    async def users(
        self,
        info: Info,
        permit: Permit,
        filter: Annotated[
            UserFilter | None, strawberry.argument(description="Whom to let through.")
        ] = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> UserConnection | None:
        page = await people.list_people(
            rules=info.context.services.rules,
            permit=permit,
            wanted=wanted_people(filter),
            first=first,
            after=given(after),
        )
        return UserConnection(page=page)

    @strawberry.field(
        extensions=[Requires(Permission.MANAGE_USERS)], description="A person; null where there is none."
    )
    async def user(
        self,
        info: Info,
        permit: Permit,
        id: Annotated[strawberry.ID, strawberry.argument(description="The person's id.")],
    ) -> User | None:
        return await people.find_person(rules=info.context.services.rules, permit=permit, user_id=id)

    @strawberry.field(
        extensions=[Requires(Permission.MANAGE_GROUP_MAPPINGS)],
        description="Which roles groups have, by the groups' names.",
    )
    async def group_mappings(
        self,
        permit: Permit,
        filter: Annotated[
            GroupMappingFilter | None, strawberry.argument(description="What to let through.")
        ] = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> GroupMappingConnection | None:
        page = await group_mappings.list_mappings(
            permit=permit, wanted=wanted_mappings(filter), first=first, after=given(after)
        )
        return GroupMappingConnection(page=page)

    @strawberry.field(
        extensions=[AUTHENTICATED],
        description="What somebody may do at a place, and why: you, by what you showed; anybody else by all "
        "their grants, if you may manage users. Null where there is no such person or instance.",
    )
    async def access(
        self,
        info: Info,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="Who.")],
        instance_id: InstanceId,
        namespace: Annotated[
            str | None, strawberry.argument(description="Where on it; somewhere on it if left out.")
        ] = strawberry.UNSET,
    ) -> Access | None:
        place = Place(instance_id, given(namespace))
        check_place(instance_id=instance_id, namespace=place.namespace)
        found = await access.decisions(
            services=info.context.services, asker=_asker(info), user_id=user_id, place=place
        )
        if isinstance(found, Refusal):
            raise Refused(found)
        return None if found is None else Access(decisions=found)


@strawberry.type
class AdministrationMutation:
    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_USERS)],
        description="Let somebody in, or keep them out. The last admin can't be kept out.",
    )
    async def update_user(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[UpdateUserInput, strawberry.argument(description="What to change.")],
    ) -> UpdateUserPayload | None:
        if input.active is None:
            raise BadInput(("active", "can't be null: leave it out to keep what is there"))
        person = await people.update_person(
            rules=info.context.services.rules,
            permit=permit,
            user_id=input.user_id,
            active=given(input.active),
        )
        return UpdateUserPayload(user=person)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_USERS, place=_named)],
        description="Give somebody a role at some places.",
    )
    async def assign_role(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[AssignRoleInput, strawberry.argument(description="What to give.")],
    ) -> AssignRolePayload | None:
        assigned = await access.assign_role(
            rules=info.context.services.rules,
            permit=permit,
            user_id=input.user_id,
            role=input.role,
            scope=input.scope,
        )
        return AssignRolePayload(grant=assigned.grant, user=assigned.person)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_USERS)],
        description="Take a role back that was given by hand. The last admin's can't be taken.",
    )
    async def revoke_role(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[RevokeRoleInput, strawberry.argument(description="What to take back.")],
    ) -> RevokeRolePayload | None:
        revoked = await access.revoke_role(
            rules=info.context.services.rules, permit=permit, grant_id=input.grant_id
        )
        return RevokeRolePayload(revoked_grant_id=revoked.grant_id, user=revoked.person)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_GROUP_MAPPINGS, place=_named)],
        description="Give everybody in a group a role at some places.",
    )
    async def create_group_mapping(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[CreateGroupMappingInput, strawberry.argument(description="What to map.")],
    ) -> CreateGroupMappingPayload | None:
        mapped = await group_mappings.create_mapping(
            rules=info.context.services.rules, permit=permit, new=input.mapping, dry_run=input.dry_run
        )
        return CreateGroupMappingPayload(mapped=mapped, permit=permit)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_GROUP_MAPPINGS, place=_named)],
        description="Change what a mapping gives.",
    )
    async def update_group_mapping(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[UpdateGroupMappingInput, strawberry.argument(description="What to change.")],
    ) -> UpdateGroupMappingPayload | None:
        mapped = await group_mappings.update_mapping(
            rules=info.context.services.rules,
            permit=permit,
            mapping_id=input.id,
            change=input.change,
            dry_run=input.dry_run,
        )
        return UpdateGroupMappingPayload(mapped=mapped, permit=permit)

    @strawberry.mutation(
        extensions=[Requires(Permission.MANAGE_GROUP_MAPPINGS)],
        description="Delete a mapping, and with it all that it gave.",
    )
    async def delete_group_mapping(
        self,
        info: Info,
        permit: Permit,
        input: Annotated[DeleteGroupMappingInput, strawberry.argument(description="What to delete.")],
    ) -> DeleteGroupMappingPayload | None:
        mapped = await group_mappings.delete_mapping(
            rules=info.context.services.rules, permit=permit, mapping_id=input.id, dry_run=input.dry_run
        )
        return DeleteGroupMappingPayload(mapped=mapped, permit=permit)

    @strawberry.mutation(
        extensions=[AUTHENTICATED],
        description="Make an access token of your own. It takes a session: a token can't make another one.",
    )
    async def create_access_token(
        self,
        info: Info,
        input: Annotated[CreateAccessTokenInput, strawberry.argument(description="What to make.")],
    ) -> CreateAccessTokenPayload | None:
        check_names(
            *each_of("instanceIds", given(input.instance_ids)),
            *each_of("namespaces", given(input.namespaces)),
        )
        token, minted = await tokens.create_token(
            owner=_asker(info),
            name=input.name,
            limits=input.limits,
            expires_at=given(input.expires_at),
            rate=info.context.services.new_tokens,
        )
        return CreateAccessTokenPayload(access_token=token, secret=minted.secret)

    @strawberry.mutation(
        extensions=[AUTHENTICATED],
        description="End an access token: your own, or anybody's if you may manage users. By a token, only "
        "that token itself.",
    )
    async def revoke_access_token(
        self,
        info: Info,
        input: Annotated[RevokeAccessTokenInput, strawberry.argument(description="What to end.")],
    ) -> RevokeAccessTokenPayload | None:
        await tokens.revoke_token(asker=_asker(info), token_id=input.id)
        return RevokeAccessTokenPayload(revoked_access_token_id=input.id)

    @strawberry.mutation(
        extensions=[AUTHENTICATED],
        description="End sessions: your own, or anybody's if you may manage users. It takes a session.",
    )
    async def revoke_sessions(
        self,
        info: Info,
        input: Annotated[RevokeSessionsInput, strawberry.argument(description="What to end.")],
    ) -> RevokeSessionsPayload | None:
        asker = _asker(info)
        person, ended = await sessions.revoke_sessions(
            rules=info.context.services.rules,
            asker=asker,
            user_id=given(input.user_id) or asker.user_id,
            session_ids=given(input.session_ids),
        )
        return RevokeSessionsPayload(user=person, revoked_session_ids=ended)
