"""Ending well: within five seconds whatever is open, clients told to come again, and nothing left behind."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from auth.permissions import Role
from hub.demo.cluster import SimulatedCluster
from hub.demo.load import churn, populate
from tests.support.certificates import self_signed
from tests.support.event_streams import EventStream, a_stream, an_http_connection, request
from tests.support.hub import GraphqlSocket, HubClient, running
from tests.support.hub_process import GONE_WITHIN, served_hub
from tests.support.instances import until_instance
from tests.support.kubeconfigs import client_certificate, kubeconfig
from tests.support.replaying import EVENTS, RECEIVE_BUFFER, TRANSPORTS, a_client
from tests.support.waiting import until

SUBSCRIPTIONS = (
    EVENTS,
    "subscription { deploymentChanges { events { type deploymentId } } }",
    "subscription { instanceEvents { type instanceId } }",
    "subscription { deploymentSummaryEvents { total } }",
)
CONNECTIONS = 5
COUNT = 300
LONG = "x" * 120
MANY_FIELDS = " ".join(f"a{number}{LONG}: id b{number}{LONG}: modelId" for number in range(25))
LARGE = f"""
subscription {{
  deploymentEvents {{ type instanceId deploymentId deployment {{ id uid namespace {MANY_FIELDS} }} }}
}}"""
"""Messages of some 8 KB: a few dozen fill a socket."""
LARGE_PAGE = (
    f"{{ deployments(first: {COUNT}) {{ nodes {{ {' '.join(f'a{n}: uid' for n in range(45))} }} }} }}"
)
"""An answer that fills one too."""


async def streaming(stack: AsyncExitStack, hub: HubClient, token: str) -> Sequence[EventStream]:
    """An event stream for every subscription there is, each of which has answered."""
    streams = [await stack.enter_async_context(a_stream(hub, token, query)) for query in SUBSCRIPTIONS]
    for stream in streams:
        await stream.next()
    return streams


async def cut(stream: EventStream) -> bool:
    """Whether it ends without a word; what comes before is skipped."""
    while (message := await stream.message()) is not None:
        assert isinstance(message, dict)
        assert "data" in message
    return not stream.ended


async def not_reading(stack: AsyncExitStack, hub: HubClient, token: str) -> None:
    """Clients of every transport that leave unread what they asked for."""
    for by in TRANSPORTS:
        client = await stack.enter_async_context(a_client(hub, token, query=LARGE, by=by))
        client.reading.clear()
    connection = await stack.enter_async_context(an_http_connection(hub, receive_buffer=RECEIVE_BUFFER))
    connection.send(request({"query": LARGE_PAGE}, token=token, accept="application/json"))
    await connection.head()


async def subscribed(stack: AsyncExitStack, hub: HubClient, token: str) -> Sequence[GraphqlSocket]:
    """Connections with every subscription there is, each of which has answered."""
    sockets = [await stack.enter_async_context(hub.socket(token)) for _ in range(CONNECTIONS)]
    for socket in sockets:
        for number, query in enumerate(SUBSCRIPTIONS):
            await socket.subscribe(query, operation=str(number))
        answered: set[str] = set()
        while len(answered) < len(SUBSCRIPTIONS):
            answered.add((await socket.next_of_any())[0])
    return sockets


async def closing(socket: GraphqlSocket) -> int | None:
    """The code that it is closed with; what comes before is skipped."""
    with suppress(ConnectionClosed):
        while True:
            await socket.raw.recv()
    return socket.raw.close_code


async def test_sigterm_ends_the_process_and_its_clients_come_again(
    tmp_path: Path, simulated_cluster: SimulatedCluster
) -> None:
    async with served_hub(tmp_path) as hub, AsyncExitStack() as stack:
        simulated_cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
        keys = populate(simulated_cluster, count=COUNT, namespaces=["ml-team"])
        await until_instance(hub, hub.admin, "east", status="CONNECTED", deploymentCount=COUNT)
        sockets = await subscribed(stack, hub, hub.admin)
        streams = await streaming(stack, hub, hub.admin)
        await not_reading(stack, hub, hub.admin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(churn(simulated_cluster, keys=keys, rate=200, seconds=2))
            closings = [tasks.create_task(closing(socket)) for socket in sockets]
            cuts = [tasks.create_task(cut(stream)) for stream in streams]
            hub.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            await until(lambda: has_ended(hub.process), within=GONE_WITHIN)
            assert time.monotonic() - began < GONE_WITHIN
        assert [each.result() for each in closings] == [1012] * CONNECTIONS
        assert [each.result() for each in cuts] == [True] * len(SUBSCRIPTIONS)


async def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def temporary_files() -> set[str]:
    return {str(path) for path in Path(tempfile.gettempdir()).rglob("*")}


def held() -> set[object]:
    """What this process holds: tasks, connections, open files, and files in its temporary folder."""
    process = psutil.Process()
    return {
        *(task.get_name() for task in asyncio.all_tasks()),
        *((each.fd, each.laddr, each.raddr) for each in process.net_connections()),
        *(each.path for each in process.open_files()),
        *temporary_files(),
    }


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody else writes to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def unreachable() -> str:
    """A kubeconfig with a private key in it, of a cluster that isn't there."""
    pair = self_signed()
    user = client_certificate(certificate=pair.certificate, key=pair.key)
    return kubeconfig(server="https://127.0.0.1:1", ca=pair.certificate, user=user)


@pytest.mark.usefixtures("temporary_folder")
async def test_nothing_is_left(tmp_path: Path, simulated_cluster: SimulatedCluster, unreachable: str) -> None:
    keys = populate(simulated_cluster, count=COUNT, namespaces=["ml-team"])
    before = held()
    async with AsyncExitStack() as clients:
        async with running(tmp_path) as hub:
            simulated_cluster.write_kubeconfig(hub.credentials / "east.kubeconfig")
            (hub.credentials / "away.kubeconfig").write_text(unreachable)
            admin = await hub.token("admin", Role.ADMIN)
            await until_instance(hub, admin, "east", status="CONNECTED", deploymentCount=COUNT)
            await until_instance(hub, admin, "away", status="DISCONNECTED")
            assert not temporary_files(), "no key stays on disk"
            sockets = await subscribed(clients, hub, admin)
            streams = await streaming(clients, hub, admin)
            await not_reading(clients, hub, admin)
            for by in TRANSPORTS:
                vanishing = await clients.enter_async_context(a_client(hub, admin, query=LARGE, by=by))
                vanishing.abort()
            await churn(simulated_cluster, keys=keys, rate=300, seconds=1)
            began = time.monotonic()
        assert time.monotonic() - began < GONE_WITHIN
        ends = [each for each in psutil.Process().net_connections() if each.laddr.port == hub.port]
        assert not ends, "also of those who don't read"
        assert [await closing(socket) for socket in sockets] == [1012] * CONNECTIONS
        assert all([await cut(stream) for stream in streams])

    async def nothing_more() -> bool:
        return held() <= before

    try:
        await until(nothing_more, within=2)  # the cluster's own ends of the connections
    except TimeoutError:
        pytest.fail(f"left: {held() - before}")
