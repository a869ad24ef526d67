"""Every fault, as a client feels it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import CutMidLine, GoneInStream, GoneOnContinue, Hang, Refuse, Silence, Slow, Verb
from hub.demo.resources import model_deployments
from tests.support.simulation import model_deployment
from tests.support.waiting import until

MODELS = model_deployments()
PATH = MODELS.path()
WATCH = {"watch": "true", "timeoutSeconds": "10", "allowWatchBookmarks": "true"}


@pytest.fixture
async def session(simulated_cluster: SimulatedCluster) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {simulated_cluster.token}"}
    async with aiohttp.ClientSession(simulated_cluster.url, headers=headers) as session:
        yield session


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await stream.content.readline())
    return event


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ],
)
async def test_a_refusal_is_a_status_and_ends_when_cleared(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession, status: int, reason: str
) -> None:
    injected = simulated_cluster.faults.inject(Refuse(status=status, retry_after=2))
    async with session.get(PATH) as answer:
        assert answer.status == status
        assert answer.headers["Retry-After"] == "2"
        assert (await answer.json())["reason"] == reason
    async with session.get("/version") as answer:
        assert answer.status == status
    injected.clear()
    async with session.get(PATH) as answer:
        assert answer.status == 200
    assert injected.strikes == 2


async def test_a_fault_strikes_what_it_is_meant_for_so_many_times(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.faults.inject(
        Refuse(status=410, resource="modeldeployments", verbs=frozenset({Verb.WATCH}), count=1)
    )
    statuses = []
    for path, params in ((PATH, {}), ("/api/v1/pods", WATCH), (PATH, WATCH), (PATH, WATCH)):
        async with session.get(path, params=params) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 200, 410, 200]


async def test_a_fault_ends_after_its_time(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.faults.inject(Refuse(status=503, seconds=0.2))
    async with session.get("/readyz") as answer:
        assert answer.status == 503

    async def ready() -> bool:
        async with session.get("/readyz") as answer:
            return answer.status == 200

    await until(ready)


async def test_gone_on_continue_spares_the_first_page(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    for name in ("a", "b"):
        simulated_cluster.apply(model_deployment(name))
    simulated_cluster.faults.inject(GoneOnContinue(resource="modeldeployments"))
    async with session.get(PATH, params={"limit": "1"}) as answer:
        token = (await answer.json())["metadata"]["continue"]
    async with session.get(PATH, params={"limit": "1", "continue": token}) as answer:
        assert answer.status == 410


async def test_gone_in_stream_ends_an_open_watch_with_an_error_event(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    async with session.get(PATH, params=WATCH) as stream:
        assert (await next_event(stream))["type"] == "ADDED"
        simulated_cluster.faults.inject(GoneInStream(count=1))
        event = await next_event(stream)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert await stream.content.read() == b""


async def test_compaction_makes_earlier_versions_gone(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    for name in ("a", "b"):
        simulated_cluster.apply(model_deployment(name))
    async with session.get(PATH, params={"limit": "1"}) as answer:
        metadata = (await answer.json())["metadata"]
    simulated_cluster.apply(model_deployment("c"))
    simulated_cluster.compact()
    async with session.get(PATH, params=WATCH | {"resourceVersion": metadata["resourceVersion"]}) as stream:
        assert (await next_event(stream))["object"]["code"] == 410
    async with session.get(PATH, params={"limit": "1", "continue": metadata["continue"]}) as answer:
        assert answer.status == 410


async def test_a_cut_ends_in_the_middle_of_a_line(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    async with session.get(PATH, params=WATCH) as stream:
        simulated_cluster.faults.inject(CutMidLine(count=1))
        received = await stream.content.readany()
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.content.readany()
    assert received.startswith(b'{"type":"BOOKMARK"')
    assert b"\n" not in received


async def test_silence_holds_events_back_until_it_ends(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    async with session.get(PATH, params=WATCH) as stream:
        silence = simulated_cluster.faults.inject(Silence())
        simulated_cluster.apply(model_deployment("llama"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(reading := asyncio.create_task(next_event(stream))), 0.3)
        silence.clear()
        assert (await reading)["type"] == "ADDED"


async def test_slow_answers_take_their_time(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.faults.inject(Slow(delay=0.3, verbs=frozenset({Verb.LIST})))
    clock = asyncio.get_running_loop().time
    begin = clock()
    async with session.get(PATH) as answer:
        assert answer.status == 200
    assert clock() - begin >= 0.3


async def test_a_hanging_server_never_answers(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.faults.inject(Hang())
    with pytest.raises(TimeoutError):
        await session.get("/version", timeout=aiohttp.ClientTimeout(total=0.3))


async def test_an_outage_cuts_open_watches(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    async with session.get(PATH, params=WATCH) as stream:
        await simulated_cluster.stop()
        with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
            await stream.content.read()


async def test_an_object_of_many_megabytes_is_one_line(
    simulated_cluster: SimulatedCluster,
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    simulated_cluster.bloat(MODELS, "ml-team", "llama", size=9_000_000)
    headers = {"Authorization": f"Bearer {simulated_cluster.token}"}
    async with (
        aiohttp.ClientSession(simulated_cluster.url, headers=headers) as session,
        session.get(PATH, params=WATCH | {"timeoutSeconds": "1"}) as stream,
    ):
        received = await stream.read()
    (line,) = [line for line in received.splitlines() if b'"ADDED"' in line]
    assert len(line) > 9_000_000


async def test_a_crd_goes_and_comes_back(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    async with session.get(PATH, params=WATCH) as stream:
        assert (await next_event(stream))["type"] == "ADDED"
        simulated_cluster.crds.remove("airunway.ai")
        assert (await next_event(stream))["type"] == "DELETED"
        assert await stream.content.read() == b""
    async with session.get(PATH) as answer:
        assert answer.status == 404
    simulated_cluster.crds.install("airunway.ai")
    for params in ({}, WATCH):
        async with session.get(PATH, params=params) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")

    async def empty_again() -> bool:
        async with session.get(PATH) as answer:
            return answer.status == 200 and (await answer.json())["items"] == []

    await until(empty_again)


async def test_an_object_is_made_anew_during_an_outage(simulated_cluster: SimulatedCluster) -> None:
    before = simulated_cluster.apply(model_deployment("llama"))
    await simulated_cluster.stop()
    simulated_cluster.recreate(MODELS, "ml-team", "llama")
    await simulated_cluster.start()
    after = simulated_cluster.get(MODELS, "ml-team", "llama")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"] == before["spec"]


async def test_a_revoked_token_is_unauthorized(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    simulated_cluster.tokens.revoke(simulated_cluster.token)
    async with session.get(PATH) as answer:
        assert answer.status == 401
    async with aiohttp.ClientSession(simulated_cluster.url) as anonymous, anonymous.get("/version") as answer:
        assert answer.status == 200


async def test_a_reader_who_falls_behind_the_history_is_told(
    simulated_cluster: SimulatedCluster, session: aiohttp.ClientSession
) -> None:
    silence = simulated_cluster.faults.inject(Silence())
    async with session.get(PATH, params=WATCH) as stream:
        simulated_cluster.apply(model_deployment("llama"))
        simulated_cluster.compact()
        silence.clear()
        assert (await next_event(stream))["object"]["code"] == 410
