"""What an operation costs by its page sizes, and what that is not allowed to be."""

from collections.abc import Mapping
from typing import Any

import pytest
from graphql import GraphQLObjectType, OperationDefinitionNode

from schema.build import build_schema
from schema.cost import BASES, ITEM, LIST, LISTS
from schema.documents import Document, Documents
from schema.errors import LimitExceeded
from schema.limits import DEFAULT_LIMITS, Limits
from tests.schema.test_limits import EVERYTHING
from tests.support.attacks import growth, processor_seconds
from tests.support.surface import World

SCHEMA = build_schema()
UNLIMITED = Limits(cost=10**12)
SCAN = BASES["Query.deployments"]


def cost(
    query: str, variables: Mapping[str, Any] | None = None, *, operation: int = 0, limits: Limits = UNLIMITED
) -> int:
    document = Documents(SCHEMA, limits).check(query)
    assert isinstance(document, Document), document
    definition = document.node.definitions[operation]
    assert isinstance(definition, OperationDefinitionNode)
    return document.cost(definition, variables or {})


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ hub { mode version } }", {}, 3),
        ("{ hub { authProviders { name loginUrl } } }", {}, 1 + LIST * 3),
        ("{ instances { totalCount } }", {}, 2),
        ("{ instances { nodes { id } } }", {}, 1 + 50 * (ITEM + 2)),
        ("{ instances(first: 3) { nodes { id } } }", {}, 1 + 3 * (ITEM + 2)),
        ("{ instances(first: 3) { edges { cursor node { id name } } } }", {}, 1 + 3 * (ITEM + 5)),
        ("{ instances(first: null) { nodes { id } } }", {}, 1 + 50 * (ITEM + 2)),
        (
            "{ deployments(first: 2) { nodes { pods { name containers { name } } } } }",
            {},
            SCAN + 1 + 2 * (ITEM + 1 + 3 * (2 + 2 * 2)),
        ),
        (
            "{ deployments(first: 2) { nodes { viewerCan } pageInfo { endCursor } } }",
            {},
            SCAN + 1 + 2 + 2 * (ITEM + 1 + 2),
        ),
        ("query ($n: Int) { instances(first: $n) { nodes { id } } }", {"n": 7}, 1 + 7 * (ITEM + 2)),
        ("query ($n: Int = 5) { instances(first: $n) { nodes { id } } }", {}, 1 + 5 * (ITEM + 2)),
        ("query ($n: Int = 5) { instances(first: $n) { nodes { id } } }", {"n": None}, 1 + 50 * (ITEM + 2)),
        ("query ($n: Int) { instances(first: $n) { nodes { id } } }", {}, 1 + 50 * (ITEM + 2)),
        ("query ($n: Int) { instances(first: $n) { nodes { id } } }", {"n": 8.0}, 1 + 8 * (ITEM + 2)),
        ("{ ...A ...A } fragment A on Query { hub { ...B } } fragment B on Hub { mode }", {}, 4),
        (
            "{ instances(first: 3) { ...P } } fragment P on InstanceConnection { totalCount nodes { id } }",
            {},
            2 + 3 * (ITEM + 2),
        ),
        (
            "query ($n: Int) { ...A ...A } fragment A on Query { instances(first: $n) { nodes { id } } }",
            {"n": 7},
            2 * (1 + 7 * (ITEM + 2)),
        ),
        ('{ node(id: "a") { ... on Deployment { id name } ... on Instance { id } } }', {}, 4),
        ("{ hub { mode @skip(if: true) } }", {}, 2),
        ("subscription { deploymentChanges { events { type } } }", {}, 1 + 200 * 2),
        (
            "mutation ($i: DeleteDeploymentInput!) { deleteDeployment(input: $i) { deletedDeploymentId } }",
            {"i": {"instanceId": "a", "namespace": "b", "name": "c"}},
            1_000 + 2,
        ),
        ("{ __schema { types { name } } }", {}, 1 + LIST * 2),
    ],
)
def test_figures(query: str, variables: Mapping[str, Any], expected: int) -> None:
    assert cost(query, variables) == expected


@pytest.mark.parametrize("first", [-1, 10**9, 2**31, "many", [1], {}, True, 1e308])
def test_a_size_that_the_field_will_refuse_is_no_limit_of_ours(first: object) -> None:
    """`first` out of range is BAD_USER_INPUT, with words that say what would do."""
    query = "query ($n: Int) { deployments(first: $n) { nodes { id } } }"
    assert cost(query, {"n": first}, limits=DEFAULT_LIMITS) <= SCAN + 1 + 1_000 * (ITEM + 2)
    assert cost("{ deployments(first: 1000000000) { nodes { id } } }", limits=DEFAULT_LIMITS)


