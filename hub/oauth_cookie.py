"""What the hub remembers of a sign-in that is under way, in a cookie of the browser that began it.

So another browser can't end it (login CSRF), and any replica can. The cookie is signed, and good for ten
minutes. Each attempt has its own, named after its state: tabs that sign in at the same time don't disturb
each other.
"""

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from auth.keys import KeyRing

LIFETIME = timedelta(minutes=10)
AT_ONCE = 4
"""Attempts that a browser may have under way; with one more, the oldest is forgotten."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    provider: str
    state: str
    verifier: str
    nonce: str | None
    redirect_uri: str
    return_to: str
    began_at: datetime

    def __repr__(self) -> str:
        return f"<Attempt by {self.provider}>"


@dataclass(frozen=True, kw_only=True)
class AttemptCookies:
    keys: KeyRing
    secure: bool
    """Whether browsers come by https. Then the name's prefix makes them refuse one that a neighbour set."""

    def setting(self, attempt: Attempt, headers: Headers) -> list[str]:
        """Set-Cookie headers' values: the new one, and the end of those that are too many."""
        name = self._name(attempt.state)
        body = urlsafe_b64encode(msgspec.json.encode(attempt)).decode()
        key = self.keys.current
        value = f"{key.kid}.{body}.{_mac(key.secret, name, body)}"
        return [self._cookie(name, value, seconds=int(LIFETIME.total_seconds())), *self._surplus(headers)]

    def read(self, state: str, headers: Headers, *, now: datetime) -> Attempt | None:
        """The attempt that this browser began with the state, if it is still under way."""
        name = self._name(state)
        attempt = self._opened(name, cookie_parser(headers.get("cookie", "")).get(name, ""))
        if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            return None
        return attempt if now - attempt.began_at < LIFETIME else None

    def clearing(self, state: str) -> str:
        """A Set-Cookie header's value."""
        return self._cookie(self._name(state), "", seconds=0)

    def _surplus(self, headers: Headers) -> list[str]:
        cookies = cookie_parser(headers.get("cookie", ""))
        names = [name for name in cookies if name.startswith(self._prefix)]
        attempts = {name: self._opened(name, cookies[name]) for name in names}
        by_age = sorted(((each.began_at, name) for name, each in attempts.items() if each), reverse=True)
        kept = {name for _, name in by_age[: AT_ONCE - 1]}
        return [self._cookie(name, "", seconds=0) for name in names if name not in kept]

    def _opened(self, name: str, value: str) -> Attempt | None:
        kid, _, rest = value.partition(".")
        body, _, mac = rest.partition(".")
        key = self.keys.find(kid)
        if key is None or not hmac.compare_digest(mac.encode(), _mac(key.secret, name, body).encode()):
            return None
        try:
            return msgspec.json.decode(urlsafe_b64decode(body), type=Attempt)
        except (binascii.Error, msgspec.MsgspecError):  # of another release
            return None

    @property
    def _prefix(self) -> str:
        return "__Host-hub_oauth_" if self.secure else "hub_oauth_"

    def _name(self, state: str) -> str:
        return self._prefix + hashlib.sha256(state.encode()).hexdigest()[:16]

    def _cookie(self, name: str, value: str, *, seconds: int) -> str:
        secure = "; Secure" if self.secure else ""
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _mac(key: bytes, name: str, body: str) -> str:
    return hmac.digest(key, f"{name}\0{body}".encode(), "sha256").hex()
