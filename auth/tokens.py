"""Access tokens: `kah_`, 32 random characters, 6 characters of checksum; all base62.

The prefix lets secret scanners find a leaked one, the checksum refuses a mistyped one without a look-up.
Only the digest is stored: 190 random bits need no slow hash.
"""

import hashlib
import re
import secrets
import string
import zlib

import msgspec

from auth.errors import Reason, Unauthenticated

PREFIX = "kah_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 32
CHECKSUM_LENGTH = 6
_SHAPE = re.compile(f"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


class Minted(msgspec.Struct, frozen=True):
    """A new token. The secret is shown once and kept nowhere."""

    secret: str
    digest: str
    prefix: str
    """The first characters, by which its owner recognises it in a list."""

    def __repr__(self) -> str:
        return f"<Minted {self.prefix}…>"


def mint() -> Minted:
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    secret = body + _checksum(body)
    return Minted(secret, _digest(secret), secret[: len(PREFIX) + 6])


def is_access_token(credential: str) -> bool:
    """Whether the credential means to be an access token, sound or not."""
    return credential.startswith(PREFIX)


def digest_of(secret: str) -> str:
    """The digest under which a sound token is stored; raises `Unauthenticated` for a mistyped one."""
    body, checksum = secret[:-CHECKSUM_LENGTH], secret[-CHECKSUM_LENGTH:]
    if not _SHAPE.fullmatch(secret) or checksum != _checksum(body):
        raise Unauthenticated(Reason.INVALID_CREDENTIAL)
    return _digest(secret)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):  # 62⁶ > 2³²
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
