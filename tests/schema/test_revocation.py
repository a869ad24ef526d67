"""What is taken away ends what it must at once, on the hub that was asked and on every other replica.

`python -m benchmarks revocation` has the figures. Here the timer is told from "at once": that catches
what nobody told, and takes half a second on average.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from auth.accounts import create_token, ensure_user, grant_role
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.issuing import Sessions
from auth.people import Person
from auth.permissions import Role
from auth.sessions import SessionTokens
from models.url import parse_database_url
from schema.websocket import NOT_SIGNED_IN
from tests.support.hub import EVERYWHERE, GraphqlSocket, HubUnderTest, hub_settings, running
from tests.support.people import put_into_groups, sign_in
from tests.support.surface import INSTANCE, World, a_world
from tests.support.waiting import until

TIMES = 6
AT_ONCE = 0.3
"""Seconds, on average."""
FOLLOW = "subscription { instanceEvents { type } }"


@dataclass(frozen=True)
class Replicas:
    """A hub that is asked, and the one that holds the streams; perhaps the same."""

    asked: HubUnderTest
    streaming: HubUnderTest
    admin: str
    """A session of an administrator's."""

    async def mutate(self, mutation: str, variables: Mapping[str, Any], fields: str = "__typename") -> Any:
        kind = mutation[0].upper() + mutation[1:]
        document = f"mutation ($input: {kind}Input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
        return (await self.asked.data(self.admin, document, {"input": variables}))[mutation]


@pytest.fixture(scope="module", params=["sqlite, one hub", "postgres, two hubs"])
async def replicas(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Replicas]:
    folder = tmp_path_factory.mktemp("hubs")
    if request.param.startswith("sqlite"):
        async with a_world(folder) as world:
            yield Replicas(world.hub, world.hub, await sign_in(world.hub, "root", Role.ADMIN))
        return
    server = request.getfixturevalue("postgres_server")
    server.sql("CREATE DATABASE revocation")
    async with a_replicated_world(folder, f"{server.url}/revocation") as (world, other):
        yield Replicas(world.hub, other, await sign_in(world.hub, "root", Role.ADMIN))
    server.sql("DROP DATABASE revocation WITH (FORCE)")


@asynccontextmanager
async def a_replicated_world(folder: Path, url: str) -> AsyncIterator[tuple[World, HubUnderTest]]:
    """And another hub over the same clusters and the same database."""
    database = parse_database_url(url)
    (folder / "other").mkdir()
    async with (
        a_world(folder, database=database) as world,
        running(folder / "other", database=database) as other,
    ):
        for cluster in (world.east, world.west):
            cluster.write_kubeconfig(other.credentials / f"{cluster.name}.kubeconfig")

            async def is_connected(name: str = cluster.name) -> bool:
                answer = await other.data(world.admin, INSTANCE, {"id": name})
                return bool(answer["instance"]) and answer["instance"]["status"] == "CONNECTED"

            await until(is_connected)
        yield world, other


# ------------------------------------------------------------------ causes


@dataclass(frozen=True)
class Case:
    """Somebody who follows the instances, and what ends that."""

    credential: str
    take_away: Callable[[], Awaitable[Any]]


async def _role(replicas: Replicas, name: str) -> Case:
    user_id = await ensure_user(Person(Provider.DEMO, name))
    grant = await grant_role(user_id, Role.VIEWER, EVERYWHERE, granted_by=None)
    return Case(await _token(user_id), lambda: replicas.mutate("revokeRole", {"grantId": grant.id}))


async def _mapping(replicas: Replicas, name: str) -> Case:
    group = {"provider": "OIDC", "groupId": name, "groupName": name, "role": "VIEWER"}
    made = await replicas.mutate("createGroupMapping", group, "groupMapping { id }")
    user_id = await ensure_user(Person(Provider.OIDC, f"https://id.example.com#{name}"))
    await put_into_groups(user_id, [name])
    return Case(
        await _token(user_id),
        lambda: replicas.mutate("deleteGroupMapping", {"id": made["groupMapping"]["id"]}),
    )


