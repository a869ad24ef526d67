"""Access tokens, for programs."""

from datetime import datetime

import strawberry

from auth.accounts import TokenInfo
from auth.grants import TokenLimits
from auth.permissions import Role
from schema.common import given, several

Row = strawberry.Parent[TokenInfo]


def _role(parent: Row) -> Role | None:
    return parent.limits.role


def _instance_ids(parent: Row) -> list[strawberry.ID] | None:
    names = parent.limits.instance_ids
    return None if names is None else [strawberry.ID(name) for name in names]


def _namespaces(parent: Row) -> list[str] | None:
    return None if parent.limits.namespaces is None else list(parent.limits.namespaces)


@strawberry.type(
    description="An access token: its person's rights of the moment, cut down to its own limits."
)
class AccessToken:
    id: strawberry.ID = strawberry.field(description="`tok_` and a ULID.")
    name: str = strawberry.field(description="What it is for.")
    prefix: str = strawberry.field(description="Its first characters, to recognise it by.")
    role: Role | None = strawberry.field(
        resolver=_role, description="The most that it may do; null: no limit."
    )
    instance_ids: list[strawberry.ID] | None = strawberry.field(
        resolver=_instance_ids, description="Where it is good; null: no limit."
    )
    namespaces: list[str] | None = strawberry.field(
        resolver=_namespaces, description="In which namespaces it is good; null: no limit."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null: never by itself.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, to the minute; null: never."
    )


@strawberry.input(description="An access token to make. What is left out isn't limited.")
class CreateAccessTokenInput:
    name: str = strawberry.field(description="What it is for.")
    role: Role | None = strawberry.field(
        default=strawberry.UNSET, description="The most that it may do. It never does more than you."
    )
    instance_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Where it is good: registered instances."
    )
    namespaces: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="In which namespaces it is good."
    )
    expires_at: datetime | None = strawberry.field(default=strawberry.UNSET, description="When it ends.")

    @property
    def limits(self) -> TokenLimits:
        return TokenLimits(given(self.role), several(self.instance_ids), several(self.namespaces))


@strawberry.type(description="What `createAccessToken` made.")
class CreateAccessTokenPayload:
    access_token: AccessToken = strawberry.field(description="The token as it is listed.")
    secret: str = strawberry.field(description="The token itself. It is shown this once and kept nowhere.")


@strawberry.input(description="An access token to end.")
class RevokeAccessTokenInput:
    id: strawberry.ID = strawberry.field(description="The token's id.")


@strawberry.type(description="What `revokeAccessToken` did.")
class RevokeAccessTokenPayload:
    revoked_access_token_id: strawberry.ID = strawberry.field(description="The token's id.")
