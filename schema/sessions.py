"""Sessions: where somebody is signed in."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from auth.session_rows import SessionInfo
from schema.context import Info

if TYPE_CHECKING:
    from schema.people import User

Row = strawberry.Parent[SessionInfo]


def _current(parent: Row, info: Info) -> bool:
    asker = info.context.identity
    return asker is not None and asker.credential_id == parent.id


@strawberry.type(description="A sign-in, in one browser.")
class Session:
    id: strawberry.ID = strawberry.field(description="`ses_` and a ULID.")
    created_at: datetime = strawberry.field(description="When the person signed in.")
    last_used_at: datetime = strawberry.field(description="When the browser last renewed it.")
    expires_at: datetime = strawberry.field(description="When it ends, unless it is renewed before.")
    ip_address: str | None = strawberry.field(description="From where the person signed in.")
    user_agent: str | None = strawberry.field(description="What the browser called itself.")
    current: bool = strawberry.field(
        resolver=_current, description="Whether it is the one that this is asked in."
    )


@strawberry.input(description="Sessions to end.")
class RevokeSessionsInput:
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whose; your own if left out. Others' take the permission to manage users.",
    )
    session_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Which of the person's; all of them if left out."
    )


@strawberry.type(description="What `revokeSessions` did.")
class RevokeSessionsPayload:
    user: Annotated["User", strawberry.lazy("schema.people")] = strawberry.field(
        description="Whose sessions they were."
    )
    revoked_session_ids: list[strawberry.ID] = strawberry.field(description="Those that ended by it.")
