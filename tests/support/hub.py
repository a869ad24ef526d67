"""The whole hub in this process: its real server on loopback, a database, a credentials directory, people."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self

import httpx2
from msgspec import structs
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from auth.accounts import create_token, ensure_user, grant_role
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from auth.providers.config import SignInConfig
from cluster.timing import Timing
from hub.app import RunningHub, running_hub
from hub.server import Server, configure, listen
from hub.settings import (
    SIGN_INS,
    AuthSettings,
    CredentialsSettings,
    DatabaseSettings,
    GraphqlSettings,
    HttpSettings,
    LogSettings,
    RateSettings,
    Settings,
)
from models.url import DatabaseUrl, SqliteUrl
from schema.limits import DEFAULT_LIMITS, Limits
from tests.support.fleets import FAST

PROTOCOL = "graphql-transport-ws"
EVERYWHERE = Scope()


def hub_settings(
    folder: Path,
    *,
    database: DatabaseUrl | None = None,
    demo: bool = False,
    introspection: bool | None = None,
    limits: Limits = DEFAULT_LIMITS,
    port: int = 0,
    sign_in: SignInConfig | None = None,
    trusted_proxies: tuple[str, ...] = (),
) -> Settings:
    sign_in = sign_in or SignInConfig()
    return Settings(
        hub_mode=True,
        demo=demo,
        http=HttpSettings(
            host="127.0.0.1",
            port=port,
            public_url=None,
            allowed_origins=(),
            trusted_proxies=tuple(map(ip_network, trusted_proxies)),
        ),
        auth=AuthSettings(
            session_secret="a secret of these tests, long enough",
            session_secret_previous=None,
            stand_in_path=folder / "session.key",
            administrators=frozenset(),
            providers=tuple(name for name in ("entra", "github", "oidc") if getattr(sign_in, name)),
            sign_in=sign_in,
        ),
        database=DatabaseSettings(url=database or SqliteUrl(path=folder / "hub.db")),
        credentials=CredentialsSettings(path=folder / "credentials", exec_allow=frozenset()),
        graphql=GraphqlSettings(introspection=introspection, limits=limits),
        log=LogSettings(format="text", level="info"),
        rates=RateSettings(sign_in=structs.replace(SIGN_INS, times=1_000)),
        warnings=(),
    )


def free_port() -> int:
    """For a hub whose address others have to know before it is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@dataclass(frozen=True)
class HubClient:
    """Asking a hub on loopback, wherever it runs."""

    port: int
    credentials: Path
    http: httpx2.AsyncClient

    async def ask(
        self, token: str | None, query: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole answer over HTTP, errors included."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        response = await self.http.post(
            "/graphql", json={"query": query, "variables": dict(variables or {})}, headers=headers
        )
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, token: str | None, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The answer's data; an error fails the test."""
        answer = await self.ask(token, query, variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    @asynccontextmanager
    async def socket(self, token: str | None) -> AsyncIterator["GraphqlSocket"]:
        """An initialised WebSocket connection, by hand: nothing of a client library between."""
        async with connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=[Subprotocol(PROTOCOL)],
            proxy=None,
            max_size=None,
        ) as raw:
            socket = GraphqlSocket(raw)
            if token is not None:
                await socket.send(type="connection_init", payload={"authorization": f"Bearer {token}"})
                assert (await socket.receive())["type"] == "connection_ack"
            yield socket


@dataclass(frozen=True)
class GraphqlSocket:
    raw: ClientConnection

    async def send(self, **message: Any) -> None:
        await self.raw.send(json.dumps(message))

    async def receive(self, *, within: float = 10.0) -> dict[str, Any]:
        async with asyncio.timeout(within):
            message: dict[str, Any] = json.loads(await self.raw.recv())
            return message

    async def subscribe(
        self, query: str, variables: Mapping[str, Any] | None = None, *, operation: str = "1"
    ) -> Self:
        payload = {"query": query, "variables": dict(variables or {})}
        await self.send(type="subscribe", id=operation, payload=payload)
        return self

    async def next(self, *, within: float = 10.0) -> Any:
        """The root field's value in the next message."""
        return (await self.next_of_any(within=within))[1]

    async def next_of_any(self, *, within: float = 10.0) -> tuple[str, Any]:
        """The next message's operation, and its root field's value."""
        message = await self.receive(within=within)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return message["id"], value

    async def is_quiet(self) -> None:
        """Nothing is on its way to us but the answer to a ping."""
        await self.send(type="ping")
        assert await self.receive() == {"type": "pong"}


@dataclass(frozen=True)
class HubUnderTest(HubClient):
    running: RunningHub

    async def token(
        self,
        name: str,
        role: Role | None = None,
        scope: Scope = EVERYWHERE,
        *,
        limits: TokenLimits | None = None,
    ) -> str:
        """An access token of a person with this one grant, or none."""
        with self.running.database.entered():
            user_id = await ensure_user(Person(Provider.DEMO, name))
            if role is not None:
                await grant_role(user_id, role, scope, granted_by=None)
            _, minted = await create_token(
                user_id, name="test", limits=limits or TokenLimits(), expires_at=None, now=datetime.now(UTC)
            )
        return minted.secret


@asynccontextmanager
async def running(
    folder: Path,
    *,
    database: DatabaseUrl | None = None,
    timing: Timing = FAST,
    demo: bool = False,
    introspection: bool | None = None,
    limits: Limits = DEFAULT_LIMITS,
    port: int = 0,
    sign_in: SignInConfig | None = None,
    trusted_proxies: tuple[str, ...] = (),
) -> AsyncIterator[HubUnderTest]:
    """Serves until the block ends, then shuts down as a SIGTERM does."""
    settings = hub_settings(
        folder,
        database=database,
        demo=demo,
        introspection=introspection,
        limits=limits,
        port=port,
        sign_in=sign_in,
        trusted_proxies=trusted_proxies,
    )
    async with serving(settings, timing=timing) as hub:
        yield hub


@asynccontextmanager
async def serving(settings: Settings, *, timing: Timing = FAST) -> AsyncIterator[HubUnderTest]:
    """As `running`, with settings of the test's own."""
    settings.credentials.path.mkdir(exist_ok=True)
    started = asyncio.Event()
    with listen(settings.http) as listening:
        port = listening.getsockname()[1]
        async with running_hub(settings, timing=timing) as hub, asyncio.TaskGroup() as tasks:
            server = Server(configure(hub.app), on_started=started.set)
            tasks.create_task(server.serve(sockets=[listening]), name="hub under test")
            await started.wait()
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                try:
                    yield HubUnderTest(port, settings.credentials.path, http, hub)
                finally:
                    server.should_exit = True
