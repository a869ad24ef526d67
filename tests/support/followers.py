"""Subscribers that replay what they are told, and what they have to end up with: the API server's list."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.hub import GraphqlSocket, HubClient
from tests.support.kubectl import Json, Kubectl, deployments

_FIELDS = "id uid resourceVersion phase namespace"
_EVENTS = f"""
subscription ($filter: DeploymentFilter, $includeInitial: Boolean!) {{
  deploymentEvents(filter: $filter, includeInitial: $includeInitial) {{
    type instanceId deploymentId deployment {{ {_FIELDS} }}
  }}
}}"""
_QUERY = f"""
query ($filter: DeploymentFilter) {{
  deployments(filter: $filter, first: 1000) {{ nodes {{ {_FIELDS} }} sources {{ stale }} }}
}}"""
SILENCE = 600.0
"""Seconds that a subscriber waits for the next event; the tests' own limits are shorter."""


@dataclass(frozen=True)
class Version:
    """One version of a deployment."""

    uid: str
    resource_version: str
    phase: str
    namespace: str


@dataclass(frozen=True)
class Event:
    at: float
    """When it came, by time.monotonic()."""
    type: str
    instance_id: str
    name: str | None
    """namespace/name; None for SYNCED and STALE."""
    version: Version | None


@dataclass(frozen=True, kw_only=True)
class View:
    """Who looks at an instance, and at what of it."""

    token: str
    instance_id: str
    phases: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    allowed: Sequence[str] | None = None
    """The namespaces that the person may see, if not all."""

    @property
    def filter(self) -> Mapping[str, Any]:
        given = {"phases": self.phases, "namespaces": self.namespaces}
        return {"instanceIds": [self.instance_id]} | {key: value for key, value in given.items() if value}

    def shows(self, version: Version) -> bool:
        places = (self.namespaces, self.allowed)
        return (self.phases is None or version.phase in self.phases) and all(
            place is None or version.namespace in place for place in places
        )


class Follower:
    """One subscription's events, and the state that they add up to. It fails on events that can't be."""

    def __init__(self, hub: HubClient, view: View) -> None:
        self.view = view
        self.events: list[Event] = []
        self.shown: dict[str, Version] = {}
        self._hub = hub
        self._news = asyncio.Event()

    async def listen(self, socket: GraphqlSocket) -> None:
        while True:
            self._take(await socket.next(within=SILENCE))
            self._news.set()

    async def heard(
        self, type_: str, name: str | None = None, *, since: float = 0.0, within: float = 20.0, **version: str
    ) -> Event:
        """The first such event since a moment of time.monotonic(); `version` says more of its version."""

        def fits(event: Event) -> bool:
            return (event.type, event.name) == (type_, name) and all(
                getattr(event.version, key) == value for key, value in version.items()
            )

        await self._until(lambda: any(event.at > since and fits(event) for event in self.events), within)
        return next(event for event in self.events if event.at > since and fits(event))

    async def ends_as(self, true: Mapping[str, Version], *, within: float = 20.0) -> float:
        """Until the replayed state is this, less what the view leaves out; and so is a query's answer.

        When the state was reached, by time.monotonic().
        """
        expected = {name: version for name, version in true.items() if self.view.shows(version)}
        await self._until(lambda: self.shown == expected, within, expected=expected)
        reached = max((event.at for event in self.events), default=0.0)
        assert await self.queried() == expected
        return reached

    async def queried(self) -> Mapping[str, Version]:
        """What a query by the same person with the same filter answers now."""
        answer = await self._hub.data(self.view.token, _QUERY, {"filter": self.view.filter})
        return {_short(node["id"]): _version(node) for node in answer["deployments"]["nodes"]}

    async def _until(self, condition: Callable[[], bool], within: float, **details: object) -> None:
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise AssertionError(
                f"not within {within} s: {self.events[-10:]} {self.shown} {details}"
            ) from error

    def _take(self, told: Json) -> None:
        node, name = told["deployment"], told["deploymentId"] and _short(told["deploymentId"])
        version = node and _version(node)
        assert told["instanceId"] == self.view.instance_id
        before = self.shown.get(name)
        match told["type"]:
            case "ADDED":
                assert before is None, "only what isn't shown is added"
                self.shown[name] = version
            case "MODIFIED":
                assert before is not None
                assert before.uid == version.uid, "another object is another deployment"
                self.shown[name] = version
            case "DELETED":
                assert before is not None, "only what was shown is deleted"
                assert version.uid == before.uid, "its last state is shown along"
                del self.shown[name]
        self.events.append(Event(time.monotonic(), told["type"], told["instanceId"], name, version))


@asynccontextmanager
async def following(
    hub: HubClient, *views: View, include_initial: bool = True
) -> AsyncIterator[Sequence[Follower]]:
    """A follower for each view, subscribed when the block begins."""
    async with asyncio.TaskGroup() as tasks:
        followers = [Follower(hub, view) for view in views]
        started = [asyncio.Event() for _ in views]
        running = [
            tasks.create_task(_follow(hub, follower, include_initial, event), name="follower")
            for follower, event in zip(followers, started, strict=True)
        ]
        for event in started:
            await event.wait()
        try:
            yield followers
        finally:
            for task in running:
                task.cancel()


async def _follow(hub: HubClient, follower: Follower, include_initial: bool, started: asyncio.Event) -> None:
    async with hub.socket(follower.view.token) as socket:
        variables = {"filter": follower.view.filter, "includeInitial": include_initial}
        await socket.subscribe(_EVENTS, variables)
        started.set()
        await follower.listen(socket)


async def true_state(
    kubectl: Kubectl, *, namespace: str | None = None, group: str = "airunway.ai"
) -> Mapping[str, Version]:
    """What the API server itself lists, by namespace/name, where pods don't matter."""
    listed = await kubectl.get(deployments(namespace, group=group))
    return {_name(each): _true_version(each) for each in listed["items"]}


def _true_version(item: Json) -> Version:
    metadata = item["metadata"]
    reported = str(item.get("status", {}).get("phase", "Pending")).upper()
    phase = "TERMINATING" if "deletionTimestamp" in metadata else reported
    return Version(metadata["uid"], metadata["resourceVersion"], phase, metadata["namespace"])


def _name(item: Json) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _version(node: Json) -> Version:
    return Version(node["uid"], node["resourceVersion"], node["phase"], node["namespace"])


def _short(deployment_id: str) -> str:
    return deployment_id.partition("/")[2]