def test_each_operation_costs_its_own() -> None:
    query = """
      query Small($n: Int = 2) { ...Page }
      query Large($n: Int = 20) { ...Page hub { mode } }
      fragment Page on Query { instances(first: $n) { nodes { id } } }
    """
    assert [cost(query, operation=number) for number in (0, 1)] == [
        1 + 2 * (ITEM + 2),
        3 + 20 * (ITEM + 2),
    ]


def test_a_thousand_deployments_with_all_that_is_known_of_them_are_allowed_once_and_not_thrice() -> None:
    assert cost(EVERYTHING, {"first": 1_000}, limits=DEFAULT_LIMITS) <= DEFAULT_LIMITS.cost
    identity = "id uid name namespace modelId engine provider mode image"
    state = "phase message stale gpuCount createdAt generation"
    page = f"deployments(first: 1000) {{ nodes {{ {identity} {state} }} }}"
    several = " ".join(f"a{number}: {page}" for number in range(10))
    with pytest.raises(LimitExceeded) as refused:
        cost(f"{{ {several} }}", limits=DEFAULT_LIMITS)
    assert (refused.value.reason, refused.value.limit) == ("COST", DEFAULT_LIMITS.cost)
    assert refused.value.actual == 10 * (SCAN + 1 + 1_000 * (ITEM + 16))
    assert "smaller pages" in str(refused.value)


@pytest.mark.parametrize("coordinate", [*LISTS, *BASES])
def test_every_figure_is_of_a_field_that_there_is(coordinate: str) -> None:
    owner, _, name = coordinate.partition(".")
    kind = SCHEMA._schema.type_map[owner]
    assert isinstance(kind, GraphQLObjectType)
    assert name in kind.fields


def test_fragments_of_variables_are_summed_and_not_expanded() -> None:
    """Each spreads the next twice: summed one by one, sixteen stand for 65,536 pages."""

    def document(count: int) -> str:
        chain = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(count))
        page = "instances(first: $n) { nodes { id } }"
        return f"query ($n: Int) {{ ...F0 }} {chain} fragment F{count} on Query {{ {page} }}"

    limits = Limits(cost=10**12, fields=10**9, root_fields=10**9)
    assert cost(document(16), {"n": 7}, limits=limits) == 2**16 * (1 + 7 * (ITEM + 2))

    def work(count: int) -> object:
        return [cost(document(count), {"n": 7}, limits=limits) for _ in range(3)]

    assert growth(work, 16, most=2.5) <= 3


def test_a_known_documents_cost_takes_microseconds() -> None:
    document = Documents(SCHEMA).check(EVERYTHING)
    assert isinstance(document, Document)
    definition = document.node.definitions[0]
    assert isinstance(definition, OperationDefinitionNode)

    def work() -> None:
        for _ in range(1_000):
            document.cost(definition, {"first": 1_000})

    assert processor_seconds(work) < 1_000 * 10e-6


async def test_on_the_wire(shared_world: World) -> None:
    query = "{ instances(first: 3) { nodes { id } } }"
    expected = {"cost": {"requested": 1 + 3 * (ITEM + 2), "limit": DEFAULT_LIMITS.cost}}
    headers = {"authorization": f"Bearer {shared_world.admin}"}
    for asked, told in (({"cost": True}, expected), ({"cost": False}, None), (None, None)):
        body = {"query": query, "extensions": asked}
        answer = (await shared_world.hub.http.post("/graphql", json=body, headers=headers)).json()
        assert answer.get("extensions") == told
        async with shared_world.hub.socket(shared_world.admin) as socket:
            await socket.send(type="subscribe", id="1", payload=body)
            assert (await socket.receive())["payload"].get("extensions") == told


async def test_what_is_too_dear_is_refused_on_every_way(shared_world: World) -> None:
    page = "deployments(first: 1000) { nodes { id name phase pods { name containers { name } } } }"
    query = "{" + " ".join(f"a{number}: {page}" for number in range(10)) + "}"
    answer = await shared_world.hub.ask(shared_world.admin, query)
    async with shared_world.hub.socket(shared_world.admin) as socket:
        await socket.subscribe(query)
        message = await socket.receive()
    for errors in (answer["errors"], message["payload"]):
        (error,) = errors
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert error["extensions"]["reason"] == "COST"
        assert error["extensions"]["actual"] > error["extensions"]["limit"] == DEFAULT_LIMITS.cost
    assert (message["type"], "data" in answer) == ("error", False)
