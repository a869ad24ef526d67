"""Refresh tokens: `hrt_`, the session's ULID, `_`, 43 characters of secret and 22 of tag, both base64url.

A token's successor is computed from it under the hub's key. So tabs that refresh with the same token at the
same moment, whichever replicas answer them, are all given the same successor, though only digests are stored;
and an answer that was lost on its way can be had again. Nobody without the key can take that step.

The tag is the hub's own mark. Without it, whoever has read a session's id could end the session by showing
some invented token as one that was used before.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from auth.errors import Reason, Unauthenticated
from auth.keys import KeyRing, SigningKey

PREFIX = "hrt_"
SECRET_LENGTH = 43
"""Characters, of 32 bytes."""
TAG_LENGTH = 22
"""Characters, of 16 bytes."""
_SHAPE = re.compile(f"{PREFIX}([0-9A-Z]{{26}})_[A-Za-z0-9_-]{{{SECRET_LENGTH + TAG_LENGTH}}}")


class RefreshToken(msgspec.Struct, frozen=True):
    """A token of the right shape, perhaps of nobody's."""

    session_id: str
    secret: str
    """The whole token, as the cookie has it."""

    @property
    def digest(self) -> str:
        """SHA-256 in hex: the secret's 256 random bits need no slow hash."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"<RefreshToken of {self.session_id}>"


@dataclass(frozen=True)
class RefreshTokens:
    """Makes and reads refresh tokens with one key ring."""

    keys: KeyRing

    def first(self, session_id: str) -> RefreshToken:
        """The token that a session begins with."""
        return _made(session_id, secrets.token_bytes(32), self.keys.current)

    def successor(self, token: RefreshToken) -> RefreshToken:
        """The token that takes this one's place."""
        return _successor(token, self.keys.current)

    def successors(self, token: RefreshToken) -> Iterator[RefreshToken]:
        """Those that may have taken its place: before the keys were rotated, it was another."""
        return (_successor(token, key) for key in self._all_keys)

    def is_genuine(self, token: RefreshToken) -> bool:
        """Whether the hub made it, at whatever time; only known for as long as the key is."""
        body, tag = token.secret[:-TAG_LENGTH], token.secret[-TAG_LENGTH:]
        return any(hmac.compare_digest(_tag(body, key), tag) for key in self._all_keys)

    @property
    def _all_keys(self) -> list[SigningKey]:
        return [key for key in (self.keys.current, self.keys.previous) if key]


def read_refresh_token(text: str) -> RefreshToken:
    """Raises `Unauthenticated` for anything that no refresh token looks like."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise Unauthenticated(Reason.INVALID_CREDENTIAL)
    return RefreshToken(f"ses_{match[1]}", text)


def _successor(token: RefreshToken, key: SigningKey) -> RefreshToken:
    return _made(token.session_id, _mac(key, "successor", token.secret), key)


def _made(session_id: str, secret: bytes, key: SigningKey) -> RefreshToken:
    body = f"{PREFIX}{session_id.removeprefix('ses_')}_{_text(secret)}"
    return RefreshToken(session_id, body + _tag(body, key))


def _tag(body: str, key: SigningKey) -> str:
    return _text(_mac(key, "tag", body)[:16])


def _mac(key: SigningKey, purpose: str, text: str) -> bytes:
    """The same key signs sessions. What is signed there has no NUL, so neither passes for the other."""
    return hmac.digest(key.secret, f"refresh token {purpose}\0{text}".encode(), "sha256")


def _text(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
