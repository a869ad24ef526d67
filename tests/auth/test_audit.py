"""The audit's entries on both databases: attempts and outcomes, what a crash leaves, the queue, the sweep."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from auth.accounts import ensure_user
from auth.audit import (
    OVERDUE,
    Act,
    Entry,
    Means,
    Origin,
    Outcome,
    Verdict,
    make_entry,
    mark_unknown,
    sweep_entries,
    write_entries,
)
from auth.audit_log import AuditFilter, count_entries, list_entries
from auth.audit_trail import AuditTrail
from auth.identity import Provider
from auth.people import Person
from auth.tokens import mint
from models.bus import Change
from models.database import Database, open_database
from models.errors import DatabaseUnavailable
from models.tables import User
from models.url import parse_database_url
from tests.support.databases import running_postgres
from tests.support.waiting import until

ADA = Origin(actor_name="Ada", method=Means.SESSION, address="192.0.2.7", request_id="request-1")
STRANGER = Origin(actor_name="anonymous", method=Means.ANONYMOUS, request_id="request-2")
DELETE = Act(action="deleteDeployment", instance_id="east", namespace="ml-team", target="llama")
REFUSED = Verdict(Outcome.REFUSED, "FORBIDDEN", "no")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def judged(error: BaseException) -> Verdict:
    return Verdict(Outcome.FAILED, type(error).__name__, "it went wrong")


async def entries(**wanted: object) -> list[Entry]:
    """The newest first."""
    return await list_entries(AuditFilter(**wanted), first=10_000)  # type: ignore[arg-type]


def an_entry(number: int, *, origin: Origin = ADA, outcome: Outcome = Outcome.SUCCEEDED) -> Entry:
    return make_entry(
        origin, Act(action=f"act{number}"), Verdict(outcome), now=NOW + timedelta(seconds=number)
    )


@contextmanager
def told(database: Database) -> Iterator[list[Change]]:
    changes: list[Change] = []
    unsubscribe = database.bus.subscribe(changes.append)
    try:
        yield changes
    finally:
        unsubscribe()


# ---------------------------------------------------------------- acts


async def test_an_act_is_written_down_before_it_is_done_and_again_with_its_outcome(
    database: Database,
) -> None:
    with told(database) as changes:
        async with AuditTrail().acting(ADA, DELETE, judge=judged) as attempt:
            (entry,) = await entries()
            assert entry.outcome is Outcome.ATTEMPTED
            assert entry.id == attempt.entry.id
        (done,) = await entries()
    assert (done.outcome, done.code, done.message) == (Outcome.SUCCEEDED, None, None)
    assert (done.id, done.occurred_at) == (entry.id, entry.occurred_at)
    assert (done.action, done.instance_id, done.namespace, done.target) == (
        "deleteDeployment", "east", "ml-team", "llama",
    )  # fmt: skip
    assert (done.actor_name, done.method, done.ip_address, done.request_id) == (
        "Ada", Means.SESSION, "192.0.2.7", "request-1",
    )  # fmt: skip
    assert [change for change in changes if change.kind == "audit"] == [Change("audit", done.id)] * 2


@pytest.mark.usefixtures("database")
async def test_what_goes_wrong_is_written_and_goes_on_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        async with AuditTrail().acting(ADA, DELETE, judge=judged):
            raise ZeroDivisionError
    (entry,) = await entries()
    assert (entry.outcome, entry.code, entry.message) == (
        Outcome.FAILED, "ZeroDivisionError", "it went wrong",
    )  # fmt: skip


@pytest.mark.usefixtures("database")
async def test_what_is_given_up_is_unknown() -> None:
    trail, begun = AuditTrail(), asyncio.Event()

    async def act() -> None:
        async with trail.acting(ADA, DELETE, judge=judged):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(act())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await trail.write()
    (entry,) = await entries()
    assert (entry.outcome, entry.message) == (Outcome.UNKNOWN, "given up before it was over")


async def test_a_crash_between_attempt_and_outcome_leaves_unknown(database: Database) -> None:
    """Neither what is under way elsewhere nor what has an outcome is touched; an outcome that comes late is
    believed."""
    crashed = an_entry(1, outcome=Outcome.ATTEMPTED)
    await write_entries([crashed, an_entry(2), an_entry(100, outcome=Outcome.ATTEMPTED)])
    with told(database) as changes:
        assert await mark_unknown(now=NOW + timedelta(seconds=2) + OVERDUE) == 1
    assert changes == [Change("audit", crashed.id)]
    assert [entry.outcome for entry in await entries()] == [
        Outcome.ATTEMPTED, Outcome.SUCCEEDED, Outcome.UNKNOWN,
    ]  # fmt: skip
    assert await mark_unknown(now=NOW + timedelta(seconds=2) + OVERDUE) == 0

    trail = AuditTrail(clock=lambda: NOW)
    async with trail.acting(ADA, DELETE, judge=judged) as attempt:
        await mark_unknown(now=NOW + OVERDUE + timedelta(seconds=1))
        assert (await entries(actions=("deleteDeployment",)))[0].outcome is Outcome.UNKNOWN
    (entry,) = [each for each in await entries() if each.id == attempt.entry.id]
    assert entry.outcome is Outcome.SUCCEEDED


@pytest.mark.usefixtures("database")
async def test_the_sweep_at_the_start_finds_what_a_crash_left() -> None:
    await write_entries([an_entry(1, outcome=Outcome.ATTEMPTED)])
    task = asyncio.create_task(
        AuditTrail(clock=lambda: NOW + timedelta(hours=1)).keep_swept(timedelta(days=90))
    )

    async def is_unknown() -> bool:
        return [entry.outcome for entry in await entries()] == [Outcome.UNKNOWN]

    await until(is_unknown)
    task.cancel()


async def test_nothing_is_done_that_cannot_be_written_down() -> None:
    """And an outcome that couldn't be written when it was due is written when the database is back."""
    with running_postgres() as server:
        async with open_database(parse_database_url(f"{server.url}/postgres")) as database:
            with database.entered():
                trail, done = AuditTrail(), []
                async with trail.acting(ADA, DELETE, judge=judged):
                    server.stop()
                    done.append("begun before")
                with pytest.raises(DatabaseUnavailable):
                    async with trail.acting(ADA, Act(action="never"), judge=judged):
                        done.append("begun without a database")
                trail.note(STRANGER, Act(action="users"), REFUSED)
                await trail.write()  # waits on
                assert done == ["begun before"]
                server.start()

                async def is_written() -> bool:
                    await trail.write()
                    try:
                        found = {entry.action: entry.outcome for entry in await entries()}
                    except DatabaseUnavailable:
                        return False
                    return found == {"deleteDeployment": Outcome.SUCCEEDED, "users": Outcome.REFUSED}

                await until(is_written)


