"""What every field can reach: the services, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass

import strawberry

from auth.identity import Identity
from resolvers.services import Services
from schema.hub import Hub


@dataclass
class Context:
    services: Services
    hub: Hub
    identity: Identity | None
    request_id: str
    introspection: bool | None
    """Whether anybody may ask for the schema; None: who is signed in."""
    wake: Callable[[], None]
    """Asks the fan-out for a turn, when something other than a cluster's change brings news."""


Info = strawberry.Info[Context, None]