async def _account(replicas: Replicas, name: str) -> Case:
    user_id = await _viewer(name)
    return Case(
        await _token(user_id),
        lambda: replicas.mutate("updateUser", {"userId": user_id, "active": False}),
    )


async def _access_token(replicas: Replicas, name: str) -> Case:
    user_id = await _viewer(name)
    info, minted = await create_token(
        user_id, name="test", limits=TokenLimits(), expires_at=None, now=datetime.now(UTC)
    )
    return Case(minted.secret, lambda: replicas.mutate("revokeAccessToken", {"id": info.id}))


async def _session(replicas: Replicas, name: str) -> Case:
    user_id = await _viewer(name)
    keys = hub_settings(replicas.asked.credentials.parent).auth.key_ring()
    issued = await Sessions(tokens=SessionTokens(keys=keys)).begin(user_id, now=datetime.now(UTC))
    return Case(
        issued.access_token,
        lambda: replicas.mutate("revokeSessions", {"userId": user_id, "sessionIds": [issued.session_id]}),
    )


async def _viewer(name: str) -> str:
    user_id = await ensure_user(Person(Provider.DEMO, name))
    await grant_role(user_id, Role.VIEWER, EVERYWHERE, granted_by=None)
    return user_id


async def _token(user_id: str) -> str:
    _, minted = await create_token(
        user_id, name="test", limits=TokenLimits(), expires_at=None, now=datetime.now(UTC)
    )
    return minted.secret


# ------------------------------------------------------------------ tests


@pytest.mark.parametrize(
    ("cause", "code", "reason"),
    [
        (_role, "FORBIDDEN", "ROLE_REVOKED"),
        (_mapping, "FORBIDDEN", "ROLE_REVOKED"),
        (_account, "UNAUTHENTICATED", "ACCOUNT_DEACTIVATED"),
        (_access_token, "UNAUTHENTICATED", "TOKEN_REVOKED"),
        (_session, "UNAUTHENTICATED", "SESSION_REVOKED"),
    ],
)
async def test_streams_end_at_once_and_the_next_request_is_refused(
    replicas: Replicas, cause: Callable[[Replicas, str], Awaitable[Case]], code: str, reason: str
) -> None:
    delays = []
    for number in range(TIMES):
        with replicas.asked.running.database.entered():
            case = await cause(replicas, f"{reason.lower().replace('_', '-')}-{cause.__name__}-{number}")
        assert await seen(replicas.asked, case.credential) == 2  # and remembered
        async with replicas.streaming.socket(case.credential) as socket:
            await socket.subscribe(FOLLOW)
            while (await socket.next())["type"] != "SYNCED":
                pass
            ended = asyncio.create_task(end_of(socket))
            await case.take_away()
            answered = time.monotonic()
            refused = await seen(replicas.asked, case.credential)
            moment, extensions, close_code = await ended
        assert (extensions["code"], extensions["reason"]) == (code, reason)
        assert (refused, close_code) == ((0, None) if code == "FORBIDDEN" else (reason, NOT_SIGNED_IN))
        delays.append(max(0.0, moment - answered))
    assert sum(delays) / TIMES < AT_ONCE, delays


async def seen(hub: HubUnderTest, credential: str) -> int | str:
    """How many instances, or why none."""
    answer = await hub.ask(credential, "{ instances { totalCount } }")
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["reason"])
    return int(answer["data"]["instances"]["totalCount"])


async def end_of(socket: GraphqlSocket) -> tuple[float, dict[str, Any], int | None]:
    """When the stream ended, why, and what closed the connection, if that ended too."""
    while (message := await socket.receive())["type"] != "error":
        pass
    moment, extensions = time.monotonic(), message["payload"][0]["extensions"]
    if extensions["code"] == "FORBIDDEN":
        await socket.is_quiet()
        return moment, extensions, None
    with pytest.raises(ConnectionClosed):
        await socket.receive()
    return moment, extensions, socket.raw.close_code
