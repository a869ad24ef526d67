"""The control endpoint of a simulated cluster in a process of its own: faults and load from outside.

Loopback only, without a credential, on a port of its own that outages don't touch. Every body is JSON.

    POST   /_sim/faults            a fault, its kind as `type`: {"type": "Refuse", "status": 503, "count": 2}
    DELETE /_sim/faults            all faults off
    POST   /_sim/stop · /_sim/start    an outage: connections are cut, then refused
    POST   /_sim/compact           forget all history
    PUT    /_sim/groups/{group}    install an API group's CRDs; DELETE removes them with their objects
    POST   /_sim/tokens            {"namespaces": ["ml-team"]} (null: all) → {"token": …}
    DELETE /_sim/tokens/{token}    revoke it
    POST   /_sim/objects           {"count": 1000, "namespaces": ["ml-team"]}: that many deployments
    POST   /_sim/load              {"rate": 2000, "seconds": 5}: events; answers when done
    GET    /_sim/requests          how many requests of each kind were answered
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import AnyFault
from hub.demo.load import churn, populate
from hub.demo.objects import Key

T = TypeVar("T")


class TokenRequest(msgspec.Struct, frozen=True):
    namespaces: frozenset[str] | None = None


class ObjectsRequest(msgspec.Struct, frozen=True):
    count: int
    namespaces: tuple[str, ...]


class LoadRequest(msgspec.Struct, frozen=True):
    rate: float
    """Events a second."""
    seconds: float


FAULT: msgspec.json.Decoder[AnyFault] = msgspec.json.Decoder(AnyFault)
TOKEN = msgspec.json.Decoder(TokenRequest)
OBJECTS = msgspec.json.Decoder(ObjectsRequest)
LOAD = msgspec.json.Decoder(LoadRequest)


class Control:
    """The handlers, for one cluster."""

    def __init__(self, *, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._keys: Sequence[Key] = ()

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.post("/_sim/faults", self._inject),
                web.delete("/_sim/faults", self._clear),
                web.post("/_sim/stop", self._stop),
                web.post("/_sim/start", self._start),
                web.post("/_sim/compact", self._compact),
                web.put("/_sim/groups/{group}", self._install),
                web.delete("/_sim/groups/{group}", self._remove),
                web.post("/_sim/tokens", self._issue),
                web.delete("/_sim/tokens/{token}", self._revoke),
                web.post("/_sim/objects", self._populate),
                web.post("/_sim/load", self._load),
                web.get("/_sim/requests", self._requests),
            ]
        )
        return application

    async def _inject(self, request: web.Request) -> web.Response:
        self._cluster.faults.inject(await _body(request, FAULT))
        return web.json_response({})

    async def _clear(self, _: web.Request) -> web.Response:
        self._cluster.faults.clear()
        return web.json_response({})

    async def _stop(self, _: web.Request) -> web.Response:
        await self._cluster.stop()
        return web.json_response({})

    async def _start(self, _: web.Request) -> web.Response:
        await self._cluster.start()
        return web.json_response({})

    async def _compact(self, _: web.Request) -> web.Response:
        self._cluster.compact()
        return web.json_response({})

    async def _install(self, request: web.Request) -> web.Response:
        self._cluster.crds.install(request.match_info["group"])
        return web.json_response({})

    async def _remove(self, request: web.Request) -> web.Response:
        self._cluster.crds.remove(request.match_info["group"])
        return web.json_response({})

    async def _issue(self, request: web.Request) -> web.Response:
        wanted = await _body(request, TOKEN)
        return web.json_response({"token": self._cluster.tokens.issue(namespaces=wanted.namespaces)})

    async def _revoke(self, request: web.Request) -> web.Response:
        self._cluster.tokens.revoke(request.match_info["token"])
        return web.json_response({})

    async def _populate(self, request: web.Request) -> web.Response:
        wanted = await _body(request, OBJECTS)
        self._keys = populate(self._cluster, count=wanted.count, namespaces=wanted.namespaces)
        return web.json_response({"created": len(self._keys)})

    async def _load(self, request: web.Request) -> web.Response:
        wanted = await _body(request, LOAD)
        if not self._keys:
            raise web.HTTPConflict(text="POST /_sim/objects first")
        achieved = await churn(self._cluster, keys=self._keys, rate=wanted.rate, seconds=wanted.seconds)
        return web.json_response(msgspec.to_builtins(achieved))

    async def _requests(self, _: web.Request) -> web.Response:
        return web.json_response(self._cluster.requests)


async def _body(request: web.Request, decoder: msgspec.json.Decoder[T]) -> T:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        return decoder.decode(await request.read())
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
