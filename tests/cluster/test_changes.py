"""The change log: whoever replays it ends where the writer is, or is told that they can't."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cluster.changes import MAX_TOMBSTONE_AGE, MAX_TOMBSTONES, ChangeLog
from cluster.errors import FellBehind
from cluster.types import Deployment, Phase, Replicas
from tests.support.resources import deployment


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def joined(name: str = "llama", *, version: int = 1) -> Deployment:
    return Deployment(
        instance_id="prod",
        api_group="airunway.ai",
        resource=deployment(name, version=version),
        pods=None,
        phase=Phase.PENDING,
        replicas=Replicas(1, 0, 0),
        observed_at=datetime(2026, 1, 31, tzinfo=UTC),
    )


def test_an_object_has_one_entry_its_newest() -> None:
    log = ChangeLog(clock=Clock())
    for version in (1, 2, 3):
        log.append(joined(version=version), deleted=False)
    log.append(joined("phi"), deleted=False)
    assert [(each.sequence, each.name) for each in log.changes(0, 10)] == [(3, "llama"), (4, "phi")]
    assert log.head == 4
    assert log.changes(4, 10) == []


def test_a_deletion_carries_the_last_state() -> None:
    log = ChangeLog(clock=Clock())
    log.append(joined(version=7), deleted=True)
    (change,) = log.changes(0, 10)
    assert change.deleted
    assert change.deployment == joined(version=7)


def test_a_reader_takes_no_more_than_it_asks_for() -> None:
    log = ChangeLog(clock=Clock())
    for number in range(10):
        log.append(joined(f"m{number}"), deleted=False)
    assert [each.sequence for each in log.changes(3, 4)] == [4, 5, 6, 7]


def test_deletions_are_forgotten_after_a_while_and_readers_from_before_are_told() -> None:
    clock = Clock()
    log = ChangeLog(clock=clock)
    log.append(joined("gone"), deleted=True)
    log.append(joined("here"), deleted=False)
    clock.now = MAX_TOMBSTONE_AGE
    assert len(log.changes(0, 10)) == 2
    clock.now += 1
    with pytest.raises(FellBehind):
        log.changes(0, 10)
    assert [each.name for each in log.changes(1, 10)] == ["here"], "this one had seen the deletion"


def test_no_more_than_so_many_deletions_are_kept() -> None:
    log = ChangeLog(clock=Clock())
    for number in range(MAX_TOMBSTONES + 5):
        log.append(joined(f"m{number}"), deleted=True)
    with pytest.raises(FellBehind):
        log.changes(4, 1)
    kept = log.changes(5, 2 * MAX_TOMBSTONES)
    assert (len(kept), kept[0].name) == (MAX_TOMBSTONES, "m5")


def test_what_is_created_anew_needs_no_tombstone() -> None:
    clock = Clock()
    log = ChangeLog(clock=clock)
    log.append(joined(), deleted=True)
    log.append(joined(version=2), deleted=False)
    clock.now = 2 * MAX_TOMBSTONE_AGE
    assert [each.deleted for each in log.changes(0, 10)] == [False]


@pytest.mark.quiet
def test_a_reader_at_the_head_pays_for_what_is_new_and_not_for_what_is_there() -> None:
    small, large = ChangeLog(clock=Clock()), ChangeLog(clock=Clock())
    for log, size in ((small, 100), (large, 100_000)):
        for number in range(size):
            log.append(joined(f"m{number}"), deleted=False)
        for _ in range(size):
            log.append(joined("m0"), deleted=False)
    assert _seconds(large) < 20 * _seconds(small), "1,000 times the objects"


def _seconds(log: ChangeLog) -> float:
    """The best of many, so that a busy machine doesn't decide."""
    best = float("inf")
    for _ in range(200):
        started = time.perf_counter()
        log.changes(log.head - 10, 256)
        best = min(best, time.perf_counter() - started)
    return best


class Reader:
    def __init__(self, position: int, known: dict[str, Deployment]) -> None:
        self.position = position
        self.known = known


class Replay(RuleBasedStateMachine):
    """Readers that come, dawdle and read in pieces, while objects come, change and go and time passes."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.log = ChangeLog(clock=self.clock)
        self.truth: dict[str, Deployment] = {}
        self.readers: list[Reader] = []
        self.version = 0

    @rule(name=st.sampled_from("abcde"))
    def put(self, name: str) -> None:
        self.version += 1
        self.truth[name] = joined(name, version=self.version)
        self.log.append(self.truth[name], deleted=False)

    @rule(name=st.sampled_from("abcde"))
    def delete(self, name: str) -> None:
        if name in self.truth:
            self.log.append(self.truth.pop(name), deleted=True)

    @rule(name=st.sampled_from("abcde"), times=st.integers(200, 600))
    def put_often(self, name: str, times: int) -> None:
        for _ in range(times):
            self.put(name)

    @rule()
    def subscribe(self) -> None:
        self.readers.append(Reader(self.log.head, dict(self.truth)))

    @rule(seconds=st.floats(0, MAX_TOMBSTONE_AGE * 1.5))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(limit=st.integers(1, 4), which=st.integers(0, 5))
    def read_some(self, limit: int, which: int) -> None:
        if which < len(self.readers):
            self._read(self.readers[which], limit)

    def _read(self, reader: Reader, limit: int) -> bool:
        try:
            changes = self.log.changes(reader.position, limit)
        except FellBehind:
            self.readers.remove(reader)
            return False
        assert len(changes) <= limit
        for change in changes:
            assert change.sequence > reader.position
            reader.position = change.sequence
            if change.deleted:
                reader.known.pop(change.name, None)
            else:
                reader.known[change.name] = change.deployment
        return bool(changes)

    @invariant()
    def whoever_is_up_to_date_never_fell_behind(self) -> None:
        if hasattr(self, "log"):
            assert self.log.changes(self.log.head, 1) == []

    @invariant()
    def everybody_ends_with_the_truth(self) -> None:
        for reader in getattr(self, "readers", []):
            probe = Reader(reader.position, dict(reader.known))
            self.readers.append(probe)
            while self._read(probe, 3):
                pass
            if probe in self.readers:
                self.readers.remove(probe)
                assert probe.known == self.truth
                assert probe.position == self.log.head or not self.log.changes(probe.position, 1)


Replay.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReplay = Replay.TestCase
