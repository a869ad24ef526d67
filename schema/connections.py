"""Connections: pages as `nodes`, `edges`, `pageInfo` and `totalCount`."""

from typing import Generic, TypeVar

import strawberry

from resolvers.paging import Page, encode_cursor

T = TypeVar("T")


@strawberry.type(description="Where a page lies in its connection.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is anything before this page.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The last edge's cursor, to be passed as `after`; null on an empty page."
    )


@strawberry.type(description="An item and its place in the connection.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Pass it as `after` to go on behind this node.")
    node: T = strawberry.field(description="The item itself.")


@strawberry.type
class Connection(Generic[T]):
    """A page of something, made straight from a `Page` of the same items."""

    page: strawberry.Private[Page[T]]

    @strawberry.field(description="The page's items.")
    def nodes(self) -> list[T]:
        return self.page.items

    @strawberry.field(description="The page's items with their cursors.")
    def edges(self) -> list[Edge[T]]:
        key = self.page.key
        return [Edge(cursor=encode_cursor(key(item)), node=item) for item in self.page.items]

    @strawberry.field(description="Where this page lies in the whole.")
    def page_info(self) -> PageInfo:
        ends = [encode_cursor(self.page.key(item)) for item in self.page.items[:1] + self.page.items[-1:]]
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=ends[0] if ends else None,
            end_cursor=ends[-1] if ends else None,
        )

    @strawberry.field(description="How many there are now, over all pages.")
    def total_count(self) -> int:
        return self.page.total()
