"""The two cookies that hold a browser's session."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from auth.issuing import Issued

AUTH_PATH = "/api/auth"
"""Where alone browsers send the refresh token."""


@dataclass(frozen=True)
class SessionCookies:
    secure: bool
    """Whether browsers come by https. Then the names' prefixes make them refuse one that a neighbour set."""

    @property
    def access_name(self) -> str:
        return "__Host-hub_session" if self.secure else "hub_session"

    @property
    def refresh_name(self) -> str:
        # `__Host-` would send it everywhere.
        return "__Secure-hub_refresh" if self.secure else "hub_refresh"

    def access_token(self, headers: Headers) -> str | None:
        return self._read(headers, self.access_name)

    def refresh_token(self, headers: Headers) -> str | None:
        return self._read(headers, self.refresh_name)

    def give(self, response: Response, issued: Issued) -> Response:
        """The response, with the tokens as cookies."""
        cookies = [self._access(issued.access_token, seconds=issued.access_seconds)]
        if issued.refresh_token is not None:
            cookies.append(self._refresh(issued.refresh_token, seconds=issued.refresh_seconds))
        return _setting(response, cookies)

    def take(self, response: Response) -> Response:
        """The response, with which the browser forgets both."""
        return _setting(response, [self.clearing(), self._refresh("", seconds=0)])

    def clearing(self) -> str:
        """A Set-Cookie header's value, with which the browser forgets the access token alone."""
        return self._access("", seconds=0)

    def _access(self, value: str, *, seconds: int) -> str:
        return self._cookie(self.access_name, value, path="/", seconds=seconds)

    def _refresh(self, value: str, *, seconds: int) -> str:
        return self._cookie(self.refresh_name, value, path=AUTH_PATH, seconds=seconds)

    def _cookie(self, name: str, value: str, *, path: str, seconds: int) -> str:
        secure = "; Secure" if self.secure else ""
        return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def _read(self, headers: Headers, name: str) -> str | None:
        return cookie_parser(headers.get("cookie", "")).get(name) or None


def _setting(response: Response, cookies: Sequence[str]) -> Response:
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response
