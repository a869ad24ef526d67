"""Microsoft Graph on loopback: one person's groups, in pages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.serving import served

PATH = "/v1.0/me/transitiveMemberOf/microsoft.graph.group"


@dataclass
class GraphServer:
    groups: Sequence[str] = ()
    """Ids; each group is called after its id."""
    page_size: int = 999
    status: int = 200
    next_host: str | None = None
    """Where the next page is said to be, instead of here."""
    asked: list[str] = field(default_factory=list)
    """Bearer tokens that came."""
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["GraphServer"]:
        async with served(Starlette(routes=[Route(PATH, self._page)])) as self.url:
            yield self

    def reset(self) -> None:
        """As if it had just been made; it goes on serving where it is."""
        vars(self).update(vars(GraphServer(url=self.url)))

    async def _page(self, request: Request) -> Response:
        self.asked.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        if self.status != 200:
            return JSONResponse({"error": {"code": "Authorization_RequestDenied"}}, self.status)
        asked = request.query_params
        if request.headers.get("consistencylevel") != "eventual" or asked.get("$count") != "true":
            return JSONResponse({"error": {"code": "Request_UnsupportedQuery"}}, 400)
        assert (asked["$select"], asked["$top"]) == ("id,displayName", "999")
        start = int(asked.get("$skiptoken", "0"))
        end = start + self.page_size
        page = {"value": [{"id": each, "displayName": f"Group {each}"} for each in self.groups[start:end]]}
        if end < len(self.groups):
            query = f"?$select=id,displayName&$top=999&$count=true&$skiptoken={end}"
            page["@odata.nextLink"] = (self.next_host or self.url) + PATH + query  # type: ignore[assignment]
        return JSONResponse(page)
