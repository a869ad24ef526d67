"""How much one request may ask for. docs/limits.md has the argument for each figure.

A document is judged before it is validated: its text by one linear scan, before the parser sees it, then its
tree with every fragment looked at once, however often it is spread. Cycles are left to validation.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Each is HUB_LIMIT_ and its name in the environment."""

    length: int = 20_000
    """Characters of a document."""
    tokens: int = 2_000
    """Tokens of a document; a comment is one."""
    nesting: int = 50
    """Brackets within brackets in a document, and values within values in its variables."""
    depth: int = 20
    """Fields within fields."""
    root_fields: int = 20
    """Fields of an operation's root."""
    aliases: int = 50
    directives: int = 50
    fields: int = 2_000
    """Fields and arguments of a document once its fragments are expanded."""
    overlaps: int = 50
    """Fields of one name, or fragments, that stand at one place of the answer."""
    values: int = 5_000
    """Values in the variables."""
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
