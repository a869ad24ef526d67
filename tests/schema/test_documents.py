"""Documents that are checked once, what is told of bad ones and to whom, and that nobody waits meanwhile."""

import asyncio
import gc
import time
from collections.abc import Sequence
from datetime import datetime

import pytest
import strawberry
from graphql import (
    GraphQLSyntaxError,
    OverlappingFieldsCanBeMergedRule,
    parse,
    specified_rules,
    validate,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from schema.build import build_schema
from schema.common import DATE_TIME
from schema.documents import ERRORS, KEPT, TOKEN, Checked, Document, Documents
from schema.limits import Limits
from schema.validation import validated
from tests.support.attacks import ATTACKS

SCHEMA = build_schema()
MISSPELT = (
    ("{ hub { mod } }", "Did you mean 'mode'?"),
    ("{ hub(x: 1) { mode } instances(firs: 1) { totalCount } }", "Did you mean 'first'?"),
    ("{ ...on Deploymnt { id } }", "Did you mean 'Deployment'?"),
    ('{ deployments(filter: {serch: ""}) { totalCount } }', "Did you mean 'search'?"),
    ("{ deployments(filter: {phases: [RUNING]}) { totalCount } }", "Did you mean the enum value"),
    ("query ($a: Deploymnt) { hub { mode } }", "Did you mean 'Deployment'?"),
)
WORDS = (
    *("{", "}", "(", ")", "[", "]", ":", "!", "=", "...", "#", "\n", "$a", "@skip", "@include", "on", "if"),
    *("query", "subscription", "fragment", "F", "Query", "Deployment", "Int", "ID", "hub", "mode", "node"),
    *("instances", "deployments", "deploymentEvents", "filter", "first", "nodes", "id", "RUNNING", '"s"'),
    *("1", "-1", "1e999", "99999999999", "null", "true", "__schema", "__typename"),
)


@strawberry.type
class Query:
    @strawberry.field
    def at(self, time: datetime) -> int:
        return time.year


TIMES = strawberry.Schema(query=Query, config=StrawberryConfig(scalar_map={datetime: DATE_TIME}))


def messages(checked: Checked) -> list[str]:
    assert isinstance(checked, tuple)
    return [error.message for error in checked]


# ------------------------------------------------------------------ kept


def test_a_document_is_checked_once() -> None:
    documents = Documents(SCHEMA)
    good, bad = documents.check("{ hub { mode } }"), documents.check("{ hub }")
    assert isinstance(good, Document)
    assert documents.check("{ hub { mode } }") is good
    assert documents.check("{ hub { mode } }", suggestions=True) is good
    assert documents.check("{ hub }") is bad


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    documents = Documents(SCHEMA)
    first, second = documents.check("{ hub { mode } }"), documents.check("{ hub { version } }")
    filler = "{ hub { " + "mode " * 900 + "} }"
    for number in range(KEPT // (900 * TOKEN) + 1):
        documents.check(f"{filler} # {number}")
        assert documents.check("{ hub { mode } }") is first
    assert documents.check("{ hub { version } }") is not second
    assert documents._size <= KEPT


def test_what_is_too_large_displaces_nothing() -> None:
    documents = Documents(SCHEMA, Limits(length=1_000))
    first = documents.check("{ hub { mode } }")
    for number in range(100):
        assert isinstance(documents.check(f"{{ hub {{ mode }} }} # {number}" + " " * 1_000_000), tuple)
    assert documents.check("{ hub { mode } }") is first


# ------------------------------------------------------------------ what is told


@pytest.mark.parametrize(("query", "suggestion"), MISSPELT)
def test_suggestions_are_for_those_who_may_see_the_schema(query: str, suggestion: str) -> None:
    """In whichever order they ask, since what was found out is kept."""
    for order in ((False, True, False), (True, False, True)):
        documents = Documents(SCHEMA)
        for suggestions in order:
            told = messages(documents.check(query, suggestions=suggestions))
            assert any("Did you mean" in message for message in told) == suggestions
            assert not suggestions or any(suggestion in message for message in told)


def test_all_errors_stay_when_the_first_get_suggestions() -> None:
    query = "{ hub { " + " ".join(f"mod{number}" for number in range(6)) + " } }"
    documents = Documents(SCHEMA)
    plain, suggested = messages(documents.check(query)), messages(documents.check(query, suggestions=True))
    assert len(plain) == len(suggested) == 6
    assert [message.split(" Did")[0] for message in suggested] == plain
    assert ["Did you" in message for message in suggested] == [True] * 3 + [False] * 3


def test_so_many_errors_are_told_and_no_more() -> None:
    told = messages(
        Documents(SCHEMA).check("{ hub { " + " ".join(f"no{number}" for number in range(90)) + " } }")
    )
    assert len(told) == ERRORS + 1
    assert told[-1] == "There are more errors: these are the first."


def test_errors_say_where() -> None:
    for query, line, column in (("{\n hub {\n  nope } }", 3, 3), ("{\n hub { mode }", 2, 14)):
        checked = Documents(SCHEMA).check(query)
        assert isinstance(checked, tuple)
        assert [(at.line, at.column) for at in checked[0].locations or []] == [(line, column)]


def test_what_a_scalar_finds_wrong_with_a_literal_is_wrong_with_the_document() -> None:
    """Not an exception of ours, which would be masked and logged."""
    checked = Documents(TIMES).check('{ at(time: "noon") }')
    assert isinstance(checked, tuple)
    assert "is no ISO 8601 time" in checked[0].message
    assert checked[0].original_error is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS)))
