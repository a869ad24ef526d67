"""The watch state machine, one transition at a time, against a server that does what it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import msgspec
import pytest

from cluster import paths
from cluster.client import open_client
from cluster.errors import ApiError, Unreachable
from cluster.events import Applied, Bookmark, Opened, Removed
from cluster.timing import Timing
from cluster.watch import (
    Collection,
    Empty,
    Failed,
    Interrupted,
    Listed,
    Listing,
    Outcome,
    Replaced,
    State,
    Watching,
    retry_delay,
    step,
    watch,
)
from cluster.wire import ModelDeployment
from hub.demo.api import ApiSettings
from hub.demo.cluster import SimulatedCluster
from hub.demo.faults import AnyFault, CutMidLine, GoneInStream, GoneOnContinue, Refuse, Silence, Verb
from hub.demo.resources import model_deployments
from tests.support.fleets import FAST, credential
from tests.support.simulation import model_deployment

MODELS = model_deployments()
TIMING = msgspec.structs.replace(FAST, silence=0.3)
WATCHES = frozenset({Verb.WATCH})


@pytest.fixture
async def collection(simulated_cluster: SimulatedCluster) -> AsyncIterator[Collection[ModelDeployment]]:
    async with open_client(credential(simulated_cluster.kubeconfig()), timing=TIMING) as client:
        yield Collection(client, paths.deployments("airunway.ai", None), ModelDeployment)


Models = Collection[ModelDeployment]
Story = list[Outcome[ModelDeployment] | None]


async def _walk(
    collection: Models, state: State[ModelDeployment], steps: int
) -> tuple[Story, State[ModelDeployment]]:
    story: Story = []
    for _ in range(steps):
        outcome, state = await step(state, collection)
        story.append(outcome)
    if isinstance(state, Watching):
        await state.stream.aclose()
    return story, state


async def test_list_then_watch(simulated_cluster: SimulatedCluster, collection: Models) -> None:
    simulated_cluster.apply(model_deployment("llama"))
    [replaced, opened], state = await _walk(collection, Empty(), 2)
    assert isinstance(replaced, Replaced)
    assert [each.metadata.name for each in replaced.items] == ["llama"]
    assert opened == Opened()
    assert isinstance(state, Watching)
    assert state.version == str(simulated_cluster.store.version)


async def test_an_event_moves_the_version_on(simulated_cluster: SimulatedCluster, collection: Models) -> None:
    version = str(simulated_cluster.store.version)
    simulated_cluster.apply(model_deployment("llama"))
    [_, applied], state = await _walk(collection, Listed(version, interruptions=1), 2)
    assert isinstance(applied, Applied)
    assert isinstance(state, Watching)
    assert (state.version, state.interruptions) == (applied.version, 0)


async def test_a_bookmark_moves_the_version_on() -> None:
    async with (
        SimulatedCluster(settings=ApiSettings(bookmark_interval=0.05)) as cluster,
        open_client(credential(cluster.kubeconfig()), timing=TIMING) as client,
    ):
        collection = Collection(client, paths.deployments("airunway.ai", None), ModelDeployment)
        before = str(cluster.store.version)
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
        [_, bookmark], state = await _walk(collection, Listed(before, interruptions=0), 2)
    assert isinstance(bookmark, Bookmark)
    assert isinstance(state, Watching)
    assert int(state.version) > int(before)


async def test_a_long_list_is_one_replacement(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    for number in range(501):
        simulated_cluster.apply(model_deployment(f"model-{number}"))
    [nothing, replaced], _ = await _walk(collection, Empty(), 2)
    assert nothing is None
    assert isinstance(replaced, Replaced)
    assert len(replaced.items) == 501


async def test_a_continue_token_that_expired_starts_the_list_anew(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    for number in range(501):
        simulated_cluster.apply(model_deployment(f"model-{number}"))
    simulated_cluster.faults.inject(GoneOnContinue())
    story, state = await _walk(collection, Empty(), 6)
    assert [type(each) for each in story[1::2]] == [Interrupted, Interrupted, Failed]
    assert state == Empty()


async def test_410_on_connect_and_in_the_stream_relist(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    version = str(simulated_cluster.store.version)
    simulated_cluster.faults.inject(Refuse(status=410, verbs=WATCHES, count=1))
    [refused], state = await _walk(collection, Listed(version, interruptions=0), 1)
    assert isinstance(refused, Interrupted)
    assert state == Empty(interruptions=1)

    simulated_cluster.faults.inject(GoneInStream(count=1))
    [opened, gone], state = await _walk(collection, Listed(version, interruptions=0), 2)
    assert (opened, type(gone), state) == (Opened(), Interrupted, Empty(interruptions=1))


async def test_a_server_that_ends_the_watch_in_good_order_is_asked_to_go_on(
    simulated_cluster: SimulatedCluster,
) -> None:
    timing = msgspec.structs.replace(FAST, watch=1)
    async with open_client(credential(simulated_cluster.kubeconfig()), timing=timing) as client:
        collection = Collection(client, paths.deployments("airunway.ai", None), ModelDeployment)
        version = str(simulated_cluster.store.version)
        [_, ended], state = await _walk(collection, Listed(version, interruptions=1), 2)
    assert ended == Interrupted(None)
    assert state == Listed(version, interruptions=0)


async def test_cuts_go_on_at_once_until_there_are_too_many_in_a_row(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    version = str(simulated_cluster.store.version)
    simulated_cluster.faults.inject(CutMidLine(verbs=WATCHES))
    story, state = await _walk(collection, Listed(version, interruptions=0), 6)
    assert [type(each) for each in story] == [Opened, Interrupted, Opened, Interrupted, Opened, Failed]
    assert state == Empty()


async def test_silence_alone_is_no_failure(simulated_cluster: SimulatedCluster, collection: Models) -> None:
    """An idle server without bookmarks looks the same: that it accepts the watch anew is the proof."""
    version = str(simulated_cluster.store.version)
    simulated_cluster.faults.inject(Silence())
    story, state = await _walk(collection, Listed(version, interruptions=0), 4)
    assert [type(each) for each in story] == [Opened, Interrupted, Opened, Interrupted]
    assert state == Listed(version, interruptions=0)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_refused_watch_is_a_failure_and_relists(
    simulated_cluster: SimulatedCluster, collection: Models, status: int
) -> None:
    simulated_cluster.faults.inject(Refuse(status=status, verbs=WATCHES))
    [failed], state = await _walk(collection, Listed("1", interruptions=0), 1)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ApiError)
    assert (failed.error.status, state) == (status, Empty())


async def test_a_failure_in_the_middle_of_a_list_keeps_nothing(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    await simulated_cluster.stop()
    [failed], state = await _walk(collection, Listing((), (), "token", interruptions=0), 1)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Unreachable)
    assert state == Empty()


# ------------------------------------------------------------ the loop


FAULTS: list[AnyFault] = [
    GoneInStream(count=1),
    CutMidLine(count=3),
    Silence(seconds=1),
    Refuse(status=410, verbs=WATCHES, count=2),
    Refuse(status=503, retry_after=1, count=2),
    Refuse(status=403, count=2),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_whatever_goes_wrong_nothing_is_missed(
    simulated_cluster: SimulatedCluster, collection: Models, fault: AnyFault
) -> None:
    simulated_cluster.apply(model_deployment("leaves"))
    known: set[str] = set()
    struck = False
    async with aclosing(watch(collection, timing=TIMING)) as outcomes, asyncio.timeout(10):
        while known != {"comes"}:
            outcome = await anext(outcomes)
            match outcome:
                case Opened() if not struck:
                    struck = True
                    simulated_cluster.faults.inject(fault)
                    simulated_cluster.delete(MODELS, "ml-team", "leaves")
                    simulated_cluster.apply(model_deployment("comes"))
                case Replaced(items):
                    known = {each.metadata.name for each in items}
                case Applied(resource):
                    known.add(resource.metadata.name)
                case Removed(resource):
                    known.discard(resource.metadata.name)


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_pause(
    simulated_cluster: SimulatedCluster, collection: Models
) -> None:
    injected = simulated_cluster.faults.inject(GoneInStream())
    with suppress(TimeoutError):
        async with aclosing(watch(collection, timing=TIMING)) as outcomes, asyncio.timeout(1):
            while True:
                await anext(outcomes)
    assert 2 <= injected.strikes <= 1 / TIMING.first_delay


def test_back_off_doubles_with_jitter_up_to_its_limit() -> None:
    timing = Timing()
    error = Unreachable("gone")
    for failures, longest in enumerate([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]):
        delays = [retry_delay(error, failures, timing=timing) for _ in range(200)]
        assert longest / 2 <= min(delays) < max(delays) <= longest
    assert retry_delay(error, 10_000, timing=timing) <= 30


def test_what_the_server_asks_for_is_obeyed() -> None:
    timing = Timing()
    assert retry_delay(ApiError(429, retry_after=7), 0, timing=timing) == 7
    assert retry_delay(ApiError(503, retry_after=86_400), 0, timing=timing) == timing.longest_retry_after
    assert retry_delay(ApiError(401), 0, timing=timing) == retry_delay(ApiError(403), 9, timing=timing) == 60
