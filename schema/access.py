"""Why somebody may do something somewhere, or not."""

import strawberry

from auth.permissions import Permission
from schema.people import Grant


@strawberry.type(description="A permission at a place, decided.")
class AccessDecision:
    permission: Permission = strawberry.field(description="To do what.")
    allowed: bool = strawberry.field(description="Whether it is allowed.")
    grants: list[Grant] = strawberry.field(description="The grants that allow it.")
    reason: str = strawberry.field(description="Why, in words for people.")


@strawberry.type(description="What somebody may do at a place.")
class Access:
    decisions: list[AccessDecision] = strawberry.field(description="One for each permission.")
