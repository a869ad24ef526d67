"""The hub with the settings of the environment, in a process that takes commands of a benchmark.

It says its port and an administrator's access token once its instances are live. `event` and `load` write its
first instance's store as the watch does, so that what follows is the hub's own cost and no API server's.
`people` makes people who see some namespaces each. Run by `benchmarks.processes`.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import uvloop
from msgspec.structs import replace

from auth.accounts import create_token, ensure_user, grant_role
from auth.grants import TokenLimits
from auth.identity import Provider
from auth.people import Person
from auth.permissions import Role, Scope
from benchmarks.commands import obey
from cluster.manager import InstanceManager
from cluster.store import Store
from cluster.timing import Timing
from hub.app import RunningHub, running_hub
from hub.server import Server, configure, listen
from hub.settings import load_settings

UNHURRIED = Timing(probe=3600, discovery=3600)
"""Nothing but watches while something is measured."""
TICK = 0.005
"""Seconds between bursts of a load."""


class Source:
    """Changes a store's deployments in turn: `status.message` becomes the moment, by `time.monotonic_ns`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = itertools.cycle(
            [(each.namespace, each.name) for space in store.namespaces() for each in store.by_name(space)]
        )

    async def event(self) -> None:
        known = self._store.get(*next(self._keys))
        assert known is not None
        metadata, status = known.resource.metadata, known.resource.status
        resource = replace(
            known.resource,
            metadata=replace(metadata, resource_version=str(int(metadata.resource_version) + 1)),
            status=replace(status, message=str(time.monotonic_ns())),
        )
        self._store.apply_deployment(resource, api_group=known.api_group)

    async def load(self, rate: float, seconds: float) -> None:
        """So many events a second; no fewer in all, if it takes longer."""
        begin, sent, total = time.monotonic(), 0, round(rate * seconds)
        while sent < total:
            due = min(total, int((time.monotonic() - begin) * rate))
            for _ in range(due - sent):
                await self.event()
            sent = due
            await asyncio.sleep(TICK)


async def main() -> None:
    settings, started = load_settings(), asyncio.Event()
    with listen(settings.http) as listening:
        async with running_hub(settings, timing=UNHURRIED) as hub, asyncio.TaskGroup() as tasks:
            token = await _token(hub, "admin", Role.ADMIN, Scope())
            stores = await _live(hub.manager)
            server = Server(configure(hub.app), on_started=started.set)
            tasks.create_task(server.serve(sockets=[listening]))
            await started.wait()
            source = Source(stores[0])
            hello = {"port": listening.getsockname()[1], "token": token}
            people = partial(_people, hub)
            await obey(hello, {"event": source.event, "load": source.load, "people": people})
            server.should_exit = True


async def _people(hub: RunningHub, namespaces: list[list[str]]) -> list[str]:
    """Access tokens of new people, each a viewer of these namespaces of every instance, and of no others."""
    return [
        await _token(hub, f"viewer {number}", Role.VIEWER, Scope(None, tuple(sorted(seen))))
        for number, seen in enumerate(namespaces)
    ]


async def _token(hub: RunningHub, subject: str, role: Role, scope: Scope) -> str:
    """An access token of a new person with this role there."""
    with hub.database.entered():
        user_id = await ensure_user(Person(Provider.GITHUB, subject))
        await grant_role(user_id, role, scope, granted_by=None)
        _, minted = await create_token(
            user_id, name="benchmark", limits=TokenLimits(), expires_at=None, now=datetime.now(UTC)
        )
    return minted.secret


async def _live(manager: InstanceManager) -> list[Store]:
    """The stores of all instances, once their watches stand."""
    with _news(manager) as news:
        while True:
            stores = [feed for feed in manager.feeds.values() if isinstance(feed, Store)]
            if stores and all(store.state.live for store in stores):
                return stores
            news.clear()
            await news.wait()


@contextmanager
def _news(manager: InstanceManager) -> Iterator[asyncio.Event]:
    news = asyncio.Event()
    unsubscribe = manager.subscribe(news.set)
    try:
        yield news
    finally:
        unsubscribe()


if __name__ == "__main__":
    uvloop.run(main())
