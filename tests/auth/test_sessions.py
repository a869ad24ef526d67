from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from auth.errors import Reason, Unauthenticated
from auth.keys import KeyRing, signing_key
from auth.sessions import AUDIENCE, ISSUER, SessionTokens

KEY, OTHER = signing_key("one"), signing_key("two")
SESSIONS = SessionTokens(keys=KeyRing(KEY))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def reason_of(token: str, sessions: SessionTokens = SESSIONS) -> Reason:
    with pytest.raises(Unauthenticated) as refused:
        sessions.verify(token)
    return refused.value.reason


def forged(
    changes: dict[str, Any] | None = None,
    *,
    key: bytes = KEY.secret,
    kid: str = KEY.kid,
    algorithm: str = "HS256",
) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "usr_1",
        "sid": "ses_1",
        "iat": now(),
        "exp": now() + timedelta(hours=1),
    }
    claims = {name: value for name, value in (claims | (changes or {})).items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def test_a_signed_session_is_good_for_fifteen_minutes() -> None:
    signed_at = now()
    claims = SESSIONS.verify(SESSIONS.sign(user_id="usr_1", session_id="ses_1", now=signed_at))
    assert (claims.user_id, claims.session_id) == ("usr_1", "ses_1")
    assert claims.expires_at == signed_at + timedelta(minutes=15)


def test_after_that_it_has_expired() -> None:
    token = SESSIONS.sign(user_id="u", session_id="s", now=now() - timedelta(minutes=15, seconds=1))
    assert reason_of(token) is Reason.TOKEN_EXPIRED


def test_the_previous_secret_still_verifies_and_never_signs() -> None:
    before = SESSIONS.sign(user_id="u", session_id="s", now=now())
    rotated = SessionTokens(keys=KeyRing(OTHER, previous=KEY))
    assert rotated.verify(before).user_id == "u"
    after = rotated.sign(user_id="u", session_id="s", now=now())
    assert jwt.get_unverified_header(after)["kid"] == OTHER.kid
    assert reason_of(before, SessionTokens(keys=KeyRing(OTHER))) is Reason.INVALID_CREDENTIAL


def test_the_unchanged_forgery_would_pass() -> None:
    assert SESSIONS.verify(forged()).session_id == "ses_1"


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "exp", "iat"])
def test_every_claim_is_required(claim: str) -> None:
    assert reason_of(forged({claim: None})) is Reason.INVALID_CREDENTIAL


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(forged({"iss": "another"}), id="issuer"),
        pytest.param(forged({"aud": "another"}), id="audience"),
        pytest.param(forged(key=OTHER.secret), id="another key under our kid"),
        pytest.param(forged(kid="00000000"), id="unknown kid"),
        pytest.param(forged(key=KEY.secret * 2, algorithm="HS512"), id="another algorithm"),
        pytest.param(jwt.encode({"sub": "u"}, "", algorithm="none", headers={"kid": KEY.kid}), id="none"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no JWT"),
        pytest.param("ü", id="not ASCII"),
    ],
)
def test_anything_else_is_refused(token: str) -> None:
    assert reason_of(token) is Reason.INVALID_CREDENTIAL