# ---------------------------------------------------------------- what an entry holds


@pytest.mark.usefixtures("database")
async def test_a_persons_entries_keep_the_name_when_the_person_is_gone() -> None:
    user_id = await ensure_user(Person(Provider.DEMO, "ada"))
    ada = Origin(actor_id=user_id, actor_name="Ada", method=Means.SESSION, request_id="r")
    await write_entries([an_entry(1, origin=ada)])
    assert [entry.actor_id for entry in await entries(actor_ids=(user_id,))] == [user_id]
    await User.filter(id=user_id).delete()
    await write_entries([an_entry(2, origin=ada)])
    assert [(entry.actor_id, entry.actor_name) for entry in await entries()] == [(None, "Ada")] * 2


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("x" * 1_000, "x" * 320),
        ("two\nlines\x1b[31m", "two lines [31m"),
        pytest.param(mint().secret, "***", id="a token"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "a ***"),
        ("usr_01KAY", "usr_01KAY"),
    ],
)
async def test_a_target_is_short_one_line_and_no_credential(given: str, kept: str) -> None:
    entry = make_entry(ADA, Act(action="a", target=given), Verdict(Outcome.SUCCEEDED), now=NOW)
    await write_entries([entry])
    assert [found.target for found in await entries()] == [kept]


# ---------------------------------------------------------------- refusals


