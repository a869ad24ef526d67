"""Watched instances over simulated clusters, with short times and conditions to wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from cluster.feed import InstanceFeed
from cluster.instance import WatchedInstance
from cluster.manager import InstanceManager
from cluster.store import Store
from cluster.timing import Timing
from cluster.types import InstanceState
from credentials.judge import judge
from credentials.types import Credential, Snapshot

FAST = Timing(
    connect=2,
    answer=2,
    plugin=2,
    watch=60,
    silence=10,
    first_delay=0.05,
    longest_delay=0.2,
    good=1,
    refused=0.2,
    discovery_first=0.02,
    discovery=0.2,
    probe=0.2,
    deadline=0.5,
)


def credential(
    kubeconfig: Mapping[str, Any] | str,
    *,
    name: str = "simulated",
    directory: Path = Path("/nowhere"),
    plugins: Sequence[str] = (),
) -> Credential:
    """A kubeconfig as the credentials directory would pass it on."""
    text = kubeconfig if isinstance(kubeconfig, str) else yaml.safe_dump(dict(kubeconfig))
    return judge(
        name, text.encode(), directory=str(directory), exec_allow=frozenset(plugins), now=datetime.now(UTC)
    )


class Snapshots:
    """A credentials directory in memory."""

    def __init__(self, *credentials: Credential, clusters: Mapping[str, str] | None = None) -> None:
        self._queue: asyncio.Queue[Snapshot] = asyncio.Queue()
        self.put(*credentials, clusters=clusters)

    def put(self, *credentials: Credential, clusters: Mapping[str, str] | None = None) -> None:
        """These are the credentials from now on, and these the known clusters' uids."""
        named = {each.name: each for each in credentials}
        self._queue.put_nowait(Snapshot(credentials=named, errors={}, problems=(), clusters=clusters or {}))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Snapshot:
        return await self._queue.get()


@asynccontextmanager
async def running_fleet(
    snapshots: AsyncIterator[Snapshot], *, timing: Timing = FAST
) -> AsyncIterator[InstanceManager]:
    """A manager that has acted on the first snapshot."""
    manager = InstanceManager(timing=timing)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(manager.run(snapshots), name="fleet")
        await manager.scanned.wait()
        try:
            yield manager
        finally:
            running.cancel()


@dataclass(frozen=True)
class Watched:
    """One instance that is being watched, and every state that it had."""

    store: Store
    instance: WatchedInstance
    states: list[InstanceState] = field(default_factory=list)

    def note(self) -> None:
        if not self.states or self.states[-1] != self.store.state:
            self.states.append(self.store.state)


@asynccontextmanager
async def watched(
    credential: Credential, *, timing: Timing = FAST, store: Store | None = None
) -> AsyncIterator[Watched]:
    store = store or Store(credential.name)
    found = Watched(store, WatchedInstance(store=store, credential=credential, timing=timing))
    unsubscribe = store.subscribe(found.note)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(found.instance.run(), name="instance")
        try:
            yield found
        finally:
            running.cancel()
            unsubscribe()


async def seen(feed: InstanceFeed, condition: Callable[[InstanceFeed], bool], *, within: float = 5.0) -> None:
    """Waits until the condition holds, asking again at every change of the feed."""
    changed = asyncio.Event()
    unsubscribe = feed.subscribe(changed.set)
    try:
        async with asyncio.timeout(within):
            while not condition(feed):
                changed.clear()
                await changed.wait()
    except TimeoutError as error:
        raise AssertionError(f"not within {within} s; last: {feed.state}, {names(feed)}") from error
    finally:
        unsubscribe()


def names(feed: InstanceFeed) -> list[str]:
    """namespace/name of every deployment."""
    return [f"{space}/{each.name}" for space in feed.namespaces() for each in feed.by_name(space)]


def has(*expected: str) -> Callable[[InstanceFeed], bool]:
    """The deployments are exactly these."""
    return lambda feed: names(feed) == sorted(expected)


def stands(status: str, *, live: bool | None = None) -> Callable[[InstanceFeed], bool]:
    return lambda feed: feed.state.status == status and live in (None, feed.state.live)
