"""Roles, permissions and the one table between them."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from auth.identity import Provider


class Permission(StrEnum):
    VIEW_INSTANCES = "VIEW_INSTANCES"
    VIEW_DEPLOYMENTS = "VIEW_DEPLOYMENTS"
    MANAGE_DEPLOYMENTS = "MANAGE_DEPLOYMENTS"
    MANAGE_USERS = "MANAGE_USERS"
    MANAGE_GROUP_MAPPINGS = "MANAGE_GROUP_MAPPINGS"
    MANAGE_INSTANCES = "MANAGE_INSTANCES"
    VIEW_AUDIT_LOG = "VIEW_AUDIT_LOG"


class Role(IntEnum):
    """A higher role holds every permission of the lower ones."""

    VIEWER = 1
    DEPLOYER = 2
    ADMIN = 3


class GrantSource(StrEnum):
    MANUAL = "MANUAL"
    GROUP = "GROUP"
    BOOTSTRAP = "BOOTSTRAP"


LEAST_ROLE = {
    Permission.VIEW_INSTANCES: Role.VIEWER,
    Permission.VIEW_DEPLOYMENTS: Role.VIEWER,
    Permission.MANAGE_DEPLOYMENTS: Role.DEPLOYER,
    Permission.MANAGE_USERS: Role.ADMIN,
    Permission.MANAGE_GROUP_MAPPINGS: Role.ADMIN,
    Permission.MANAGE_INSTANCES: Role.ADMIN,
    Permission.VIEW_AUDIT_LOG: Role.ADMIN,
}
"""The least role that holds each permission."""

HUB_WIDE = frozenset(
    {
        Permission.MANAGE_USERS,
        Permission.MANAGE_GROUP_MAPPINGS,
        Permission.MANAGE_INSTANCES,
        Permission.VIEW_AUDIT_LOG,
    }
)
"""Permissions over the hub itself: a grant that is limited to some places holds none of them."""


class Scope(msgspec.Struct, frozen=True, order=True):
    """Some places: namespaces of an instance. None means all of them."""

    instance_id: str | None = None
    namespaces: tuple[str, ...] | None = None
    """Sorted and without repetitions, so that equal scopes compare equal."""


class Group(msgspec.Struct, frozen=True):
    """A group of people at a provider."""

    provider: "Provider"
    group_id: str
    """Entra: the object id; GitHub: an organisation's numeric id, or ORGANISATION/TEAM by both; OIDC: the
    claim's word."""
    name: str | None = None
    """Names change hands, so they decide nothing."""


class Grant(msgspec.Struct, frozen=True):
    """A role at some places. Grants add up: rights are the union of them all."""

    id: str
    role: Role
    scope: Scope
    source: GrantSource
    created_at: datetime | None = None
    created_by: str | None = None
    """The id of the person who granted it; None for computed grants and the command line."""
    group: Group | None = None
    """Of a grant that is computed from a group mapping: the group that the person is in, …"""
    mapping_id: str | None = None
    """… and the mapping."""
