from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from credentials.judge import judge
from credentials.posture import SOON, with_warnings
from credentials.types import Credential
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded
from tests.support.kubeconfigs import client_certificate

NOW = datetime.now(UTC).replace(microsecond=0)


def credential(user: dict[str, str]) -> Credential:
    raw = encoded(document(user=user))
    return judge("east", raw, directory=str(Path.cwd()), exec_allow=frozenset(), now=NOW)


def token(**claims: Any) -> str:
    return jwt.encode(claims, "k" * 32)


def certificate(lasts: timedelta) -> dict[str, str]:
    pair = self_signed(lasts=lasts)
    return client_certificate(certificate=pair.certificate, key=pair.key)


def test_a_certificate_ends_when_it_says_so() -> None:
    before = datetime.now(UTC)
    end = credential(certificate(timedelta(days=30))).expires_at

    assert end is not None
    assert timedelta(days=29) < end - before <= timedelta(days=30, minutes=1)


def test_a_token_ends_when_its_claim_says_so() -> None:
    end = NOW + timedelta(days=90)

    assert credential({"token": token(exp=int(end.timestamp()))}).expires_at == end


def test_of_two_ends_the_first_counts() -> None:
    end = NOW + timedelta(hours=1)
    user = certificate(timedelta(days=30)) | {"token": token(exp=int(end.timestamp()))}

    assert credential(user).expires_at == end


@pytest.mark.parametrize("claims", [{}, {"exp": "soon"}, {"exp": 10**30}, {"exp": None}, {"exp": [1]}])
def test_other_claims_say_nothing(claims: dict[str, Any]) -> None:
    assert credential({"token": jwt.api_jws.encode(str(claims).encode(), "k" * 32)}).expires_at is None
    assert credential({"token": "opaque"}).expires_at is None


def test_warns_before_and_after_the_end() -> None:
    end = NOW + SOON + timedelta(days=1)
    fresh = credential({"token": token(exp=int(end.timestamp()))})

    assert fresh.warnings == ()
    (before,) = with_warnings(fresh, end - timedelta(days=1)).warnings
    (after,) = with_warnings(fresh, end).warnings
    assert before == f"The credential ends at {end:%Y-%m-%d %H:%M} UTC: put a new one into the file."
    assert after == before.replace("ends", "ended")
    assert with_warnings(fresh, end).digest == fresh.digest
