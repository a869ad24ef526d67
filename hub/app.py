"""The application: everything put together, for as long as it runs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, WebSocketRoute

from auth.authenticator import Authenticator
from auth.group_sync import GroupSync
from auth.identity import Identity
from auth.issuing import Sessions
from auth.providers.catalogue import Providers
from auth.session_rows import keep_sessions_swept
from auth.sessions import SessionTokens
from cluster.manager import InstanceManager
from cluster.timing import Timing
from credentials.ambient import AmbientCredential
from credentials.directory import CredentialDirectory
from credentials.types import Snapshot
from hub.admin_routes import admin_routes
from hub.auth_routes import auth_routes
from hub.cookies import SessionCookies
from hub.health_routes import health_routes
from hub.instance_routes import instance_routes
from hub.local import ONE_INSTANCE, ambient_credential, local_auth_routes, local_person
from hub.middleware import middleware
from hub.pages import explorer, page_routes
from hub.responses import REFUSALS, on_error, on_http_exception
from hub.rules import grant_rules
from hub.sessions import BrowserSessions
from hub.settings import AuthSettings, Settings
from hub.sign_in_routes import login_url, sign_in_routes
from models.database import Database, open_database
from models.rates import keep_swept
from resolvers.credential_sources import CredentialSources
from resolvers.registration import Registrar
from resolvers.registry import Registry
from resolvers.scans import PAGES_KEPT, Scans
from resolvers.services import Services
from schema.build import build_schema
from schema.hub import AuthProviderInfo, Hub
from schema.view import View
from schema.words import HubMode


@dataclass(frozen=True)
class RunningHub:
    app: Starlette
    manager: InstanceManager
    database: Database


@asynccontextmanager
async def running_hub(settings: Settings, *, timing: Timing | None = None) -> AsyncIterator[RunningHub]:
    """Migrates and opens the database, watches the credentials and their clusters; the application is ready
    to be served. At the end nothing of it is left: no task, no connection, no file."""
    stored = settings.database
    async with open_database(stored.url, listen_url=stored.listen_url) as database:
        with database.entered():
            hub = _assemble(settings, database, timing, everybody=await local_person(settings))
            # In this order: what is looked at again finds nothing outdated.
            database.bus.subscribe(hub.authenticator.heed)
            database.bus.subscribe(hub.view.connections.heed)
            database.bus.subscribe(hub.services.audit.heed)
            database.bus.subscribe(hub.registry.heed)
            await hub.registry.load()  # before any cluster: none may be one that was removed
            async with asyncio.TaskGroup() as tasks:
                endless = _start(hub, database, tasks, settings)
                try:
                    yield RunningHub(hub.app, hub.manager, database)
                finally:
                    for task in endless:
                        task.cancel()
                    await hub.services.scans.close()
                    await hub.services.pages.close()
                    await hub.authenticator.record_usage()
                    await hub.services.trail.close()


@dataclass(frozen=True)
class _Parts:
    app: Starlette
    view: View
    authenticator: Authenticator
    sources: CredentialSources
    ambient: AmbientCredential | None
    manager: InstanceManager
    registry: Registry
    services: Services
    groups: GroupSync


def _assemble(
    settings: Settings, database: Database, timing: Timing | None, *, everybody: Identity | None
) -> _Parts:
    sessions, rules = _sessions(settings.auth), grant_rules(settings)
    authenticator = Authenticator(sessions=sessions.tokens, rules=rules, everybody=everybody)
    manager, registry = InstanceManager(timing=timing), Registry()
    sources = _sources(settings, registry)
    services = Services(
        fleet=manager,
        registry=registry,
        scans=Scans(manager),
        pages=Scans(manager, kept=PAGES_KEPT),
        rules=rules,
        new_tokens=settings.rates.tokens,
        registrar=Registrar(
            fleet=manager, registry=registry, sources=sources, fixed=ONE_INSTANCE if settings.local else None
        ),
    )
    browsers = BrowserSessions(sessions=sessions, cookies=SessionCookies(settings.http.secure))
    providers = Providers(settings.auth.sign_in, order=settings.auth.providers)
    view = View(
        schema=build_schema(),
        services=services,
        hub=_description(settings, providers),
        authenticator=authenticator,
        introspection=settings.graphql.introspection,
        limits=settings.graphql.limits,
        explorer=explorer,
    )
    app = Starlette(
        routes=[
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            *_sign_in_routes(settings, providers, browsers),
            *admin_routes(rules=rules),
            *instance_routes(services=services),
            *health_routes(database=database, manager=manager),
            *page_routes(sign_in=not settings.local),
        ],
        middleware=middleware(
            http=settings.http, authenticator=authenticator, database=database, trail=services.trail
        ),
        exception_handlers={
            HTTPException: on_http_exception,
            **REFUSALS,
            Exception: on_error,
        },
    )
    groups = GroupSync(
        providers=providers, sealer=settings.auth.sealer(), max_age=settings.auth.group_max_age
    )
    ambient = ambient_credential(settings) if settings.local else None
    return _Parts(app, view, authenticator, sources, ambient, manager, registry, services, groups)


def _start(
    hub: _Parts, database: Database, tasks: asyncio.TaskGroup, settings: Settings
) -> list[asyncio.Task[None]]:
    """Every endless loop of the hub, by name."""
    if hub.ambient is None:
        instances = {
            "credentials": hub.sources.keep_scanned(),
            "instances": _watch(hub.sources.snapshots(), hub.manager),
        }
    else:
        instances = {"instances": _watch(hub.ambient.snapshots(), hub.manager)}
    loops = {
        **instances,
        "registration": hub.registry.follow(hub.manager, registered=hub.view.fanout.wake),
        "fan-out": hub.view.fanout.run(),
        "change bus": database.bus.keep_listening(),
        "rechecks": hub.view.connections.keep_checked(hub.authenticator),
        "rate limits": keep_swept(),
        "sessions": keep_sessions_swept(),
        "groups": hub.groups.keep_synced(),
        "token usage": hub.authenticator.keep_usage_recorded(),
        "audit queue": hub.services.trail.keep_written(),
        "audit sweep": hub.services.trail.keep_swept(settings.audit.retention),
        "audit feed": hub.services.audit.keep_read(hub.view.fanout.wake),
    }
    return [tasks.create_task(loop, name=name) for name, loop in loops.items()]


def _sources(settings: Settings, registry: Registry) -> CredentialSources:
    return CredentialSources(
        directory=CredentialDirectory(settings.credentials.path, exec_allow=settings.credentials.exec_allow),
        registry=registry,
        sealer=settings.auth.sealer(),
        local_refused=not settings.http.loopback,
    )


def _sessions(settings: AuthSettings) -> Sessions:
    tokens = SessionTokens(keys=settings.key_ring(), lifetime=settings.access_lifetime)
    return Sessions(tokens=tokens, max_age=settings.session_max_age)


def _sign_in_routes(
    settings: Settings, providers: Providers, browsers: BrowserSessions
) -> Sequence[BaseRoute]:
    if settings.local:
        return local_auth_routes()
    return [
        *auth_routes(demo=settings.demo, browsers=browsers, rates=settings.rates, offered=tuple(providers)),
        *sign_in_routes(settings, providers=providers, browsers=browsers),
    ]


def _description(settings: Settings, providers: Providers) -> Hub:
    offered = [
        AuthProviderInfo(provider=each.provider, name=each.name, login_url=login_url(each.id))
        for each in providers
    ]
    mode = HubMode.DEMO if settings.demo else HubMode.LOCAL if settings.local else HubMode.HUB
    return Hub(version=_version(), mode=mode, auth_providers=offered)


async def _watch(snapshots: AsyncGenerator[Snapshot, None], manager: InstanceManager) -> None:
    async with aclosing(snapshots):
        await manager.run(snapshots)


def _version() -> str:
    try:
        return version("kubeairunway-hub")
    except PackageNotFoundError:  # run from a checkout that isn't installed
        return "development"
