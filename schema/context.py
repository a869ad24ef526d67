"""What every field can reach: the services, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass

import strawberry

from auth.identity import Identity
from resolvers.services import Services
from schema.words import HubMode


@dataclass(frozen=True)
class HubInfo:
    """What the hub says of itself."""

    version: str
    mode: HubMode


@dataclass
class Context:
    services: Services
    hub: HubInfo
    identity: Identity | None
    request_id: str
    wake: Callable[[], None]
    """Asks the fan-out for a turn, when something other than a cluster's change brings news."""


Info = strawberry.Info[Context, None]
