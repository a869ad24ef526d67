"""How soon what is taken away ends what it must: from a mutation's answer to the end of a stream.

Five causes: a revoked role, a deleted mapping of the person's only group, a deactivated account, a revoked
access token, a revoked session. On SQLite one hub gets the mutation and holds the stream; on PostgreSQL one
gets it, and another one, a process of its own, holds the stream. One that ends before the answer counts as 0.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from auth.accounts import create_token, ensure_user, grant_role
from auth.grants import TokenLimits
from auth.groups import write_groups
from auth.identity import Provider
from auth.issuing import Sessions
from auth.keys import KeyRing, signing_key
from auth.people import Person
from auth.permissions import Group, Role, Scope
from auth.providers.types import Groups
from auth.sessions import SessionTokens
from benchmarks.figures import Figure, percentile
from benchmarks.processes import MEASURING, Child, Cluster, hub_environment, pin
from models.database import open_database
from models.url import parse_database_url
from tests.support.databases import running_postgres

TIMES = 100
"""Of each cause."""
MAX_DELAY = 1_000.0
"""Milliseconds at p99 (issue 5)."""

FOLLOW = "subscription { deploymentEvents { type } }"
NO_LIMITS = TokenLimits()


@dataclass(frozen=True, kw_only=True)
class Hubs:
    """Where mutations go and where streams are held."""

    asked: int
    """The ports of the one hub, …"""
    streaming: int
    """… and of the other."""
    sessions: Sessions
    admin: str
    """A session's token: to end others' sessions takes one."""


@dataclass(frozen=True)
class Case:
    """A stream that is about to end."""

    credential: str
    mutation: str
    input: Mapping[str, Any]
    reason: str


Cause = Callable[[Hubs, aiohttp.ClientSession, str], Awaitable[Case]]
"""Makes a new person, of this subject, who can lose everything."""


def run() -> list[Figure]:
    pin(MEASURING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        with Cluster(name="east", cwd=folder, deployments=10, namespaces=["ml-team"]) as cluster:
            environment = hub_environment(folder, cluster)
            with _hub(folder, environment) as hub:
                figures = asyncio.run(_measure("SQLite, one process", environment, hub, hub))
            with running_postgres() as server:
                environment["DATABASE_URL"] = f"{server.url}/postgres"
                with _hub(folder, environment) as one, _hub(folder, environment) as two:
                    return figures + asyncio.run(_measure("PostgreSQL, two processes", environment, one, two))


def _hub(folder: Path, environment: Mapping[str, str]) -> Child:
    return Child("benchmarks.hub_process", core=None, cwd=folder, environment=environment)


async def _measure(
    where: str, environment: Mapping[str, str], asked: Child, streaming: Child
) -> list[Figure]:
    keys = KeyRing(signing_key(environment["SESSION_SECRET"]))
    sessions = Sessions(tokens=SessionTokens(keys=keys))
    async with (
        open_database(parse_database_url(environment["DATABASE_URL"])) as database,
        aiohttp.ClientSession() as client,
    ):
        with database.entered():
            admin = await sessions.begin(await ensure_user(Person(Provider.GITHUB, "admin")), now=_now())
            hubs = Hubs(
                asked=asked.hello["port"],
                streaming=streaming.hello["port"],
                sessions=sessions,
                admin=admin.access_token,
            )
            return [figure for name in CAUSES for figure in await _figures(where, name, hubs, client)]


async def _figures(where: str, name: str, hubs: Hubs, client: aiohttp.ClientSession) -> list[Figure]:
    delays = []
    for number in range(TIMES):
        case = await CAUSES[name](hubs, client, f"{name} {number}")
        delays.append(await _once(hubs, client, case))
    return [
        Figure(what=f"{where}: {name}, p{percent}", value=percentile(delays, percent), unit="ms", limit=limit)
        for percent, limit in ((50, None), (99, MAX_DELAY))
    ]


async def _once(hubs: Hubs, client: aiohttp.ClientSession, case: Case) -> float:
    """Milliseconds from the mutation's answer to the end of the stream."""
    url = f"http://127.0.0.1:{hubs.streaming}/graphql"
    async with client.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
        authorization = {"authorization": f"Bearer {case.credential}"}
        await socket.send_json({"type": "connection_init", "payload": authorization})
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW}})
        while "SYNCED" not in (await socket.receive_str()):
            pass
        ended = asyncio.create_task(_end(socket, case.reason))
        await _mutate(hubs, client, case.mutation, case.input)
        answered = time.monotonic()
        async with asyncio.timeout(10):
            return max(0.0, (await ended - answered) * 1e3)


