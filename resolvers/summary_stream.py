"""The reader behind `deploymentSummaryEvents`: the whole summary, at most once a second, only on change."""

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from copy import copy
from typing import Self

from auth.policy import Permit
from resolvers.filters import DeploymentFilter
from resolvers.services import Services
from resolvers.streams import Drained
from resolvers.summaries import Summary, summarise

EVERY = 1.0
"""Seconds between two summaries (API.md)."""
LATE = 0.1
"""Seconds that a turn may come late and still count for the second that it was due."""


class SummaryReader:
    """Counting may take many slices, so it runs beside the turns; `wake` asks for the turn that tells it."""

    def __init__(
        self,
        *,
        services: Services,
        permit: Permit,
        wanted: DeploymentFilter,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._permit = permit
        self._wanted = wanted
        self._wake = wake
        self._clock = clock
        self._told: Summary | None = None
        self._counted: Hashable = None
        """The state of the clusters that the last count was of."""
        self._due = float("-inf")
        """When the next count may begin: at whole seconds, so that readers who came at different moments
        soon count, and tell, the same and can be shared."""
        self._counting: asyncio.Task[Summary] | None = None

    def clone(self) -> Self:
        other = copy(self)
        other._counting = None
        other._counted = None if self._counting else self._counted
        return other

    def same(self, other: object) -> bool:
        at = self._clock()
        return (
            isinstance(other, SummaryReader)
            and not (self._counting or other._counting)
            and self._permit.scopes == other._permit.scopes
            and self._wanted == other._wanted
            and max(self._due, at) == max(other._due, at)  # else somebody would be told twice in a second
            and _same(self._told, other._told)
        )

    def could_show(self, permit: Permit) -> bool:
        return bool(permit.scopes)  # facets look beyond the filter's places

    def change_permit(self, permit: Permit) -> None:
        self.close()
        self._permit, self._counted = permit, None

    def close(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None

    def drain(self, limit: int = 256) -> Drained[Summary]:  # noqa: ARG002 - a turn gives one at the most
        if not self._permit.scopes:  # without rights a stream is silent (API.md)
            return Drained([], None)
        if self._counting is not None:
            return self._finish(self._counting) if self._counting.done() else Drained([], None)
        state = tuple((feed.epoch, feed.head, feed.state) for feed in self._services.fleet.feeds.values())
        if state == self._counted:
            return Drained([], None)
        wait = self._due - self._clock()
        if wait > 0:
            return Drained([], wait)
        self._counted, self._due = state, math.ceil(self._clock() + EVERY - LATE)
        self._counting = asyncio.create_task(
            summarise(services=self._services, permit=self._permit, wanted=self._wanted),
            name="deployment summary",
        )
        self._counting.add_done_callback(lambda _: self._wake())
        return Drained([], None)

    def _finish(self, counting: asyncio.Task[Summary]) -> Drained[Summary]:
        self._counting = None
        summary = counting.result()
        if _same(self._told, summary):
            return Drained([], 0)
        self._told = summary
        return Drained([summary], 0)


def _same(one: Summary | None, other: Summary | None) -> bool:
    return one is other if one is None or other is None else one.same(other)
