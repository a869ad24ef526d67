"""What one request may ask for: what passes, what is refused with which words, and how long that takes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.build import build_schema
from schema.documents import Document, Documents
from schema.errors import LimitExceeded
from schema.limits import DEFAULT_LIMITS, Limits, judge_text, judge_tree, judge_variables
from tests.support.attacks import ATTACKS, growth, processor_seconds

SCHEMA = build_schema()
NO_LIMIT = 10**9
WIDE = Limits(
    length=NO_LIMIT,
    tokens=NO_LIMIT,
    fields=NO_LIMIT,
    depth=NO_LIMIT,
    root_fields=NO_LIMIT,
    aliases=NO_LIMIT,
    directives=NO_LIMIT,
)
"""All but the nesting, which keeps the parser from recursing too deeply."""
DASHBOARD = """
query Dashboard($first: Int = 100, $filter: DeploymentFilter) {
  viewer { id displayName isAdmin grants { role instanceId namespaces } }
  instances(first: 100) { nodes { ...Cluster } totalCount }
  running: deployments(filter: {phases: [RUNNING]}, first: $first) { ...Page }
  failing: deployments(filter: {unhealthy: true}, first: $first) { ...Page }
  mine: deployments(filter: $filter, first: $first) { ...Page }
  deploymentSummary { total phases { phase count } instances { value count } }
}
fragment Page on DeploymentConnection {
  totalCount pageInfo { hasNextPage endCursor } nodes { ...Row } sources { instanceId status stale error }
}
fragment Row on Deployment {
  ...Name phase message stale replicas { desired ready available } endpoint { url modelName }
  conditions { type status reason message } pods { name phase ready containers { name state restartCount } }
  instance { ...Cluster }
}
fragment Name on Deployment { id instanceId namespace name modelId engine provider }
fragment Cluster on Instance { id name displayName status statusReason kubernetesVersion nodeCount }
"""
EVERYTHING = """
query ($first: Int!) { deployments(first: $first) { totalCount nodes {
  id instanceId namespace name uid modelId servedName engine engineName provider mode phase message stale
  gpuCount gpuType image contextLength createdAt createdByName resourceVersion generation viewerCan
  replicas { desired ready available } endpoint { service port url modelName } labels { key value }
  conditions { type status reason message lastTransitionTime }
  pods { uid name phase ready nodeName startedAt
    containers { name state ready restartCount reason message exitCode } }
} } }
"""


def reasons(query: str, limits: Limits = DEFAULT_LIMITS) -> set[str]:
    """Which limits the document is over."""
    checked = Documents(SCHEMA, limits).check(query)
    if isinstance(checked, Document):
        return set()
    return {
        error.original_error.reason for error in checked if isinstance(error.original_error, LimitExceeded)
    }


# ------------------------------------------------------------------ what passes


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (get_introspection_query(), {}),
        (
            get_introspection_query(
                specified_by_url=True,
                directive_is_repeatable=True,
                schema_description=True,
                input_value_deprecation=True,
            ),
            {},
        ),
        (DASHBOARD, {}),
        (DASHBOARD, {"first": 100, "filter": {"instanceIds": ["prod-east"], "namespaces": ["ml-team"]}}),
        (EVERYTHING, {"first": 1000}),
    ],
    ids=[
        "introspection",
        "GraphiQL's introspection",
        "a dashboard",
        "its variables",
        "all of 1,000 deployments",
    ],
)
def test_what_people_ask_for_passes_by_far(query: str, variables: Mapping[str, Any]) -> None:
    document = Documents(SCHEMA).check(query)
    assert isinstance(document, Document), document
    assert document.cost(parse_first(document), variables) <= DEFAULT_LIMITS.cost
    half = replace(
        DEFAULT_LIMITS,
        **{
            name: getattr(DEFAULT_LIMITS, name) // 2
            for name in ("length", "tokens", "nesting", "root_fields", "aliases", "directives", "fields")
        },
    )
    assert reasons(query, half) == set()


def parse_first(document: Document) -> Any:
    return document.node.definitions[0]


# ------------------------------------------------------------------ what is refused

AT_THE_LIMIT = (
    ("length", 40, "{ hub { mode } }" + " " * 24, "{ hub { mode } }" + " " * 25),
    ("tokens", 6, "{ hub { mode } }", "{ hub { mode } } # more"),
    ("tokens", 9, "{ hub { a: mode } } # {", "{ hub { a: mode } } # { \n#"),
    ("nesting", 2, "{ hub { mode } }", "{ hub { ... { mode } } }"),
    ("nesting", 3, '{ instances(filter: {search: "[[[["}) { totalCount } }', "{ a(x: [[1]]) }"),
    (
        "nesting",
        3,
        "{ ...F } fragment F on Query { hub { mode } }",
        "{ ...F } fragment F on Query { ... { hub { mode } } }",
    ),
    ("depth", 2, "{ hub { mode } }", "{ instances { nodes { id } } }"),
    (
        "depth",
        2,
        "{ ...F } fragment F on Query { hub { mode } }",
        "{ ...F } fragment F on Query { instances { nodes { id } } }",
    ),
    (
        "root_fields",
        1,
        "{ ... { hub { mode } } }",
        "{ ... { hub { mode } } ...F } fragment F on Query { viewer { id } }",
    ),
    ("aliases", 2, "{ a: hub { b: mode } }", "{ a: hub { ...F ...F } } fragment F on Hub { b: mode }"),
    (
        "directives",
        1,
        "query @x { hub { mode } }",
        "query @x { ...F @x } fragment F on Query { hub { mode } }",
    ),
    ("directives", 1, "query ($a: Int @x) { hub { mode } }", "query ($a: Int @x) { hub { mode @x } }"),
    ("fields", 2, "{ hub { mode } }", "{ hub { mode version } }"),
    (
        "fields",
        4,
        "{ ...F } fragment F on Query { hub { mode } }",
        "{ ...F ...F } fragment F on Query { hub { mode } }",
    ),
    (
        "fields",
        4,
        "query A { hub { mode } } query B { hub { mode } }",
        "query A { hub { mode } } query B { hub { mode version } }",
    ),
    (
        "fields",
        4,
        '{ instances(filter: {search: "x"}) { totalCount } }',
        '{ instances(filter: {search: "x"}, first: 1) { totalCount } }',
    ),
    (
        "fields",
        4,
        "{ hub { mode } } fragment F on Hub { mode version }",
        "{ hub { mode } } fragment F on Hub { mode version mode }",
    ),
)


@pytest.mark.parametrize(("name", "limit", "within", "beyond"), AT_THE_LIMIT)
def test_a_limit_is_kept_to_the_last(name: str, limit: int, within: str, beyond: str) -> None:
    limits = replace(WIDE, **{name: limit})
    assert name.upper() not in reasons(within, limits)
    assert name.upper() in reasons(beyond, limits)


def test_a_refusal_says_which_limit_and_how_much_was_asked_for() -> None:
    limits = replace(DEFAULT_LIMITS, aliases=2, depth=2)
    query = "{ a: instances { b: nodes { c: id } } }"
    first, second = judge_tree(parse(query), limits)
    assert (first.reason, first.limit, first.actual) == ("DEPTH", 2, 3)
    assert (second.reason, second.limit, second.actual) == ("ALIASES", 2, 3)
    assert "3 aliases; 2 are allowed" in str(second)


def test_what_a_bomb_stands_for_is_counted_without_setting_it_off() -> None:
    bomb = "{ ...F0 }" + " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(40))
    exceeded = judge_tree(parse(bomb + "fragment F40 on Query { hub { mode } }"), DEFAULT_LIMITS)
    assert {each.reason: each.actual for each in exceeded} == {"FIELDS": 10**9, "ROOT_FIELDS": 10**9}


@pytest.mark.parametrize(
    "text", ['"""', '"', '"""\\"""', "\\", "\ufeff{", "\x00", "🙂", "}{", "{a" * 100_000, "(" * 100_000]
)
def test_no_text_is_more_than_refused(text: str) -> None:
    assert isinstance(Documents(SCHEMA).check(text), tuple)


@settings(deadline=None)
@given(st.text(st.sampled_from(list('{}()[]"\\#.$@!:=|& \n\ra1-é\ufeff')), max_size=60))
def test_any_text_has_as_many_tokens_as_the_parser_sees(text: str) -> None:
    try:
        document = parse(text, no_location=False)
    except Exception:  # refused by the parser: whatever was counted
        judge_text(text, WIDE) if max_nesting(text) <= WIDE.nesting else None
        return
    assert document.loc is not None
    seen, token = 0, document.loc.start_token.next
    while token is not None and token.next is not None:
        seen, token = seen + 1, token.next
    assert judge_text(text, WIDE) == seen


def max_nesting(text: str) -> int:
    return sum(text.count(bracket) for bracket in "{[(")


# ------------------------------------------------------------------ variables


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"a": [1, 2], "b": {"c": None}}, None),
        ({"a": [1, 2, 3], "b": {"c": None}}, "VALUES"),
        ({"a": {"b": {"c": 1}}}, None),
        ({"a": {"b": {"c": [1]}}}, "NESTING"),
        ({"a": [[[[]]]]}, "NESTING"),
        ({}, None),
    ],
)
def test_variables(variables: Mapping[str, Any], reason: str | None) -> None:
    limits = replace(DEFAULT_LIMITS, values=5, nesting=3)
    if reason is None:
        judge_variables(variables, limits)
    else:
        with pytest.raises(LimitExceeded) as refused:
            judge_variables(variables, limits)
        assert refused.value.reason == reason


def test_a_million_values_are_refused_after_the_first_thousands() -> None:
    many: Mapping[str, Any] = {"a": [[0] * 1_000 for _ in range(1_000)]}
    with pytest.raises(LimitExceeded):
        judge_variables(many, DEFAULT_LIMITS)

    def judge() -> None:
        with suppress(LimitExceeded):
            judge_variables(many, DEFAULT_LIMITS)

    assert processor_seconds(judge) < 0.05


# ------------------------------------------------------------------ documentation


@pytest.mark.parametrize("field", fields(Limits), ids=lambda field: field.name)
def test_every_limit_is_documented_with_its_default_and_its_variable(field: Field[int]) -> None:
    rows = [
        line.split("|") for line in Path("docs/limits.md").read_text().splitlines() if "HUB_LIMIT_" in line
    ]
    defaults = {row[4].strip(): row[3].strip() for row in rows if len(row) == 7}
    assert defaults[f"`HUB_LIMIT_{field.name.upper()}`"] == str(field.default)


# ------------------------------------------------------------------ time


@pytest.mark.parametrize("name", ATTACKS)
def test_twice_the_attack_takes_twice_the_time(name: str) -> None:
    """Without limits but on nesting, and on fields: operations multiply with what they have in common."""
    limits, attack = replace(WIDE, fields=8_000, length=80_000), ATTACKS[name]
    assert (
        growth(lambda size: Documents(SCHEMA, limits).check(attack(size), suggestions=True), 600, most=2.5)
        <= 3
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_takes_long(name: str) -> None:
    """What is within the limits takes milliseconds, 40 on a slow machine; what isn't, next to nothing."""
    attack = ATTACKS[name]
    largest = max((size for size in range(50, 1_050, 50) if not reasons(attack(size))), default=50)
    assert processor_seconds(lambda: Documents(SCHEMA).check(attack(largest), suggestions=True)) < 0.2
    assert processor_seconds(lambda: Documents(SCHEMA).check(attack(20_000), suggestions=True)) < 0.02
