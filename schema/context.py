"""What every field can reach: the services, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import strawberry

import schema.enums  # noqa: F401 - exposes the enums before any type is built
from auth.identity import Identity
from resolvers.services import Services
from schema.hub import Hub
from schema.loaders import Loaders


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
    address: str | None = None
    """The client's."""

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(rules=self.services.rules, asker=self.identity)


Info = strawberry.Info[Context, None]