async def _end(socket: aiohttp.ClientWebSocketResponse, reason: str) -> float:
    """When the stream was told its end; after one over the credential, when the socket was closed too."""
    while True:
        message = await socket.receive_json()
        if message["type"] == "error":
            assert message["payload"][0]["extensions"]["reason"] == reason, message
            break
    if reason != "ROLE_REVOKED":
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    return time.monotonic()


async def _mutate(
    hubs: Hubs,
    client: aiohttp.ClientSession,
    mutation: str,
    variables: Mapping[str, Any],
    *,
    fields: str = "__typename",
) -> Any:
    kind = mutation[0].upper() + mutation[1:]
    document = f"mutation ($input: {kind}Input!) {{ {mutation}(input: $input) {{ {fields} }} }}"
    async with client.post(
        f"http://127.0.0.1:{hubs.asked}/graphql",
        json={"query": document, "variables": {"input": variables}},
        headers={"authorization": f"Bearer {hubs.admin}"},
    ) as response:
        answer = await response.json()
    assert "errors" not in answer, answer
    return answer["data"][mutation]


# ---------------------------------------------------------------- causes


async def _revoked_role(_hubs: Hubs, _client: aiohttp.ClientSession, subject: str) -> Case:
    user_id, grant_id = await _viewer(subject)
    return Case(await _token(user_id), "revokeRole", {"grantId": grant_id}, "ROLE_REVOKED")


async def _deleted_mapping(hubs: Hubs, client: aiohttp.ClientSession, subject: str) -> Case:
    group = {"provider": "OIDC", "groupId": subject, "groupName": subject, "role": "VIEWER"}
    made = await _mutate(hubs, client, "createGroupMapping", group, fields="groupMapping { id }")
    user_id = await ensure_user(Person(Provider.OIDC, f"https://id.example.com#{subject}"))
    groups = Groups(found=(Group(Provider.OIDC, subject),))
    await write_groups(user_id, groups, read_at=_now(), max_age=timedelta(hours=24))
    return Case(
        await _token(user_id), "deleteGroupMapping", {"id": made["groupMapping"]["id"]}, "ROLE_REVOKED"
    )


async def _deactivated(_hubs: Hubs, _client: aiohttp.ClientSession, subject: str) -> Case:
    user_id, _ = await _viewer(subject)
    return Case(
        await _token(user_id), "updateUser", {"userId": user_id, "active": False}, "ACCOUNT_DEACTIVATED"
    )


async def _revoked_token(_hubs: Hubs, _client: aiohttp.ClientSession, subject: str) -> Case:
    user_id, _ = await _viewer(subject)
    info, minted = await create_token(
        user_id, name="benchmark", limits=NO_LIMITS, expires_at=None, now=_now()
    )
    return Case(minted.secret, "revokeAccessToken", {"id": info.id}, "TOKEN_REVOKED")


async def _revoked_session(hubs: Hubs, _client: aiohttp.ClientSession, subject: str) -> Case:
    user_id, _ = await _viewer(subject)
    issued = await hubs.sessions.begin(user_id, now=_now())
    return Case(issued.access_token, "revokeSessions", {"userId": user_id}, "SESSION_REVOKED")


CAUSES: Mapping[str, Cause] = {
    "a revoked role": _revoked_role,
    "a deleted mapping": _deleted_mapping,
    "a deactivated account": _deactivated,
    "a revoked token": _revoked_token,
    "a revoked session": _revoked_session,
}


async def _viewer(subject: str) -> tuple[str, str]:
    """A new viewer everywhere, and their only grant."""
    user_id = await ensure_user(Person(Provider.GITHUB, subject))
    grant = await grant_role(user_id, Role.VIEWER, Scope(), granted_by=None)
    return user_id, grant.id


async def _token(user_id: str) -> str:
    _, minted = await create_token(user_id, name="benchmark", limits=NO_LIMITS, expires_at=None, now=_now())
    return minted.secret


def _now() -> datetime:
    return datetime.now(UTC)
