"""What the REST façade's routes have in common: permits, bodies, queries, pages."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from auth.identity import Provider
from auth.permissions import Permission, Role
from auth.policy import Permit, Place, Refusal, authorise
from resolvers.errors import BadInput
from resolvers.paging import Page, encode_cursor
from schema.errors import Refused

T = TypeVar("T")
E = TypeVar("E", Role, Provider)

BODY = 65_536
"""Bytes of a request, at the most."""
NO_STORE = {"Cache-Control": "no-store"}


def permit_for(request: Request, permission: Permission, place: Place | None = None) -> Permit:
    """The policy's word on whoever asks. Raises `Refused`."""
    verdict = authorise(request.state.identity, permission, place or Place())
    if isinstance(verdict, Refusal):
        raise Refused(verdict)
    return verdict


async def read_body(request: Request, kind: type[T]) -> T:
    """The JSON of the request. Raises BadInput, also for an unknown field: a misspelt limit is none."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BODY:
            raise BadInput(("", f"a request has at most {BODY} bytes"))
    try:
        return msgspec.json.decode(bytes(received), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(_explained(str(error))) from error


def _explained(message: str) -> tuple[str, str]:
    """msgspec's words as (path, what is wrong): "Expected `str`, got `int` - at `$.role`", "Object contains
    unknown field `rol`"."""
    text, _, place = message.partition(" - at `$")
    named = re.search("(?:required|unknown) field `([^`]*)`", text)
    path = place.rstrip("`").lstrip(".")
    return ".".join(part for part in (path, named[1] if named else "") if part), text


def read_query(request: Request, *known: str) -> dict[str, list[str]]:
    """The query's values by name. Raises BadInput for a name that isn't known: a misspelt filter is none."""
    names = (*known, "first", "after")
    unknown = sorted(set(request.query_params) - set(names))
    if unknown:
        raise BadInput(*((name, f"is none of {', '.join(names)}") for name in unknown))
    return {name: request.query_params.getlist(name) for name in names}


def one(query: dict[str, list[str]], name: str) -> str | None:
    """A value that may be given once. Raises BadInput."""
    values = query[name]
    if len(values) > 1:
        raise BadInput((name, "may be given once"))
    return values[0] if values else None


def page_size(query: dict[str, list[str]]) -> int | None:
    text = one(query, "first")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadInput(("first", "must be a number"))
    return int(text)


def named(text: str, kind: type[E], path: str) -> E:
    """A role or a provider by its name in lower case. Raises BadInput."""
    found = next((each for each in kind if each.name.lower() == text), None)
    if found is None:
        raise BadInput((path, f"must be one of {', '.join(each.name.lower() for each in kind)}"))
    return found


def page_response(page: Page[T], shown: Callable[[T], dict[str, Any]]) -> Response:
    """`next` goes on behind this page; null at the end."""
    last = page.items[-1:] if page.has_next else []
    behind = encode_cursor(page.key(last[0])) if last else None
    body = {"items": [shown(item) for item in page.items], "next": behind}
    return JSONResponse(body, headers=NO_STORE)


def item_response(item: dict[str, Any], *, status: int = 200) -> Response:
    return JSONResponse(item, status, headers=NO_STORE)


def nothing_left() -> Response:
    return Response(status_code=204)
