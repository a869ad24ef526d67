"""Fields of one name: the same verdict as graphql-core's rule, whose time grows with the square."""

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    OverlappingFieldsCanBeMergedRule,
    build_schema,
    get_named_type,
    is_composite_type,
    parse,
    specified_rules,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.merging import find_conflicts

SCHEMA = build_schema("""
  interface Named { id: ID! label: String to: Named }
  type Dog implements Named {
    id: ID! label: String to: Named age: Int size(unit: Unit, n: [Int]): Int friend: Cat
  }
  type Cat implements Named {
    id: ID! label: String to: Named age: Int! size: String friend: Dog pack: [Cat!]!
  }
  union Pet = Dog | Cat
  enum Unit { CM IN }
  type Query { dog: Dog cat: Cat pet: Pet named: Named pack: [Cat!]! pets: [Pet] }
""")
REST = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
SIZES = ("", "", "(unit: CM)", "(unit: IN)", "(n: [1, 2], unit: CM)", "(unit: CM, n: [1, 2])")


@st.composite
def selections(draw: st.DrawFn, kind: GraphQLNamedType, fragments: list[str], depth: int) -> str:
    parts = [draw(selection(kind, fragments, depth)) for _ in range(draw(st.integers(1, 4)))]
    return "{ " + " ".join(parts) + " }"


@st.composite
def selection(draw: st.DrawFn, kind: GraphQLNamedType, fragments: list[str], depth: int) -> str:
    match draw(st.sampled_from(["field", "field", "inline", "named", "typename"])) if depth else "typename":
        case "field" if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            name = draw(st.sampled_from(sorted(kind.fields)))
            inner = get_named_type(kind.fields[name].type)
            below = draw(selections(inner, fragments, depth - 1)) if is_composite_type(inner) else ""
            arguments = draw(st.sampled_from(SIZES)) if "unit" in kind.fields[name].args else ""
            return f"{draw(st.sampled_from(['', '', 'x: ', 'y: ']))}{name}{arguments} {below}"
        case "inline":
            on = draw(st.sampled_from([kind, *possible(kind)]))
            return f"... on {on.name} {draw(selections(on, fragments, depth - 1))}"
        case "named":
            on = draw(st.sampled_from([kind, *possible(kind)]))
            text = draw(selections(on, fragments, depth - 1))
            fragments.append(f"fragment F{len(fragments)} on {on.name} {text}")
            return " ".join([f"...F{len(fragments) - 1}"] * draw(st.integers(1, 2)))
        case _:
            return f"{draw(st.sampled_from(['', '', 'x: ']))}__typename"


def possible(kind: GraphQLNamedType) -> list[GraphQLNamedType]:
    """Types that what is of this one may be of too."""
    if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
        return [*SCHEMA.get_possible_types(kind), SCHEMA.type_map["Named"]]
    return [SCHEMA.type_map["Named"]] if isinstance(kind, GraphQLObjectType) and kind.interfaces else []


@st.composite
def documents(draw: st.DrawFn) -> str:
    fragments: list[str] = []
    query = SCHEMA.type_map["Query"]
    operations = [
        f"query Q{number} {draw(selections(query, fragments, 4))}"
        for number in range(draw(st.integers(1, 2)))
    ]
    return "\n".join(operations + fragments)


@settings(deadline=None)
@given(documents())
def test_the_same_verdict_for_random_documents(text: str) -> None:
    document = parse(text)
    assert validate(SCHEMA, document, REST) == []
    theirs = validate(SCHEMA, document, [OverlappingFieldsCanBeMergedRule])
    assert bool(list(find_conflicts(SCHEMA, document))) == bool(theirs), theirs


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ dog { x: age x: id } }", "'age' and 'id' are different fields"),
        ("{ dog { size size(unit: CM) } }", "they have differing arguments"),
        ("{ dog { size(n: [1, 2]) size(n: [2, 1]) } }", "they have differing arguments"),
        (
            "{ pet { ... on Dog { age } ... on Cat { age } } }",
            "they return conflicting types 'Int' and 'Int!'",
        ),
        ("{ x: dog { id } x: cat { id } }", "'dog' and 'cat' are different fields"),
        (
            "{ dog { ...A } dog { ...B } } fragment A on Dog { x: age } fragment B on Dog { x: label }",
            "'age' and 'label'",
        ),
        ("{ named { x: id ... on Dog { x: label } } }", "they return conflicting types 'ID!' and 'String'"),
        ("{ pet { ... on Dog { x: friend { id } } ... on Cat { x: pack { id } } } }", "'Cat' and '[Cat!]!'"),
        (
            "{ pet { ... on Dog { friend { x: age } } ... on Cat { friend { x: size } } } }",
            "'Int!' and 'Int'",
        ),
    ],
)
def test_what_cannot_be_merged_is_told_with_its_reason(text: str, why: str) -> None:
    found = list(find_conflicts(SCHEMA, parse(text)))
    assert found
    assert any(why in error.message for error in found), found
    assert all(len(error.locations or []) == 2 for error in found)


@pytest.mark.parametrize(
    "text",
    [
        "{ dog { id id } dog { id label } }",
        "{ dog { size(unit: CM, n: [1]) size(n: [1], unit: CM) } }",
        "{ pet { ... on Dog { x: label } ... on Cat { x: size } } }",
        "{ pet { ... on Dog { x: __typename } ... on Cat { x: age } } }",
        "{ pet { ... on Dog { friend { x: label } } ... on Cat { friend { x: label } } } }",
        "{ ...F ...F dog { ...G } } fragment F on Query { dog { ...G } } fragment G on Dog { id }",
    ],
)
def test_what_can_be_merged(text: str) -> None:
    assert list(find_conflicts(SCHEMA, parse(text))) == []