@pytest.mark.usefixtures("database")
async def test_refusals_are_written_together_and_what_is_too_much_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Strangers fill half of the queue at the most."""
    trail = AuditTrail(queued=100)
    for _ in range(80):
        trail.note(STRANGER, Act(action="users"), REFUSED)
    for _ in range(60):
        trail.note(ADA, Act(action="user"), REFUSED)
    assert trail.dropped == 40
    with caplog.at_level(logging.WARNING, logger="auth.audit_trail"):
        await trail.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the audit is incomplete: 40 refusals were dropped: more came than can be written"
    ]
    assert await count_entries(AuditFilter(actions=("users",))) == 50
    assert await count_entries(AuditFilter(actions=("user",))) == 50
    (dropped,) = await entries(actions=("auditDropped",))
    assert dropped.message == "40 refusals were dropped: more came than can be written"
    assert (dropped.method, dropped.outcome) == (Means.SYSTEM, Outcome.FAILED)

    trail.note(ADA, Act(action="users"), REFUSED)
    await trail.close()
    assert await count_entries(AuditFilter()) == 102


@pytest.mark.usefixtures("database")
async def test_the_queues_task_writes_what_is_noted() -> None:
    trail = AuditTrail()
    task = asyncio.create_task(trail.keep_written())
    for number in range(2):

        async def is_written(expected: int = number + 1) -> bool:
            return await count_entries(AuditFilter()) == expected

        trail.note(ADA, Act(action="users"), REFUSED)
        await until(is_written)
    task.cancel()


# ---------------------------------------------------------------- retention, filters, pages


@pytest.mark.usefixtures("database")
async def test_what_is_older_than_the_retention_is_deleted() -> None:
    await write_entries([an_entry(number) for number in range(2_500)])
    month = timedelta(days=30)
    assert await sweep_entries(now=NOW + month, retention=month) == 0
    assert await sweep_entries(now=NOW + month + timedelta(seconds=2_300), retention=month) == 2_300
    assert [entry.action for entry in await entries()] == [
        f"act{number}" for number in range(2_499, 2_299, -1)
    ]


@pytest.mark.usefixtures("database")
async def test_every_filter_means_the_same_to_the_database_and_to_a_stream() -> None:
    user_id = await ensure_user(Person(Provider.DEMO, "ada"))
    ada = Origin(actor_id=user_id, actor_name="Ada", method=Means.SESSION, request_id="r")
    west = Act(action="createDeployment", instance_id="west", namespace="Team", target="LLaMA_7%")
    written = [
        make_entry(ada, DELETE, Verdict(Outcome.SUCCEEDED), now=NOW),
        make_entry(ADA, west, REFUSED, now=NOW + timedelta(microseconds=1)),
        make_entry(STRANGER, Act(action="users"), REFUSED, now=NOW + timedelta(seconds=1)),
    ]
    await write_entries(written)
    first, second, third = written
    second_at = second.occurred_at
    cases = [
        (AuditFilter(), [first, second, third]),
        (AuditFilter(actor_ids=(user_id,)), [first]),
        (AuditFilter(actor_ids=()), []),
        (AuditFilter(actions=("users", "deleteDeployment")), [first, third]),
        (AuditFilter(actions=("user",)), []),
        (AuditFilter(outcomes=(Outcome.REFUSED,)), [second, third]),
        (AuditFilter(outcomes=()), []),
        (AuditFilter(instance_ids=("west",)), [second]),
        (AuditFilter(namespaces=("ml-team", "other")), [first]),
        (AuditFilter(target="llama"), [first, second]),
        (AuditFilter(target="a_7%"), [second]),
        (AuditFilter(target="a%7"), []),
        (AuditFilter(request_id="request-2"), [third]),
        (AuditFilter(since=second_at), [second, third]),
        (AuditFilter(until=second_at), [first]),
        (AuditFilter(since=second_at, until=second_at + timedelta(microseconds=1)), [second]),
        (AuditFilter(outcomes=(Outcome.REFUSED,), instance_ids=("east",)), []),
    ]
    for wanted, expected in cases:
        assert await list_entries(wanted, first=10) == expected[::-1], wanted
        assert await count_entries(wanted) == len(expected), wanted
        assert [entry for entry in written if wanted.matches(entry)] == expected, wanted
