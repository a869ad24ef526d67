"""`SimulatedCluster`: one API server in memory, on a real port."""

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import yaml
from aiohttp import web

from hub.demo.access import Tokens
from hub.demo.api import Api, ApiSettings
from hub.demo.crds import CrdController
from hub.demo.faults import Faults
from hub.demo.objects import Json, Store
from hub.demo.patches import merge_patch
from hub.demo.registry import Part, Preconditions, Registry
from hub.demo.resources import BUILT_IN, Resource
from hub.demo.status import StatusError

HOST = "127.0.0.1"


class SimulatedCluster:
    """A cluster that clients reach over HTTP and tests also directly.

    `async with SimulatedCluster(name="prod-east") as cluster` serves until the block ends. The direct
    methods take a `Resource` (`hub.demo.resources`), keep the rules of the API and raise `StatusError`.
    """

    def __init__(
        self,
        *,
        name: str = "simulated",
        groups: Iterable[str] = ("airunway.ai",),
        namespaces: Iterable[str] = ("default", "kube-system", "ml-team", "team-b"),
        port: int = 0,
        seed: int = 0,
        history: int = 10_000,
        settings: ApiSettings | None = None,
    ) -> None:
        settings = settings or ApiSettings()
        self.name = name
        self.faults = Faults()
        self.tokens = Tokens()
        self.token = self.tokens.issue()
        """May do everything."""
        self.store = Store(first_version=1_000, history=history)
        self.registry = Registry(store=self.store, random=Random(f"{name}/{seed}"))
        self.crds = CrdController(store=self.store, registry=self.registry)
        self._api = Api(
            store=self.store,
            registry=self.registry,
            crds=self.crds,
            tokens=self.tokens,
            faults=self.faults,
            settings=settings,
        )
        self._port = port
        self._reservation: socket.socket | None = None
        self._runner: web.ServerRunner | None = None
        self._furnish(groups, namespaces, settings.crd_settle)

    async def __aenter__(self) -> Self:
        self._reservation = _bind(self._port)
        self._port = self._reservation.getsockname()[1]
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.faults.clear()
        await self.stop()
        if self._reservation is not None:
            self._reservation.close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests came over HTTP, by verb and resource: `watch modeldeployments`, `discover`."""
        return self._api.requests

    async def start(self) -> None:
        """Serve, on the same port and with the same data as before a stop."""
        if self._runner is not None:
            return
        server = web.Server(self._api.handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)
        await self._runner.setup()
        await web.SockSite(self._runner, _bind(self._port)).start()

    async def stop(self) -> None:
        """Cut all connections and refuse new ones; the port stays ours, so that nobody else takes it."""
        runner = self._runner
        if runner is None:
            return
        if runner.server is not None:
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()
        self._runner = None

    def kubeconfig(self, *, token: str | None = None, namespaces: Iterable[str] = ()) -> Json:
        """A kubeconfig for a token (else the one that may do everything).

        With namespaces, it has a context for each: what a credential limited to them looks like.
        """
        contexts: list[Json] = []
        for namespace in tuple(namespaces) or ("",):
            context = {"cluster": self.name, "user": "hub"} | ({"namespace": namespace} if namespace else {})
            contexts.append({"name": f"{self.name}-{namespace}".rstrip("-"), "context": context})
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": {"server": self.url}}],
            "users": [{"name": "hub", "user": {"token": token or self.token}}],
            "contexts": contexts,
            "current-context": contexts[0]["name"],
        }

    def write_kubeconfig(
        self, path: Path, *, token: str | None = None, namespaces: Iterable[str] = ()
    ) -> Path:
        """Write it in one step, readable by its owner alone; the path again."""
        draft = path.with_name(f".{path.name}.draft")
        draft.touch(mode=0o600)
        draft.write_text(yaml.safe_dump(self.kubeconfig(token=token, namespaces=namespaces)))
        return draft.replace(path)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return self.registry.get(resource, namespace, name).read()

    def objects(self, resource: Resource, namespace: str = "") -> list[Json]:
        """All of them, or a namespace's, by their keys."""
        return [stored.read() for stored in self.registry.served(resource).scan(namespace)]

    def apply(self, body: Mapping[str, Any]) -> Json:
        """Create or replace an object, its status included, in one version."""
        copy: Json = {**body, "metadata": dict(body["metadata"])}
        resource = self._resource_of(copy)
        metadata = copy["metadata"]
        namespace = metadata.get("namespace", "")
        old = self.registry.served(resource).get(namespace, metadata.get("name", ""))
        if old is None:
            return self.registry.create(resource, namespace, copy, part=Part.WHOLE).stored.read()
        metadata.setdefault("resourceVersion", str(old.version))
        return self.registry.update(resource, old, copy, part=Part.WHOLE).stored.read()

    def patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Merge a patch into an object, status included."""
        old = self.registry.get(resource, namespace, name)
        merged = merge_patch(old.read(), patch)
        return self.registry.update(resource, old, merged, part=Part.WHOLE).stored.read()

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Remove an object, or mark it as being deleted while it has finalizers."""
        old = self.registry.get(resource, namespace, name)
        self.registry.delete(resource, old, preconditions=Preconditions(uid=uid))

    def compact(self) -> None:
        """Forget all history: every earlier version is a 410 from now on."""
        self.store.compact()

    def recreate(self, resource: Resource, namespace: str, name: str) -> Json:
        """Delete an object, finalizers or not, and create it anew under the same name: another uid."""
        body = self.get(resource, namespace, name)
        self.store.commit(resource, "DELETED", self.get(resource, namespace, name))
        body["metadata"].pop("finalizers", None)
        return self.registry.create(resource, namespace, body, part=Part.WHOLE).stored.read()

    def bloat(self, resource: Resource, namespace: str, name: str, *, size: int = 9_000_000) -> Json:
        """Give an object an annotation of so many bytes: its watch line is as long."""
        patch = {"metadata": {"annotations": {"airunway.ai/ballast": "x" * size}}}
        return self.patch(resource, namespace, name, patch)

    def _furnish(self, groups: Iterable[str], namespaces: Iterable[str], settle: float) -> None:
        for resource in BUILT_IN:
            self.store.serve(resource)
        for group in groups:
            self.crds.install(group)
        self.crds.settle = settle
        for namespace in namespaces:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def _resource_of(self, body: Json) -> Resource:
        for resource in self.store.resources:
            if (resource.api_version, resource.kind) == (body["apiVersion"], body["kind"]):
                return resource
        raise StatusError(404, "NotFound", f"no resource type for {body['apiVersion']} {body['kind']}")


def _bind(port: int) -> socket.socket:
    """A bound socket, not listening yet.

    Two of them may share a port as long as one doesn't listen: that keeps the port through a stop, and keeps
    the kernel from giving it to an outgoing connection, which would then be connected to itself.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


if __name__ == "__main__":
    from hub.demo.process import main

    main()
