"""A person's groups from Microsoft Graph: for whom they didn't fit into the ID token."""

from collections.abc import Iterator, Mapping
from typing import Any

from auth.identity import Provider
from auth.permissions import Group
from auth.providers import profiles
from auth.providers.errors import Unbelievable
from auth.providers.web import Web, same_host

NAME = "Microsoft Graph"
FIRST_PAGE = "/v1.0/me/transitiveMemberOf/microsoft.graph.group?$select=id,displayName&$top=999&$count=true"
PAGES = 50


async def groups_of_me(web: Web, base: str, *, token: str) -> tuple[Group, ...]:
    """Every group that the token's owner is in, nested ones too. Raises `ProviderError`.

    Pages are followed on the same host alone: the token isn't for others.
    """
    found: list[tuple[object, object]] = []
    url = base + FIRST_PAGE
    for _ in range(PAGES):
        # Without it, Graph refuses to count, and to search through nested groups.
        page = await web.get_object(url, token=token, headers={"ConsistencyLevel": "eventual"})
        found += _rows(page)
        following = _next_page(page, base)
        if following is None:
            return profiles.groups(Provider.ENTRA, found, name=NAME)
        url = following
    raise Unbelievable(f"{NAME} has more than {PAGES} pages of one person's groups")


def _rows(page: Mapping[str, Any]) -> Iterator[tuple[object, object]]:
    rows = page.get("value")
    if not isinstance(rows, list):
        raise Unbelievable(f"{NAME} answers no list of groups")
    for row in rows:
        if not isinstance(row, dict):
            raise Unbelievable(f"{NAME} answers no list of groups")
        yield row.get("id"), row.get("displayName")


def _next_page(page: Mapping[str, Any], base: str) -> str | None:
    link = page.get("@odata.nextLink")
    if link is None:
        return None
    if not isinstance(link, str) or not same_host(link, base):
        raise Unbelievable(f"{NAME} has its next page on another host: {str(link)[:80]!r}")
    return link
