"""The cookie that holds a browser's session token."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser


@dataclass(frozen=True)
class SessionCookie:
    secure: bool
    """Whether browsers come by https. Then the name's prefix makes them refuse one that a neighbour set."""

    @property
    def name(self) -> str:
        return "__Host-hub_session" if self.secure else "hub_session"

    def read(self, headers: Headers) -> str | None:
        return cookie_parser(headers.get("cookie", "")).get(self.name) or None

    def setting(self, token: str, *, seconds: int) -> str:
        """The value of a Set-Cookie header."""
        attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
        return (
            f"{self.name}={token}; {attributes}; Secure"
            if self.secure
            else f"{self.name}={token}; {attributes}"
        )

    def clearing(self) -> str:
        """The value of a Set-Cookie header."""
        return self.setting("", seconds=0)
