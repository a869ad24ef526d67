"""What can be told of a refresh token without the database."""

import pytest

from auth.errors import Reason, Unauthenticated
from auth.keys import KeyRing, signing_key
from auth.refresh_tokens import RefreshToken, RefreshTokens, read_refresh_token
from models.ids import new_id

OLD, KEY = signing_key("one"), signing_key("two")
TOKENS = RefreshTokens(KeyRing(KEY))


def test_a_token_names_its_session_and_no_other_is_like_it() -> None:
    session_id = new_id("ses")
    first, other = TOKENS.first(session_id), TOKENS.first(session_id)
    assert read_refresh_token(first.secret) == first
    assert (first.session_id, first.secret[:4]) == (session_id, "hrt_")
    assert first.digest != other.digest
    assert first.secret not in repr(first)


def test_a_successor_is_the_same_whoever_computes_it_and_nobodys_without_the_key() -> None:
    first = TOKENS.first(new_id("ses"))
    second = TOKENS.successor(first)
    assert second == RefreshTokens(KeyRing(KEY)).successor(first)
    assert second.session_id == first.session_id
    assert len({first.secret, second.secret, TOKENS.successor(second).secret}) == 3
    assert RefreshTokens(KeyRing(OLD)).successor(first) != second


def test_after_the_keys_were_rotated_what_was_made_before_is_known() -> None:
    before = RefreshTokens(KeyRing(OLD))
    first = before.first(new_id("ses"))
    rotated = RefreshTokens(KeyRing(KEY, previous=OLD))
    assert rotated.is_genuine(first)
    assert before.successor(first) in list(rotated.successors(first))
    assert before.successor(first) != rotated.successor(first)
    assert not TOKENS.is_genuine(first)


def test_a_token_that_the_hub_never_made_is_not_genuine() -> None:
    genuine = TOKENS.first(new_id("ses"))
    assert TOKENS.is_genuine(genuine)
    stranger = TOKENS.first(new_id("ses"))
    for secret in (
        genuine.secret[:-1] + ("A" if genuine.secret[-1] != "A" else "g"),
        genuine.secret[:40] + ("A" if genuine.secret[40] != "A" else "B") + genuine.secret[41:],
        genuine.secret[:31] + stranger.secret[31:],
    ):
        assert not TOKENS.is_genuine(read_refresh_token(secret))


@pytest.mark.parametrize("mangle", [str.lower, lambda token: token[:-1], lambda token: f"{token}A"])
def test_what_has_another_shape_is_refused(mangle: object) -> None:
    assert callable(mangle)
    mangled = mangle(TOKENS.first(new_id("ses")).secret)
    for text in (mangled, "", "hrt_", "kah_" + "0" * 38, "hrt_é"):
        with pytest.raises(Unauthenticated) as refused:
            read_refresh_token(text)
        assert refused.value.reason is Reason.INVALID_CREDENTIAL


def test_tokens_go_into_a_cookie_as_they_are() -> None:
    secret = TOKENS.first(new_id("ses")).secret
    assert isinstance(read_refresh_token(secret), RefreshToken)
    assert secret.replace("_", "").replace("-", "").isalnum()
    assert secret.isascii()
