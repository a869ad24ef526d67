"""The deployment stream against what a query would answer, through arbitrary histories."""

from dataclasses import dataclass, field
from itertools import chain, combinations, count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auth.permissions import Permission, Role
from auth.policy import Permit, narrow
from cluster.store import Store
from cluster.types import Deployment, Phase
from resolvers.deployment_stream import DeploymentReader
from resolvers.errors import SlowConsumer
from resolvers.filters import EVERYTHING, DeploymentFilter, predicate
from resolvers.streams import DeploymentEvent, EventType
from tests.support.examples import examples
from tests.support.identities import a_grant, an_identity
from tests.support.resources import deployment, pod
from tests.support.stores import Clock, StoresFleet, everything, set_live

GROUP = "airunway.ai"
INSTANCES = ("east", "north", "west")
NAMESPACES = ("ml-team", "team-b")
NAMES = ("llama", "mistral", "qwen")

PERMITS = [
    narrow(an_identity(*grants), Permission.VIEW_DEPLOYMENTS)
    for grants in (
        (a_grant(Role.ADMIN),),
        (a_grant(Role.VIEWER, "east"),),
        (a_grant(Role.VIEWER, None, ("ml-team",)),),
        (a_grant(Role.DEPLOYER, "east", ("ml-team",)), a_grant(Role.VIEWER, "west")),
        (a_grant(Role.VIEWER, "north", ("team-b",)), a_grant(Role.VIEWER, "east", ("team-b",))),
        (),
    )
]
FILTERS = [
    EVERYTHING,
    DeploymentFilter(phases=(Phase.RUNNING,)),
    DeploymentFilter(phases=(Phase.PENDING, Phase.DEPLOYING)),
    DeploymentFilter(unhealthy=True),
    DeploymentFilter(unhealthy=False),
    DeploymentFilter(instance_ids=("east", "west")),
    DeploymentFilter(namespaces=("team-b",), phases=(Phase.FAILED, Phase.RUNNING)),
    DeploymentFilter(name="LLA"),
    DeploymentFilter(search="east"),
    DeploymentFilter(ids=("east/ml-team/llama", "west/team-b/qwen")),
    DeploymentFilter(ids=()),
]

permits = st.sampled_from(PERMITS)
limits = st.sampled_from((1, 2, 3, 5, 256))
instances = st.sampled_from(INSTANCES)
namespaces = st.sampled_from(NAMESPACES)
names = st.sampled_from(NAMES)
phases = st.sampled_from([None, *(phase.value.capitalize() for phase in Phase)])
picks = st.integers(min_value=0, max_value=63)
"""Which of those there are by then."""


