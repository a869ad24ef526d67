"""What is told of wrong variables: where, and what is wanted there, and never what was sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    OperationDefinitionNode,
    get_named_type,
    parse,
)

from schema.build import build_schema
from schema.variables import PROBLEMS, problems
from tests.support.surface import World

SCHEMA = build_schema()._schema
SECRET = "hunter2"
WRONG = (SECRET, [SECRET], {"key": SECRET}, {"nested": {"deeper": SECRET}}, [[{"a": SECRET}]], 1.5)
INPUTS = [kind for kind in SCHEMA.type_map.values() if isinstance(kind, GraphQLInputObjectType)]


def found(head: str, variables: dict[str, Any], *, suggestions: bool = False) -> dict[str, str]:
    (definition,) = parse(f"query ({head}) {{ hub {{ mode }} }}").definitions
    assert isinstance(definition, OperationDefinitionNode)
    return dict(problems(SCHEMA, definition, variables, suggestions=suggestions).problems)


def faulty(kind: GraphQLInputType, wrong: object) -> Iterator[object]:
    """Values of the type that are as they should be but for one place, which has `wrong`."""
    if isinstance(kind, GraphQLNonNull | GraphQLList):
        yield from faulty(kind.of_type, wrong)
    yield wrong
    if isinstance(kind, GraphQLInputObjectType):
        sound = {name: valid(field.type) for name, field in kind.fields.items() if required(field.type)}
        for name, field in kind.fields.items():
            for value in faulty(field.type, wrong):
                yield {**sound, name: value}
        yield {**sound, "unknown": wrong}
        yield {"unknown": wrong, "secret": SECRET}


def required(kind: GraphQLInputType) -> bool:
    return isinstance(kind, GraphQLNonNull)


def valid(kind: GraphQLInputType) -> object:
    match kind:
        case GraphQLNonNull():
            return valid(kind.of_type)
        case GraphQLList():
            return [valid(kind.of_type)]
        case GraphQLInputObjectType():
            return {name: valid(field.type) for name, field in kind.fields.items() if required(field.type)}
        case GraphQLEnumType():
            return next(iter(kind.values))
        case GraphQLScalarType():
            return {"Int": 1, "Boolean": True}.get(kind.name, SECRET)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", INPUTS, ids=str)
@pytest.mark.parametrize("suggestions", [False, True])
def test_no_value_is_ever_repeated(kind: GraphQLInputObjectType, suggestions: bool) -> None:
    told = 0
    for wrong in WRONG:
        for value in faulty(kind, wrong):
            for message in found(f"$input: {kind}!", {"input": value}, suggestions=suggestions).values():
                assert SECRET not in message
                told += 1
    assert told > len(WRONG)


@pytest.mark.parametrize("name", ["Int", "Float", "Boolean", "String", "ID", "DateTime", "DeploymentPhase"])
def test_nor_is_any_scalars(name: str) -> None:
    if name not in SCHEMA.type_map:
        return
    assert get_named_type(SCHEMA.type_map[name]) is not None
    for wrong in ([SECRET], {SECRET: SECRET}, {"a": [SECRET]}):
        (message,) = found(f"$value: {name}", {"value": wrong}).values()
        assert SECRET not in message


MODE = (
    "The value does not exist in 'ServingMode' enum."
    " Did you mean the enum value 'AGGREGATED' or 'DISAGGREGATED'?"
)


def test_where_and_what_is_wanted() -> None:
    value = {
        "instanceId": "a",
        "namespace": "b",
        "name": 5,
        "model": {"id": "m", "volumes": [{"name": "v"}, {"name": "w", "readOnly": "yes"}]},
        "replicas": "three",
        "mode": "AGREGATED",
        "labls": [],
    }
    told = found("$input: CreateDeploymentInput!, $first: Int!", {"input": value}, suggestions=True)
    assert told == {
        "input.name": "String cannot represent a non string value.",
        "input.model.volumes.1.readOnly": "Boolean cannot represent a non boolean value.",
        "input.mode": MODE,
        "input.replicas": "Int cannot represent non-integer value.",
        "input": "Expected value of type 'CreateDeploymentInput' not to include unknown field 'labls'.",
        "first": "Expected a value of non-null type 'Int!' to be provided.",
    }
    unknown = found("$input: DeploymentFilter", {"input": {"serch": "x"}}, suggestions=True)
    assert unknown["input"].endswith("unknown field 'serch'. Did you mean 'search'?")
    assert "Did you" not in found("$input: DeploymentFilter", {"input": {"serch": "x"}})["input"]


def test_so_many_problems_are_told_and_no_more() -> None:
    (definition,) = parse("query ($filter: DeploymentFilter) { hub { mode } }").definitions
    assert isinstance(definition, OperationDefinitionNode)
    wrong = problems(SCHEMA, definition, {"filter": {"namespaces": [1] * 4_000}}, suggestions=False)
    assert len(wrong.problems) == PROBLEMS


async def test_on_the_wire(shared_world: World) -> None:
    head = "query ($filter: DeploymentFilter, $n: Int)"
    query = head + "{ deployments(filter: $filter, first: $n) { totalCount } }"
    variables = {"filter": {"phases": ["RUNING"], "search": {"token": SECRET}}, "n": "many"}
    for token in (shared_world.admin, None):
        answer = await shared_world.hub.ask(token, query, variables)
        (error,) = answer["errors"]
        assert "data" not in answer
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert {field["path"] for field in error["extensions"]["fields"]} == {
            "filter.phases.0",
            "filter.search",
            "n",
        }
        assert ("Did you mean" in error["message"]) == (token is not None)
        assert SECRET not in str(answer)
