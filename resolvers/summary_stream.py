"""The reader behind `deploymentSummaryEvents`: the whole summary, at most once a second, only on change."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Self

from auth.policy import Permit
from resolvers.filters import DeploymentFilter
from resolvers.services import Services
from resolvers.streams import Drained
from resolvers.summaries import Summary, summarise

EVERY = 1.0
"""Seconds between two summaries (API.md)."""


class SummaryReader:
    """Counting may take many slices, so it runs beside the turns; `wake` asks for the turn that tells it."""

    def __init__(
        self, *, services: Services, permit: Permit, wanted: DeploymentFilter, wake: Callable[[], None]
    ) -> None:
        self._services = services
        self._permit = permit
        self._wanted = wanted
        self._wake = wake
        self._told: Summary | None = None
        self._counted: Hashable = None
        """The state of the clusters that the last count was of."""
        self._began = float("-inf")
        self._counting: asyncio.Task[Summary] | None = None

    def clone(self) -> Self:
        other = type(self)(services=self._services, permit=self._permit, wanted=self._wanted, wake=self._wake)
        other._told = self._told
        return other

    def same(self, other: object) -> bool:
        return (
            isinstance(other, SummaryReader)
            and self._told is not None
            and other._told is not None
            and self._permit.scopes == other._permit.scopes
            and self._told.same(other._told)
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
        wait = self._began + EVERY - time.monotonic()
        if wait > 0:
            return Drained([], wait)
        self._counted, self._began = state, time.monotonic()
        self._counting = asyncio.create_task(
            summarise(services=self._services, permit=self._permit, wanted=self._wanted),
            name="deployment summary",
        )
        self._counting.add_done_callback(lambda _: self._wake())
        return Drained([], None)

    def _finish(self, counting: asyncio.Task[Summary]) -> Drained[Summary]:
        self._counting = None
        summary = counting.result()
        if self._told is not None and self._told.same(summary):
            return Drained([], 0)
        self._told = summary
        return Drained([summary], 0)
