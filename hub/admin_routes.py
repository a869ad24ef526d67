"""People, roles and group mappings for scripts: `/api/admin/…`, a façade over the use cases of GraphQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.effective import GrantRules
from auth.identity import Profile, Provider
from auth.listing import PeopleFilter, find_groups
from auth.mappings import GroupMapping, MappingFilter
from auth.permissions import Grant, Group, Permission, Role, Scope
from hub.auditing import Endpoint, act_of, acting, noted
from hub.rest import (
    item_response,
    named,
    nothing_left,
    one,
    page_response,
    page_size,
    permit_for,
    read_body,
    read_query,
)
from resolvers import access, group_mappings, people
from resolvers.errors import BadInput, NotFound
from resolvers.group_mappings import NewMapping
from resolvers.names import check_names, each_of
from schema.common import print_time


class _NewRole(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    role: str
    instance_id: str | None = None
    namespaces: list[str] | None = None

    def granted(self) -> tuple[Role, Scope]:
        """Raises BadInput."""
        role = named(self.role, Role, "role")
        check_names(("instanceId", self.instance_id), *each_of("namespaces", self.namespaces))
        namespaces = None if self.namespaces is None else tuple(sorted(set(self.namespaces)))
        return role, Scope(self.instance_id, namespaces)


class _NewMapping(_NewRole, forbid_unknown_fields=True, rename="camel", kw_only=True):
    group_id: str
    group_name: str
    provider: str = "entra"


def admin_routes(*, rules: GrantRules) -> list[BaseRoute]:
    handlers = _Handlers(rules)
    mappings, users = "/api/admin/group-mappings", "/api/admin/users"
    return [
        _route("GET", mappings, noted("groupMappings", handlers.list_mappings)),
        _route("POST", mappings, noted("createGroupMapping", handlers.create_mapping)),
        _route("DELETE", f"{mappings}/{{id}}", noted("deleteGroupMapping", handlers.delete_mapping)),
        _route("GET", users, noted("users", handlers.list_users)),
        _route("GET", f"{users}/{{id}}", noted("user", handlers.find_user)),
        _route("POST", f"{users}/{{id}}/roles", noted("assignRole", handlers.assign_role)),
        _route("DELETE", f"{users}/{{id}}/roles/{{grant_id}}", noted("revokeRole", handlers.revoke_role)),
    ]


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


@dataclass(frozen=True)
class _Handlers:
    rules: GrantRules

    async def list_mappings(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_GROUP_MAPPINGS)
        query = read_query(request, "provider", "groupId", "instanceId")
        provider = one(query, "provider")
        page = await group_mappings.list_mappings(
            permit=permit,
            wanted=MappingFilter(
                None if provider is None else named(provider, Provider, "provider"),
                one(query, "groupId"),
                one(query, "instanceId"),
            ),
            first=page_size(query),
            after=one(query, "after"),
        )
        return page_response(page, _mapping)

    async def create_mapping(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_GROUP_MAPPINGS)
        body = await read_body(request, _NewMapping)
        role, scope = body.granted()
        group = Group(named(body.provider, Provider, "provider"), body.group_id, body.group_name)
        async with acting(request, act_of(request, body)) as attempt:
            mapped = await group_mappings.create_mapping(
                rules=self.rules, permit=permit, new=NewMapping(group, role, scope), dry_run=False
            )
            attempt.makes(mapped.mapping.id)
        return item_response(_mapping(mapped.mapping), status=201)

    async def delete_mapping(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_GROUP_MAPPINGS)
        mapping_id = request.path_params["id"]
        async with acting(request, act_of(request, target=mapping_id)):
            await group_mappings.delete_mapping(
                rules=self.rules, permit=permit, mapping_id=mapping_id, dry_run=False
            )
        return nothing_left()

    async def list_users(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_USERS)
        query = read_query(request, "search", "role", "instanceId", "active")
        roles = [named(each, Role, "role") for each in query["role"]]
        page = await people.list_people(
            rules=self.rules,
            permit=permit,
            wanted=PeopleFilter(
                one(query, "search"),
                tuple(roles) if roles else None,
                one(query, "instanceId"),
                _truth(one(query, "active"), "active"),
            ),
            first=page_size(query),
            after=one(query, "after"),
        )
        return page_response(page, _user)

    async def find_user(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_USERS)
        user_id = request.path_params["id"]
        person = await people.known_person(rules=self.rules, permit=permit, user_id=user_id)
        groups = (await find_groups([user_id])).get(user_id, [])
        return item_response(_user(person) | {"groups": [_group(group) for group in groups]})

    async def assign_role(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_USERS)
        body, user_id = await read_body(request, _NewRole), request.path_params["id"]
        role, scope = body.granted()
        async with acting(request, act_of(request, body, target=user_id)) as attempt:
            assigned = await access.assign_role(
                rules=self.rules, permit=permit, user_id=user_id, role=role, scope=scope
            )
            attempt.makes(assigned.grant.id)
        return item_response(_grant(assigned.grant), status=201)

    async def revoke_role(self, request: Request) -> Response:
        permit = permit_for(request, Permission.MANAGE_USERS)
        user_id, grant_id = request.path_params["id"], request.path_params["grant_id"]
        async with acting(request, act_of(request, target=grant_id)):
            person = await people.known_person(rules=self.rules, permit=permit, user_id=user_id)
            if grant_id not in {grant.id for grant in person.grants}:
                raise NotFound
            await access.revoke_role(rules=self.rules, permit=permit, grant_id=grant_id)
        return nothing_left()


def _truth(text: str | None, path: str) -> bool | None:
    if text not in (None, "true", "false"):
        raise BadInput((path, "must be true or false"))
    return None if text is None else text == "true"


def _mapping(mapping: GroupMapping) -> dict[str, Any]:
    return {
        "id": mapping.id,
        "provider": mapping.group.provider.lower(),
        "groupId": mapping.group.group_id,
        "groupName": mapping.group.name,
        "role": mapping.role.name.lower(),
        "instanceId": mapping.scope.instance_id,
        "namespaces": mapping.scope.namespaces,
        "createdAt": print_time(mapping.created_at),
        "updatedAt": print_time(mapping.updated_at),
        "createdBy": mapping.created_by,
    }


def _user(person: Profile) -> dict[str, Any]:
    return {
        "id": person.user_id,
        "provider": person.provider.lower(),
        "displayName": person.display_name,
        "email": person.email,
        "avatarUrl": person.avatar_url,
        "active": person.active,
        "isAdmin": person.is_admin,
        "grants": [_grant(grant) for grant in person.grants],
        "groupsSyncedAt": _time(person.groups_synced_at),
        "groupsError": person.groups_error,
        "createdAt": _time(person.created_at),
        "lastSignInAt": _time(person.last_sign_in_at),
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "role": grant.role.name.lower(),
        "instanceId": grant.scope.instance_id,
        "namespaces": grant.scope.namespaces,
        "source": grant.source.lower(),
        "group": None if grant.group is None else _group(grant.group),
        "groupMappingId": grant.mapping_id,
        "createdAt": _time(grant.created_at),
        "createdBy": grant.created_by,
    }


def _group(group: Group) -> dict[str, Any]:
    return {"provider": group.provider.lower(), "groupId": group.group_id, "name": group.name}


def _time(at: datetime | None) -> str | None:
    return None if at is None else print_time(at)