@dataclass(eq=False)
class Subscriber:
    """A client: a reader, and what it makes of its events."""

    fleet: StoresFleet
    reader: DeploymentReader
    wanted: DeploymentFilter
    permit: Permit
    untold: dict[str, Deployment] = field(default_factory=dict)
    """Without initial state: what was there before, as it was."""
    shown: dict[str, Deployment] = field(default_factory=dict)
    live: dict[str, bool | None] = field(default_factory=dict)
    """By instance, whether SYNCED or STALE came last."""
    left: set[str] = field(default_factory=set)
    """Instances that went out of sight, which the reader may have missed if they came back since."""
    caught_up: bool = False

    def clone(self) -> "Subscriber":
        return Subscriber(
            self.fleet,
            self.reader.clone(),
            self.wanted,
            self.permit,
            self.untold.copy(),
            self.shown.copy(),
            self.live.copy(),
            self.left.copy(),
        )

    def answer(self) -> dict[str, Deployment]:
        """What a query with the same filter by the same person gives."""
        matches = predicate(self.wanted)
        return {
            each.id: each
            for each in everything(self.fleet)
            if self.permit.allows(each.instance_id, each.namespace) and matches(each)
        }

    def expected(self) -> dict[str, Deployment]:
        return {key: each for key, each in self.answer().items() if self.untold.get(key) is not each}

    def sees(self, instance_id: str) -> bool:
        wanted = self.wanted.instance_ids
        return (
            instance_id in self.fleet.feeds
            and self.permit.reaches(instance_id)
            and (wanted is None or instance_id in wanted)
        )

    def change_permit(self, permit: Permit) -> None:
        self.left.update(key for key in INSTANCES if not permit.reaches(key))
        self.reader.change_permit(permit)
        self.permit = permit
        self.untold = {
            key: each for key, each in self.untold.items() if permit.allows(each.instance_id, each.namespace)
        }

    def drain(self, limit: int) -> list[DeploymentEvent]:
        drained = self.reader.drain(limit)
        assert len(drained.events) <= limit + len(INSTANCES) + 1
        for event in drained.events:
            self.take(event)
        self.caught_up = drained.again is None
        if self.caught_up:
            self.left.clear()
            self.live = {key: live for key, live in self.live.items() if self.sees(key)}
        return drained.events

    def take(self, event: DeploymentEvent) -> None:
        if event.type in (EventType.SYNCED, EventType.STALE):
            self._take_marker(event)
            return
        assert event.deployment_id is not None
        before = self.shown.get(event.deployment_id)
        if event.type is EventType.DELETED:
            assert before is not None, "DELETED comes only for what was shown"
            allowed = self.permit.allows(event.instance_id, before.namespace)
            assert (event.deployment is not None) == allowed, "no state of what may not be seen"
            assert event.deployment is None or event.deployment.uid == before.uid
            del self.shown[event.deployment_id]
            return
        assert event.deployment is not None
        assert event.deployment.id == event.deployment_id
        assert (event.type is EventType.ADDED) == (before is None)
        assert before is None or before.uid == event.deployment.uid
        assert before is not event.deployment, "nothing is told twice"
        assert self.permit.allows(event.instance_id, event.deployment.namespace)
        self.shown[event.deployment_id] = event.deployment

    def _take_marker(self, event: DeploymentEvent) -> None:
        assert event.deployment_id is None
        assert event.deployment is None
        if event.instance_id not in self.left:
            assert self.live.get(event.instance_id) is not (event.type is EventType.SYNCED)
        self.live[event.instance_id] = event.type is EventType.SYNCED
        assert self._of(self.shown, event.instance_id) == self._of(self.expected(), event.instance_id)

    @staticmethod
    def _of(deployments: dict[str, Deployment], instance_id: str) -> dict[str, Deployment]:
        return {key: each for key, each in deployments.items() if each.instance_id == instance_id}

    def check(self) -> None:
        """Once all is read: the state is the query's, and every instance's last word is true."""
        assert self.shown == self.expected()
        assert self.live == {key: feed.state.live for key, feed in self.fleet.feeds.items() if self.sees(key)}

    def forget_instance(self, instance_id: str) -> None:
        """Its name may come back for another instance, which has everything to tell."""
        self.left.add(instance_id)
        self.untold = {key: each for key, each in self.untold.items() if each.instance_id != instance_id}


def tellable(events: list[DeploymentEvent]) -> list[tuple[object, ...]]:
    """All but the times, which are of the telling."""
    return [(each.type, each.instance_id, each.deployment_id, each.deployment) for each in events]


