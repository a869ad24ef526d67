"""How a credential stands: when it ends and what is doubtful about it."""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from msgspec import structs

from credentials import pem
from credentials.types import Credential, CredentialSource

SOON = timedelta(days=7)
"""How long before its end a credential is warned of."""


def expires_at(user: Mapping[str, Any]) -> datetime | None:
    """When the first of the embedded client certificate and the token ends, if they say so.

    A token file and an exec plugin renew what they give, so neither has an end.
    """
    ends = [end for end in (_certificate_end(user), _token_end(user)) if end is not None]
    return min(ends, default=None)


def is_tls_verified(cluster: Mapping[str, Any]) -> bool:
    return cluster["server"].startswith("https:") and not cluster.get("insecure-skip-tls-verify")


def with_warnings(credential: Credential, now: datetime) -> Credential:
    """The credential with the warnings of now, for those who manage instances; each says what to do."""
    found = tuple(_warnings(credential, now))
    return credential if found == credential.warnings else structs.replace(credential, warnings=found)


def _warnings(credential: Credential, now: datetime) -> Iterator[str]:
    if credential.config["clusters"][0]["cluster"].get("insecure-skip-tls-verify"):
        yield (
            "The API server's certificate isn't checked, so anybody on the way can take the credential: "
            "replace `insecure-skip-tls-verify` by `certificate-authority-data`."
        )
    end = credential.expires_at
    if end is not None and end - now < SOON:
        verb = "ended" if end <= now else "ends"
        stored = credential.source is CredentialSource.STORED
        renew = "send a new kubeconfig with `updateInstance`" if stored else "put a new one into the file"
        yield f"The credential {verb} at {end:%Y-%m-%d %H:%M} UTC: {renew}."


def _certificate_end(user: Mapping[str, Any]) -> datetime | None:
    data = user.get("client-certificate-data")
    return None if data is None else pem.load_certificate(base64.b64decode(data)).not_valid_after_utc


def _token_end(user: Mapping[str, Any]) -> datetime | None:
    try:
        # Only to tell people when it ends: the API server is who verifies it.
        claims = jwt.decode(user.get("token", ""), options={"verify_signature": False})
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (
        jwt.InvalidTokenError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        OSError,
        RecursionError,
    ):
        return None  # most tokens are no JWT, and many JWTs have no end
