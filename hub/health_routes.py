"""What probes ask."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cluster.manager import InstanceManager
from models.database import Database
from models.errors import DatabaseUnavailable


def health_routes(*, database: Database, manager: InstanceManager) -> Sequence[BaseRoute]:
    """`/healthz`: the process answers. `/readyz`: migrated, and the credentials were looked at once.

    A cluster that is away makes nothing unready, nor does a database that was lost later: live answers come
    from memory. The body names the database then.
    """

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_request: Request) -> Response:
        if not manager.scanned.is_set():
            return JSONResponse({"status": "starting"}, 503)
        try:
            await database.ping()
        except DatabaseUnavailable:
            return JSONResponse({"status": "ready", "database": "unavailable"})
        return JSONResponse({"status": "ready", "database": "ok"})

    return [Route("/healthz", alive), Route("/readyz", ready)]
