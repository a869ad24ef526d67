"""What a request is executed in, over stores that a test writes by itself."""

from datetime import UTC, datetime

import msgspec

from auth.effective import GrantRules
from auth.identity import Identity
from benchmarks.objects import deployment, pod
from cluster.wire import ModelDeployment, Pod
from resolvers.registry import Registered, Registry
from resolvers.scans import Scans
from resolvers.services import Services
from schema.context import Context
from schema.hub import Hub
from schema.words import HubMode
from tests.support.stores import StoresFleet, set_live

REGISTERED = datetime(2026, 11, 1, tzinfo=UTC)


def a_model(number: int, *, namespace: str = "ml-team") -> ModelDeployment:
    """A resource that has everything."""
    return msgspec.convert(deployment(number=number, namespace=namespace), ModelDeployment)


def a_varied_fleet() -> StoresFleet:
    """One live instance with a deployment that has everything and one that is bare; and a stale instance."""
    fleet = StoresFleet()
    east, west = fleet.add("east"), fleet.add("west")
    metadata = {"name": "bare", "namespace": "ml-team", "creationTimestamp": "2026-11-02T08:00:00Z"}
    bare = msgspec.convert({"metadata": metadata}, ModelDeployment)
    east.replace_pods([msgspec.convert(pod(number=1, namespace="ml-team"), Pod)], scope=None)
    east.replace_deployments([a_model(1), bare], scope=None, api_group="airunway.ai")
    west.apply_deployment(a_model(1), api_group="kubeairunway.ai")
    set_live(west, live=False)
    return fleet


def some_services(fleet: StoresFleet) -> Services:
    registry = Registry([Registered(name, name.title(), REGISTERED, REGISTERED) for name in fleet.feeds])
    return Services(
        fleet=fleet, registry=registry, scans=Scans(fleet), pages=Scans(fleet), rules=GrantRules()
    )


def a_context(services: Services, identity: Identity | None) -> Context:
    return Context(
        services=services,
        hub=Hub(version="test", mode=HubMode.HUB, auth_providers=[]),
        identity=identity,
        request_id="request",
        introspection=None,
        wake=lambda: None,
    )
