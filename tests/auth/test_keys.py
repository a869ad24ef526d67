import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from auth.keys import KeyRing, signing_key, stand_in_secret


def test_a_key_is_stable_full_length_and_named_by_its_hash() -> None:
    key = signing_key("a secret")
    assert key == signing_key("a secret")
    assert key.kid != signing_key("another secret").kid
    assert len(key.secret) == 32
    assert len(key.kid) == 8
    assert key.secret.hex() not in repr(KeyRing(key))
    assert repr(key.secret) not in repr(KeyRing(key))


def test_the_stand_in_is_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "data" / "session.key"
    secret = stand_in_secret(path)
    assert len(secret) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stand_in_secret(path) == secret
    assert list(path.parent.iterdir()) == [path]


def test_simultaneous_first_starts_agree_on_one_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: stand_in_secret(path), range(64)))) == 1
    assert list(tmp_path.iterdir()) == [path]
