import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import Reason, Unauthenticated
from auth.tokens import ALPHABET, digest_of, is_access_token, mint


def test_a_new_token_has_the_published_shape() -> None:
    token = mint()
    assert re.fullmatch(r"kah_[0-9A-Za-z]{38}", token.secret)
    assert token.secret.startswith(token.prefix)
    assert len(token.prefix) == 10
    assert token.digest == digest_of(token.secret) == hashlib.sha256(token.secret.encode()).hexdigest()
    assert token.secret not in repr(token)
    assert is_access_token(token.secret)
    assert mint().secret != token.secret


@given(st.integers(4, 41), st.sampled_from(ALPHABET))
def test_every_mistyped_character_is_noticed(position: int, character: str) -> None:
    secret = mint().secret
    typo = secret[:position] + character + secret[position + 1 :]
    if typo != secret:
        with pytest.raises(Unauthenticated) as refused:
            digest_of(typo)
        assert refused.value.reason is Reason.INVALID_CREDENTIAL


@pytest.mark.parametrize(
    "secret",
    ["kah_", "kah_short", mint().secret + "x", mint().secret + "\n", "ghp_" + "a" * 38],
    ids=["prefix", "short", "long", "newline", "foreign"],
)
def test_what_has_another_shape_is_refused(secret: str) -> None:
    with pytest.raises(Unauthenticated):
        digest_of(secret)
