"""Looking at every permitted deployment: in slices, and once for all who ask the same."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from typing import Any, TypeVar, cast

from auth.policy import Permit
from cluster.feed import Fleet
from cluster.types import Deployment
from resolvers import places
from resolvers.filters import DeploymentFilter

SLICE = 0.005
"""Seconds that a scan may keep the event loop to itself (DESIGN.md)."""
CHECK_EVERY = 64
"""Deployments between two looks at the clock."""
KEPT = 8
"""Answers kept until the clusters change; one over 100,000 deployments holds about 15 MB."""
PAGES_KEPT = 64

T = TypeVar("T")


async def scan(*, fleet: Fleet, permit: Permit, wanted: DeploymentFilter) -> AsyncIterator[Deployment]:
    """Every deployment in the question's places, letting others run after each slice.

    What stays throughout is met exactly once; what comes or goes meanwhile, once or not at all.
    """
    began = time.perf_counter()
    for feed, namespace in list(places.shelves(fleet=fleet, permit=permit, wanted=wanted)):
        after, more = "", True
        while more:
            more = False
            for number, deployment in enumerate(feed.by_name(namespace, after), 1):
                yield deployment
                if number % CHECK_EVERY == 0 and time.perf_counter() - began > SLICE:
                    after, more = deployment.name, True
                    break
            if more:
                await asyncio.sleep(0)
                began = time.perf_counter()


class Scans:
    """Shares a scan's result among all who ask the same while nothing changed."""

    def __init__(self, fleet: Fleet, *, kept: int = KEPT) -> None:
        self._fleet = fleet
        self._kept = kept
        self._state: Hashable = None
        """What the clusters were like when the answers were found."""
        self._answers: OrderedDict[Hashable, asyncio.Task[Any]] = OrderedDict()
        self._running: set[asyncio.Task[Any]] = set()
        """Also those whose answer nobody new will get, because something changed meanwhile."""

    async def shared(self, question: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer to `question` as of now; `compute` runs at most once a state of the clusters."""
        state = tuple([(feed.instance_id, feed.epoch, feed.head) for feed in self._fleet.feeds.values()])
        if state != self._state:
            self._answers.clear()
            self._state = state
        known = self._answers.get(question)
        if known is None:
            known = self._answers[question] = self._start(compute())
            if len(self._answers) > self._kept:
                self._answers.popitem(last=False)
        self._answers.move_to_end(question)
        # One asker that goes away must not take the answer from the others.
        return cast("T", await asyncio.shield(known))

    def _start(self, scan: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(scan, name="scan")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """End what is under way, and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._answers.clear()
