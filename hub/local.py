"""Local mode: what is put together otherwise where the hub is for the person at this machine alone."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.identity import Identity
from auth.local import local_identity
from credentials.ambient import AmbientCredential, find_ambient
from hub.auditing import account_name
from hub.auth_routes import me
from hub.rules import grant_rules
from hub.settings import Settings

ONE_INSTANCE = (
    "In local mode there is one instance, the current context of your kubeconfig: choose another one with "
    "`kubectl config use-context`"
)


async def local_person(settings: Settings) -> Identity | None:
    """Who everybody is; None where people sign in."""
    if not settings.local:
        return None
    return await local_identity(
        display_name=account_name(), rules=grant_rules(settings), now=datetime.now(UTC)
    )


def ambient_credential(settings: Settings) -> AmbientCredential:
    ambient = find_ambient(os.environ, home=Path.home())
    return AmbientCredential(ambient, exec_allow=settings.credentials.exec_allow)


def local_auth_routes() -> Sequence[BaseRoute]:
    """`/api/auth/…` where nobody signs in or out."""
    return [Route("/api/auth/providers", _no_providers), Route("/api/auth/me", me)]


async def _no_providers(_request: Request) -> Response:
    return JSONResponse({"providers": []})
