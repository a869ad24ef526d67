"""Pages and cursors. A cursor is (order key, id): an item that stays, with its key, is met exactly once."""

import base64
import binascii
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from resolvers.errors import BadInput

T = TypeVar("T")
Key = tuple[str | int, str]
"""(order key, id)"""

_BAD_CURSOR = ("after", "is no cursor of this connection: take an edge's cursor or pageInfo.endCursor")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a connection."""

    items: list[T]
    """Never changed: whoever asks the same may get the very same list."""
    key: Callable[[T], Key]
    """An item's place in the order, which its cursor stands for."""
    has_next: bool
    has_previous: bool
    total: Callable[[], int]
    """How many there are now, over all pages. Asked only where `totalCount` is selected."""


def encode_cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[str] | type[int] = str) -> Key:
    """The key that the cursor stands for; `kind` is the type of the order key."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=tuple[kind, str])  # type: ignore[valid-type]
    except (binascii.Error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise BadInput(_BAD_CURSOR) from error


def check_first(first: int | None, most: int) -> int:
    """`first` within 1…most; an explicit null is the default of 50."""
    if first is None:
        return 50
    if not 1 <= first <= most:
        raise BadInput(("first", f"must be 1 to {most}, not {first}"))
    return first
