"""What is wrong with an operation's variables, told without their values: these may be secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    type_from_ast,
)
from graphql.utilities.validate_input_value import validate_input_value

from resolvers.errors import BadInput
from schema.limits import NAME_LENGTH

PROBLEMS = 20
"""Problems that are told of all variables together."""
SUGGESTED = 3
"""Problems that say what was perhaps meant: comparing a name with all others takes up to 5 ms."""

Problem = tuple[str, str]
"""Where, such as `input.env.1.name`, and what is wrong there."""

_QUOTED = (
    # graphql-core's words: "…, found: {…}.", "…value: …", "Value '…' does not exist".
    (re.compile(r", but encountered error '(.*)'; found: .*", re.DOTALL), r": \1"),
    (re.compile(r"(\. Did you mean [^?]*\?) Found: .*", re.DOTALL), r"\1"),
    (re.compile(r", found: .*", re.DOTALL), "."),
    (re.compile(r"^(\w+ cannot represent [\w\d -]*value): .*", re.DOTALL), r"\1."),
    (re.compile(r"^(Enum '\w+' cannot represent non-string value): .*", re.DOTALL), r"\1."),
    (re.compile(r"^Value '.*' does not exist in", re.DOTALL), "The value does not exist in"),
)


class _Enough(Exception):
    pass


def problems(
    schema: GraphQLSchema,
    definition: OperationDefinitionNode,
    variables: Mapping[str, Any],
    *,
    suggestions: bool,
) -> BadInput:
    """Everything that is wrong with the variables of a sound document's operation."""
    found = _find(schema, definition, variables, most=PROBLEMS, suggestions=False)
    if suggestions and all(len(text) <= NAME_LENGTH for text in _texts(variables)):
        suggested = _find(schema, definition, variables, most=SUGGESTED, suggestions=True)
        found[: len(suggested)] = suggested
    return BadInput(*found)


def _find(
    schema: GraphQLSchema,
    definition: OperationDefinitionNode,
    variables: Mapping[str, Any],
    *,
    most: int,
    suggestions: bool,
) -> list[Problem]:
    found: list[Problem] = []
    try:
        for variable in definition.variable_definitions or ():
            name = variable.variable.name.value
            value = variables.get(name, Undefined)
            if value is Undefined and variable.default_value:
                continue

            def report(error: GraphQLError, path: list[str | int], name: str = name) -> None:
                found.append((".".join([name, *map(str, path)]), _unquoted(error.message)))
                if len(found) == most:
                    raise _Enough

            kind = cast("GraphQLInputType", type_from_ast(schema, variable.type))
            validate_input_value(value, kind, report, hide_suggestions=not suggestions)
    except _Enough:
        pass
    return found


def _unquoted(message: str) -> str:
    for pattern, words in _QUOTED:
        message = pattern.sub(words, message, count=1)
    return message


def _texts(variables: Mapping[str, Any]) -> Iterator[str]:
    """All strings in the variables, names included."""
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
