"""The keys that sign sessions and seal what is stored, derived from SESSION_SECRET and ENCRYPTION_KEY."""

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models.sealing import SealingKey


@dataclass(frozen=True)
class SigningKey:
    """32 bytes for HMAC-SHA256, and the name under which tokens refer to them."""

    kid: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRing:
    """The key that signs, and the one before it, which only verifies."""

    current: SigningKey
    previous: SigningKey | None = None

    def find(self, kid: object) -> SigningKey | None:
        return next((key for key in (self.current, self.previous) if key and key.kid == kid), None)


def signing_key(secret: str) -> SigningKey:
    """HKDF-SHA256 of the secret: a secret of any length gives a full key, of no use elsewhere."""
    derived = _derived(secret, b"kubeairunway-hub session signing 1")
    return SigningKey(_name(derived), derived)


def state_key(secret: str) -> SigningKey:
    """For what a browser keeps while somebody signs in at a provider; independent of the others."""
    derived = _derived(secret, b"kubeairunway-hub sign-in state 1")
    return SigningKey(_name(derived), derived)


def sealing_key(secret: str) -> SealingKey:
    """Independent of the signing key, even if it comes from the same secret."""
    derived = _derived(secret, b"kubeairunway-hub sealing 1")
    return SealingKey(_name(derived), derived)


def _derived(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(secret.encode())


def _name(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]


def stand_in_secret(path: Path) -> str:
    """The random secret in `path`, for a hub on loopback without a SESSION_SECRET; written once, mode 0600.

    It is linked into its place complete, so that of two simultaneous first starts both read the same one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".session-key-")  # mkstemp gives 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            Path(draft).unlink()
    return path.read_text()
