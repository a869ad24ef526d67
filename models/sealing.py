"""Sealing: columns that the hub has to read again, and nobody else.

    v1.KID.BASE64URL(nonce, ciphertext, tag)

AES-256-GCM with a random nonce of 96 bits. The row's id is authenticated along, so a sealed value that is
copied into another row doesn't open there. `KID` names the key: several may be in use while keys are changed.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from models.errors import SealBroken

VERSION = "v1"
NONCE = 12


@dataclass(frozen=True)
class SealingKey:
    """32 bytes for AES-256, and the name under which sealed values refer to them."""

    kid: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Sealer:
    """The key that seals, and those that only open."""

    current: SealingKey
    others: tuple[SealingKey, ...] = ()

    def seal(self, text: str, *, row_id: str) -> str:
        nonce = secrets.token_bytes(NONCE)
        key = self.current
        sealed = AESGCM(key.secret).encrypt(nonce, text.encode(), _context(key.kid, row_id))
        return f"{VERSION}.{key.kid}.{urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, row_id: str) -> str:
        """What was sealed for this row. Raises `SealBroken`."""
        kid, body = _parts(sealed)
        key = next((key for key in (self.current, *self.others) if key.kid == kid), None)
        if key is None:
            raise SealBroken(
                f"{row_id}: it was sealed with a key that isn't set any longer; set it as "
                "ENCRYPTION_KEY_PREVIOUS, or store the secret anew"
            )
        try:
            return AESGCM(key.secret).decrypt(body[:NONCE], body[NONCE:], _context(kid, row_id)).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"{row_id}: what is sealed was altered, or belongs to another row") from error

    def is_current(self, sealed: str) -> bool:
        """Whether the current key sealed it, by what it says of itself."""
        return sealed.startswith(f"{VERSION}.{self.current.kid}.")


def _context(kid: str, row_id: str) -> bytes:
    return f"{VERSION}.{kid}.{row_id}".encode()


def _parts(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    kid, _, body = rest.partition(".")
    if version != VERSION:
        raise SealBroken("this release doesn't know how it was sealed")
    try:
        return kid, urlsafe_b64decode(body)
    except ValueError as error:
        raise SealBroken("what is sealed was altered") from error
