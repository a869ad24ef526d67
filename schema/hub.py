"""What the hub says of itself."""

import strawberry

from auth.identity import Provider
from schema.words import HubMode


@strawberry.type(description="A way to sign in.")
class AuthProviderInfo:
    provider: Provider = strawberry.field(description="Who vouches for people there.")
    name: str = strawberry.field(description="What to write on the button.")
    login_url: str = strawberry.field(description="Where the button leads.")


@strawberry.type(description="This hub.")
class Hub:
    version: str = strawberry.field(description="The hub's version.")
    mode: HubMode = strawberry.field(description="What it runs as.")
    auth_providers: list[AuthProviderInfo] = strawberry.field(description="Ways to sign in.")
