"""Beginning a session in a browser, whichever way its person was proven."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from auth.issuing import Issued, Sessions
from hub.cookies import SessionCookies

USER_AGENT_LENGTH = 256
"""Characters that are kept."""


@dataclass(frozen=True, kw_only=True)
class BrowserSessions:
    """Sessions, and the cookies that browsers hold them by."""

    sessions: Sessions
    cookies: SessionCookies

    async def begin(
        self,
        request: Request,
        user_id: str,
        *,
        now: datetime,
        session_id: str | None = None,
        provider_token: str | None = None,
    ) -> Issued:
        """A session for whoever has just been proven; the one that the browser had before ends.

        `provider_token` is sealed with `session_id`, which is then `new_id("ses")`. What is returned goes
        into the answer by `cookies.give`.
        """
        await self.end(request, now=now)
        return await self.sessions.begin(
            user_id,
            now=now,
            ip_address=request.state.client_address,
            user_agent=_user_agent(request),
            session_id=session_id,
            provider_token=provider_token,
        )

    async def end(self, request: Request, *, now: datetime) -> str | None:
        """End the session whose refresh token the browser has; its id, if that made an end of it."""
        refresh_token = self.cookies.refresh_token(request.headers)
        return None if refresh_token is None else await self.sessions.end(refresh_token, now=now)


def _user_agent(request: Request) -> str | None:
    given = request.headers.get("user-agent", "")[:USER_AGENT_LENGTH]
    return "".join(filter(str.isprintable, given)) or None
