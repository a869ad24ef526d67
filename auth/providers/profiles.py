"""From what a provider says of a person to what is shown of them: bounded, and nothing that could mislead."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from auth.identity import Provider
from auth.permissions import Group
from auth.providers.errors import Unbelievable

NAME_LIMIT = 256
GROUP_ID_LIMIT = 256
EMAIL_LIMIT = 320
SUBJECT_LIMIT = 512
ADDRESS_LIMIT = 2_000
GROUPS_LIMIT = 10_000
_GUID = re.compile("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def text(claims: Mapping[str, Any], *names: str, limit: int = NAME_LIMIT) -> str | None:
    """The first of these that is a text with something in it, without control characters."""
    for name in names:
        value = claims.get(name)
        if isinstance(value, str) and (
            shown := re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", value).strip()
        ):
            return shown[:limit]
    return None


def email(claims: Mapping[str, Any], *names: str) -> str | None:
    """The first of these that looks like an address."""
    return next(
        (
            value
            for name in names
            if isinstance(value := claims.get(name), str)
            and len(value) <= EMAIL_LIMIT
            and re.fullmatch(r"[^@\s]+@[^@\s]+", value)
        ),
        None,
    )


def picture(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if isinstance(value, str) and len(value) <= ADDRESS_LIMIT and re.fullmatch(r"https://[!-~]+", value):
        return value
    return None


def subject(*parts: object, name: str) -> None:
    """Raises `Unbelievable` unless every part can name somebody."""
    whole = [part for part in parts if isinstance(part, str) and re.fullmatch(r"[!-~]+", part)]
    if len(whole) != len(parts) or sum(map(len, whole)) >= SUBJECT_LIMIT:
        raise Unbelievable(f"{name} doesn't say who has signed in")


def groups(provider: Provider, found: Iterable[tuple[object, object]], *, name: str) -> tuple[Group, ...]:
    """Of ids and names; sorted, each once, GUIDs in lower case as in mappings. Raises `Unbelievable`."""
    by_id: dict[str, Group] = {}
    for group_id, group_name in found:
        if not isinstance(group_id, str) or not 0 < len(group_id) <= GROUP_ID_LIMIT:
            raise Unbelievable(f"{name} names a group that can't be one: {str(group_id)[:80]!r}")
        shown = group_name[:NAME_LIMIT] if isinstance(group_name, str) and group_name else None
        written = group_id.lower() if _GUID.fullmatch(group_id) else group_id
        by_id[written] = Group(provider, written, shown)
    if len(by_id) > GROUPS_LIMIT:
        raise Unbelievable(f"{name} names {len(by_id)} groups of one person")
    return tuple(by_id[group_id] for group_id in sorted(by_id))
