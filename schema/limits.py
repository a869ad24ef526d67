"""How much one request may ask for, judged before anything is validated. docs/limits.md has the arguments.

A document's text is judged by one linear scan before the parser sees it, then its tree, in which every
fragment is looked at once, however often it is spread. What a cycle of fragments adds is left to validation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode

from schema.errors import LimitExceeded
from schema.measures import measure

NAME_LENGTH = 200
"""Characters of a name: errors repeat names, and suggestions compare them with all others."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Each is HUB_LIMIT_ and its name in the environment."""

    length: int = 20_000
    """Characters of a document."""
    tokens: int = 1_000
    """Tokens of a document; a comment is one."""
    nesting: int = 50
    """Brackets within brackets in a document and through its fragments; values within values in variables."""
    depth: int = 20
    """Fields within fields."""
    root_fields: int = 20
    """Fields of an operation's root."""
    aliases: int = 50
    """Aliases of a document."""
    directives: int = 50
    """Directives of a document."""
    fields: int = 2_000
    """Fields, fragments and values of arguments in a document."""
    values: int = 5_000
    """Values in an operation's variables."""
    cost: int = 200_000
    """What an operation may cost by its page sizes (`schema.cost`)."""
    deadline: int = 30
    """Seconds that a query or a mutation may take."""
    body: int = 1_048_576
    """Bytes of a request's body over HTTP."""
    persisted: int = 4_194_304
    """Bytes that all persisted queries may take together."""
    connection_operations: int = 100
    """Operations under way on one WebSocket connection."""
    person_operations: int = 1_000
    """Operations under way for one person, over all connections."""


DEFAULT_LIMITS = Limits()

# Possessive throughout, and a string without an end is one that ends with its line or the text: there is
# nothing that the scan could come back to, so it is linear for any text (GraphQL, section 2.1).
_TOKEN = re.compile(
    r"""
      (?P<name>[_A-Za-z][_0-9A-Za-z]*+)
    | (?P<open>[\[({])
    | (?P<close>[\])}])
    | \.\.\.
    | -?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?
    | \"{3}(?:[^"\\]|\\\"{3}|\\|\"(?!\"\"))*+(?:\"{3})?
    | \"(?:[^"\\\n\r]|\\[^\n\r])*+\"?
    | \#[^\n\r]*+
    | [^\s,\ufeff]
    """,
    re.VERBOSE,
)


def judge_text(text: str, limits: Limits) -> int:
    """How many tokens the document has. Raises `LimitExceeded` for what the parser had better not see."""
    if len(text) > limits.length:
        message = f"A document has at most {limits.length} characters; this one has {len(text)}"
        raise LimitExceeded("LENGTH", message, limit=limits.length, actual=len(text))
    number = nesting = 0
    for number, token in enumerate(_TOKEN.finditer(text), 1):
        if number > limits.tokens:
            message = f"A document has at most {limits.tokens} tokens"
            raise LimitExceeded("TOKENS", message, limit=limits.tokens)
        match token.lastgroup:
            case "open":
                nesting += 1
                if nesting > limits.nesting:
                    raise _too_nested("document's brackets", limits)
            case "close":
                nesting -= 1
            case "name" if token.end() - token.start() > NAME_LENGTH:
                message = f"A name has at most {NAME_LENGTH} characters"
                raise LimitExceeded("LENGTH", message, limit=NAME_LENGTH, actual=token.end() - token.start())
    return number


def judge_tree(document: DocumentNode, limits: Limits) -> Iterator[LimitExceeded]:
    """Every limit that the document is over."""
    found = measure(document)
    for reason, what, limit, actual in (
        ("DEPTH", "fields within fields", limits.depth, found.depth),
        ("ROOT_FIELDS", "fields at its root", limits.root_fields, found.root_fields),
        ("ALIASES", "aliases", limits.aliases, found.aliases),
        ("DIRECTIVES", "directives", limits.directives, found.directives),
        ("FIELDS", "fields, fragments and arguments", limits.fields, found.fields),
        ("NESTING", "selections within selections", limits.nesting, found.nesting),
    ):
        if actual > limit:
            message = f"With its fragments in place, the document has {actual} {what}; {limit} are allowed"
            yield LimitExceeded(reason, message, limit=limit, actual=actual)


def judge_variables(variables: Mapping[str, Any], limits: Limits) -> None:
    """Raises `LimitExceeded` for variables that are too many or too deeply nested."""
    level: list[Any] = [variables]
    values, nesting = -1, 0
    while level:
        values += len(level)
        if values > limits.values:
            message = f"Variables have at most {limits.values} values"
            raise LimitExceeded("VALUES", message, limit=limits.values)
        if nesting > limits.nesting:
            raise _too_nested("variables", limits)
        level = [value for parent in level for value in _within(parent)]
        nesting += 1


def _within(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_nested(what: str, limits: Limits) -> LimitExceeded:
    message = f"The {what} are nested more than {limits.nesting} deep"
    return LimitExceeded("NESTING", message, limit=limits.nesting, actual=None)
