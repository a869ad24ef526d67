"""Sessions: the signed, short-lived JWT that a browser's cookie holds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
import msgspec

from auth.errors import Reason, Unauthenticated
from auth.keys import KeyRing

LIFETIME = timedelta(minutes=15)
ISSUER = "kubeairunway-hub"
AUDIENCE = "kubeairunway-hub/session"
ALGORITHM = "HS256"
REQUIRED = ("iss", "aud", "sub", "sid", "exp", "iat")


class SessionClaims(msgspec.Struct, frozen=True):
    """What a verified session token says."""

    user_id: str
    session_id: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class SessionTokens:
    """Signs and verifies session tokens with one key ring."""

    keys: KeyRing
    lifetime: timedelta = LIFETIME

    def sign(self, *, user_id: str, session_id: str, now: datetime, until: datetime | None = None) -> str:
        """A token that is good for `lifetime` from `now`, and no longer than `until`."""
        key, expires_at = self.keys.current, now + self.lifetime
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "iat": now,
            "exp": min(expires_at, until or expires_at),
        }
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid})

    def verify(self, token: str, *, even_expired: bool = False) -> SessionClaims:
        """Raises `Unauthenticated`: TOKEN_EXPIRED if only its time is over, else INVALID_CREDENTIAL.

        `even_expired` is for what was opened with it before.
        """
        try:
            key = self.keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated(Reason.INVALID_CREDENTIAL)
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # A replica whose clock is a second behind must not refuse what another has just signed.
                options={
                    "require": list(REQUIRED),
                    "verify_iat": False,
                    "strict_aud": True,
                    "verify_exp": not even_expired,
                },
            )
            return SessionClaims(claims["sub"], claims["sid"], datetime.fromtimestamp(claims["exp"], UTC))
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated(Reason.TOKEN_EXPIRED) from error
        except (jwt.InvalidTokenError, UnicodeEncodeError) as error:  # the latter: a lone surrogate
            raise Unauthenticated(Reason.INVALID_CREDENTIAL) from error