@example(
    [
        "query",
        "(",
        "$a",
        ":",
        "ID",
        "=",
        "9" * 5_000,
        ")",
        "{",
        "node",
        "(",
        "id",
        ":",
        "$a",
        ")",
        "{",
        "id",
        "}",
        "}",
    ]
)
@example(["{", "instances", "(", "first", ":", "9" * 5_000, ")", "{", "totalCount", "}", "}"])
@example(["{", "}"])
def test_no_document_is_more_than_refused(tokens: Sequence[str]) -> None:
    checked = Documents(SCHEMA).check(" ".join(tokens), suggestions=True)
    if isinstance(checked, Document):
        for definition in checked.node.definitions:
            if definition.kind == "operation_definition":
                checked.cost(definition, {"a": None})  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS)))
@example(["query", "{", "hub", "{", *(f"x{number}" for number in range(30)), "}", "}"])
@example(["{", "hub", "{", "mode", "}", "}", "fragment", "F", "on", "Hub", "{", "mode", "}"])
def test_what_is_wrong_is_what_graphql_core_finds(tokens: Sequence[str]) -> None:
    try:
        document = parse(" ".join(tokens))
    except GraphQLSyntaxError:
        return
    rules = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
    theirs = validate(SCHEMA._schema, document, rules, max_errors=ERRORS, hide_suggestions=True)
    if theirs:
        ours = validated(SCHEMA._schema, document, most=ERRORS)
        assert [error.formatted for error in ours[:ERRORS]] == [error.formatted for error in theirs[:ERRORS]]
        assert len(ours) == len(theirs)


def test_what_was_checked_leaves_nothing_for_the_garbage_collector() -> None:
    """Each of these has thousands of objects; freeing them all at once made everybody wait."""
    for name in (
        "unknown fields",
        "unused fragments",
        "one leaf often",
        "wrong values",
        "undefined variables",
    ):
        gc.collect()
        gc.disable()
        try:
            for number in range(3):
                Documents(SCHEMA).check(f"{ATTACKS[name](900)} # {number}", suggestions=True)
            assert gc.collect() < 100
        finally:
            gc.enable()


# ------------------------------------------------------------------ meanwhile


@pytest.mark.quiet
async def test_who_sends_a_known_document_does_not_wait_for_unknown_ones() -> None:
    documents = Documents(SCHEMA)
    await documents.admit("{ hub { mode } }")

    async def flood(attacker: int) -> None:
        for number in range(4):
            text = ATTACKS["one leaf often"](950) + f" # {attacker} {number}"
            await documents.admit(text, suggestions=True)
            assert isinstance(documents.check(text), Document)

    waits = []
    async with asyncio.TaskGroup() as tasks:
        attackers = [tasks.create_task(flood(number)) for number in range(8)]
        while not all(attacker.done() for attacker in attackers):
            began = time.perf_counter()
            await documents.admit("{ hub { mode } }")
            assert isinstance(documents.check("{ hub { mode } }"), Document)
            await asyncio.sleep(0)
            waits.append(time.perf_counter() - began)
    # Checked by the event loop, eight such documents would hold it for a quarter of a second at once.
    assert sorted(waits)[int(len(waits) * 0.99)] < 0.05


async def test_one_document_that_many_send_at_once_is_checked_once() -> None:
    documents = Documents(SCHEMA)
    await asyncio.gather(*(documents.admit("{ hub { mode } }") for _ in range(100)))
    size = documents._size
    await asyncio.gather(*(documents.admit("{ hub { mod } }", suggestions=True) for _ in range(100)))
    assert documents._size < 3 * size


async def test_who_sends_many_documents_waits_for_their_own() -> None:
    documents = Documents(SCHEMA)
    finished: list[str] = []

    async def send(who: str, number: int) -> None:
        await documents.admit(ATTACKS["one leaf often"](500) + f" # {who} {number}", who=who)
        finished.append(who)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(send("attacker", number))
        await asyncio.sleep(0)  # they all stand in line
        tasks.create_task(send("other", 0))
    assert finished.index("other") <= 2
    assert not documents._turns