class Streams(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.fleet = StoresFleet(clock=self.clock)
        self.numbers = count(1)
        self.subscribers: list[Subscriber] = []
        self.twins: list[tuple[Subscriber, Subscriber]] = []
        for instance_id in ("east", "west"):
            self._list(self._store(instance_id), set(NAMES), scope=None, phase="Running")

    @initialize(permits=st.tuples(permits, permits), wanted=st.sampled_from(FILTERS), initial=st.booleans())
    def begin(self, permits: tuple[Permit, ...], wanted: DeploymentFilter, initial: bool) -> None:
        for permit in permits:
            self._subscribe(permit, wanted, include_initial=initial)

    # ------------------------------------------------------------ clusters

    @rule(
        instance=instances,
        namespace=namespaces,
        name=names,
        change=st.sampled_from(("apply", "apply", "recreate", "remove", "pod", "failing pod")),
        phase=phases,
        ready=st.booleans(),
    )
    def change_deployment(
        self, instance: str, namespace: str, name: str, change: str, phase: str | None, ready: bool
    ) -> None:
        number, store = next(self.numbers), self._store(instance)
        known = store.get(namespace, name)
        if "pod" in change:
            labels = {"app.kubernetes.io/instance": name}
            waiting = "CrashLoopBackOff" if change == "failing pod" else None
            own = pod(
                f"{name}-0", namespace=namespace, version=number, labels=labels, ready=ready, waiting=waiting
            )
            store.replace_pods([own], scope=None)
        elif change == "remove":
            if known is not None:
                store.remove_deployment(known.resource)
        else:
            uid = "u0" if known is None else known.uid
            resource = deployment(
                name,
                namespace=namespace,
                uid=uid if change == "apply" else f"u{number}",
                version=number,
                phase=phase,
                replicas=(1, int(ready)),
            )
            store.apply_deployment(resource, api_group=GROUP)

    @rule(
        instance=instances,
        change=st.sampled_from(
            ("list", "list", "stale", "live", "no pods", "clear", "age", "remove", "anew")
        ),
        scope=st.sampled_from((None, *NAMESPACES)),
        kept=st.sets(names),
        phase=phases,
    )
    def change_instance(
        self, instance: str, change: str, scope: str | None, kept: set[str], phase: str | None
    ) -> None:
        store = self._store(instance)
        match change:
            case "list":
                self._list(store, kept, scope=scope, phase=phase)
            case "clear":
                store.clear_deployments(scope=scope)
            case "no pods":
                store.pods_unreadable(scope=scope)
            case "age":
                self.clock.now += 601
            case "remove" | "anew":
                self.fleet.remove(instance)
                for subscriber in (*self.subscribers, *chain(*self.twins)):
                    subscriber.forget_instance(instance)
                if change == "anew":
                    self._list(self._store(instance), kept, scope=None, phase=phase)
            case _:
                set_live(store, live=change == "live")

    def _store(self, instance: str) -> Store:
        return self.fleet.stores.get(instance) or self.fleet.add(instance)

    def _list(self, store: Store, kept: set[str], *, scope: str | None, phase: str | None) -> None:
        spaces = NAMESPACES if scope is None else (scope,)
        listed = [
            deployment(name, namespace=space, uid="u0", version=next(self.numbers), phase=phase)
            for space in spaces
            for name in sorted(kept)
        ]
        store.replace_deployments(listed, scope=scope, api_group=GROUP)

    # ------------------------------------------------------------ readers

    @rule(
        pick=picks,
        cloned=st.booleans(),
        permit=permits,
        wanted=st.sampled_from(FILTERS),
        include_initial=st.booleans(),
    )
    def join(
        self, pick: int, cloned: bool, permit: Permit, wanted: DeploymentFilter, include_initial: bool
    ) -> None:
        """Somebody comes, alone or out of another's company; of too many, somebody goes."""
        if cloned and self.subscribers:
            self.subscribers.append(self._pick(pick).clone())
        else:
            self._subscribe(permit, wanted, include_initial=include_initial)
        if len(self.subscribers) > 6:
            self.subscribers.pop(pick % 6).reader.close()

    def _subscribe(self, permit: Permit, wanted: DeploymentFilter, *, include_initial: bool) -> None:
        reader = DeploymentReader(
            fleet=self.fleet, permit=permit, wanted=wanted, include_initial=include_initial
        )
        subscriber = Subscriber(self.fleet, reader, wanted, permit)
        if not include_initial:
            subscriber.untold = {
                each.id: each
                for each in everything(self.fleet)
                if permit.allows(each.instance_id, each.namespace)
            }
            subscriber.live = {
                key: feed.state.live for key, feed in self.fleet.feeds.items() if subscriber.sees(key)
            }
        self.subscribers.append(subscriber)

    @precondition(lambda self: self.subscribers)
    @rule(pick=picks, limit=limits)
    def drain(self, pick: int, limit: int) -> None:
        self._drain(self._pick(pick), limit)

    @precondition(lambda self: self.subscribers)
    @rule(pick=picks, limit=limits, before=permits, after=permits)
    def change_permit(self, pick: int, limit: int, before: Permit, after: Permit) -> None:
        """Twice, so that nothing of the first is left behind."""
        subscriber = self._pick(pick)
        subscriber.change_permit(before)
        if self._drain(subscriber, limit):
            subscriber.change_permit(after)

    @precondition(lambda self: self.subscribers)
    @rule(pick=picks, limit=limits)
    def catch_up(self, pick: int, limit: int) -> None:
        self._catch_up(self._pick(pick), limit)

    @invariant()
    def those_who_are_the_same_hear_the_same(self) -> None:
        """From wherever two of them are the same, copies of both go on side by side."""
        for one, other in combinations(self.subscribers, 2):
            if one.reader.same(other.reader) and len(self.twins) < 8:
                self.twins.append((one.clone(), other.clone()))

    @precondition(lambda self: self.twins)
    @rule(pick=picks, limit=limits)
    def drain_twins(self, pick: int, limit: int) -> None:
        self._drain_both(self.twins[pick % len(self.twins)], limit)

    def teardown(self) -> None:
        for subscriber in list(self.subscribers):
            self._catch_up(subscriber, 2)
        for twins in list(self.twins):
            while twins in self.twins and not self._drain_both(twins, 256):
                pass

    # ------------------------------------------------------------ within

    def _pick(self, pick: int) -> Subscriber:
        return self.subscribers[pick % len(self.subscribers)]

    def _catch_up(self, subscriber: Subscriber, limit: int) -> None:
        while self._drain(subscriber, limit):
            if subscriber.caught_up:
                subscriber.check()
                return

    def _drain(self, subscriber: Subscriber, limit: int) -> bool:
        """Whether it could be: who stays away for too long is told so, and is no subscriber any more."""
        try:
            subscriber.drain(limit)
        except SlowConsumer:
            assert self.clock.now > 600
            self.subscribers.remove(subscriber)
            return False
        return True

    def _drain_both(self, twins: tuple[Subscriber, Subscriber], limit: int) -> bool:
        """One turn for both, which have to hear the same; whether that was all."""
        one, other = twins
        try:
            heard = one.reader.drain(limit)
        except SlowConsumer:
            with pytest.raises(SlowConsumer):
                other.reader.drain(limit)
            self.twins.remove(twins)
            return True
        also = other.reader.drain(limit)
        assert tellable(heard.events) == tellable(also.events)
        assert heard.again == also.again
        return heard.again is None


TestStreams = Streams.TestCase
TestStreams.settings = settings(
    max_examples=examples(100), stateful_step_count=40, deadline=None, report_multiple_bugs=False
)


def test_a_flood_on_one_instance_holds_up_no_other() -> None:
    fleet, numbers = StoresFleet(), count(1)
    stores = [fleet.add(instance_id) for instance_id in INSTANCES]
    reader = DeploymentReader(fleet=fleet, permit=PERMITS[0], wanted=EVERYTHING, include_initial=False)
    heard: set[str] = set()
    for _ in range(len(INSTANCES)):
        for store in stores:
            for name in NAMES:
                store.apply_deployment(deployment(name, version=next(numbers)), api_group=GROUP)
        drained = reader.drain(len(NAMES))
        heard.update(event.instance_id for event in drained.events)
        assert drained.again == 0
    assert heard == set(INSTANCES)
