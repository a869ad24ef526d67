"""From watches to a store: what is heard goes to its place, how the watch stands goes to the instance."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Generic

from cluster.client import Client
from cluster.errors import ApiError, ClusterError
from cluster.events import Applied, Bookmark, Opened, R, Removed, Undecodable, key_of
from cluster.health import Watch
from cluster.kinds import Kind
from cluster.timing import Timing
from cluster.watch import Collection, Failed, Interrupted, Outcome, Replaced, watch

log = logging.getLogger(__name__)

Report = Callable[[str, str | None, Watch | None], None]
"""Kind, scope and how it stands with their watch; None when there is none any more."""


class Follower(Generic[R]):
    """One watch of one scope."""

    def __init__(
        self, kind: Kind[R], scope: str | None, *, client: Client, report: Report, timing: Timing
    ) -> None:
        self._kind = kind
        self._scope = scope
        self._client = client
        self._report = report
        self._timing = timing
        self._watch = Watch()

    async def run(self, *, while_allowed: bool) -> None:
        """For ever; with `while_allowed` until a 403 before anything was ever read."""
        collection = Collection(self._client, self._kind.path(self._scope), self._kind.type)
        async with aclosing(watch(collection, timing=self._timing)) as outcomes:
            async for outcome in outcomes:
                before = self._watch
                self._take(outcome)
                if while_allowed and self._watch.excluded:
                    self._report(self._kind.name, self._scope, None)
                    return
                if self._watch != before:  # a list alone is nothing to report
                    self._report(self._kind.name, self._scope, self._watch)

    def _take(self, outcome: Outcome[R]) -> None:
        kind, known = self._kind, self._watch
        match outcome:
            case Applied(resource):
                kind.apply(resource)
                self._decoded(resource)
            case Removed(resource):
                kind.remove(resource)
                self._decoded(resource)
            case Replaced(items, undecodable):
                kind.replace(items, self._scope)
                self._watch = replace(known, undecodable={odd.key: odd.problem for odd in undecodable})
            case Undecodable(key, _, problem):
                self._watch = replace(known, undecodable={**known.undecodable, key: problem})
            case Opened():
                self._watch = replace(known, live=True, synced=True, error=None)
            case Failed(error):
                if isinstance(error, ApiError) and error.status == 403:
                    kind.forbidden(self._scope, known.synced)
                self._watch = replace(known, live=False, error=error)
            case Interrupted(error) if error is not None:
                log.info("%s: the watch of %s goes on after: %s", self._client.endpoint, kind.name, error)
            case Interrupted() | Bookmark():
                pass

    def _decoded(self, resource: R) -> None:
        key = key_of(resource.metadata)
        if key in self._watch.undecodable:
            rest = {other: problem for other, problem in self._watch.undecodable.items() if other != key}
            self._watch = replace(self._watch, undecodable=rest)


async def follow(
    kind: Kind[R], *, namespaces: Sequence[str], client: Client, report: Report, timing: Timing
) -> None:
    """The whole cluster; while that is forbidden, each of the credential's namespaces by itself. For ever."""
    while True:
        report(kind.name, None, Watch())
        whole = Follower(kind, None, client=client, report=report, timing=timing)
        await whole.run(while_allowed=bool(namespaces))
        for scope in namespaces:
            report(kind.name, scope, Watch())
        async with asyncio.TaskGroup() as scopes:
            tasks = [
                scopes.create_task(
                    Follower(kind, scope, client=client, report=report, timing=timing).run(
                        while_allowed=False
                    ),
                    name=f"watch {kind.name} in {scope}",
                )
                for scope in namespaces
            ]
            await _until_allowed(kind, client=client, timing=timing)
            for task in tasks:
                task.cancel()
        for scope in namespaces:
            report(kind.name, scope, None)


async def follow_if_allowed(kind: Kind[R], *, client: Client, report: Report, timing: Timing) -> None:
    """The whole cluster whenever the credential may; that it may not is no fault. For ever."""
    while True:
        await Follower(kind, None, client=client, report=report, timing=timing).run(while_allowed=True)
        await asyncio.sleep(timing.refused)


async def _until_allowed(kind: Kind[R], *, client: Client, timing: Timing) -> None:
    while True:
        await asyncio.sleep(timing.refused)
        try:
            await client.page(kind.path(None), kind.type, limit=1)
        except ClusterError:
            continue
        return
