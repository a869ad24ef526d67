"""Ids of rows: readable to people, opaque to clients."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """`prefix`, an underscore and a ULID: `new_id("usr")` gives `usr_01K…`, sorted by time of making."""
    return f"{prefix}_{ULID()}"
