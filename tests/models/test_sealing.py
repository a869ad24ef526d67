"""Sealed values: who opens them, who doesn't, and how their key is changed."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

import models.tables
from auth.keys import sealing_key, signing_key
from models.errors import SealBroken
from models.rekeying import BATCH, SEALED, rekey
from models.sealing import Sealer
from models.tables import Instance, Session, User

OLD, NEW, FOREIGN = (Sealer(sealing_key(f"a secret, the {name} one")) for name in ("old", "new", "foreign"))
CHANGING = Sealer(NEW.current, (OLD.current,))


def test_only_the_row_that_it_was_sealed_for_opens_it() -> None:
    sealed = NEW.seal("gho_sécret", row_id="ses_1")
    assert NEW.open(sealed, row_id="ses_1") == "gho_sécret"
    assert "gho" not in sealed
    with pytest.raises(SealBroken, match=r"ses_2: .* another row"):
        NEW.open(sealed, row_id="ses_2")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert len({NEW.seal("text", row_id="ses_1") for _ in range(100)}) == 100


def test_every_bit_counts() -> None:
    version, kid, body = NEW.seal("kubeconfig", row_id="prod-east").split(".")
    raw = bytearray(urlsafe_b64decode(body))
    for position in range(len(raw)):
        raw[position] ^= 1
        with pytest.raises(SealBroken):
            NEW.open(f"{version}.{kid}.{urlsafe_b64encode(raw).decode()}", row_id="prod-east")
        raw[position] ^= 1
    assert NEW.open(f"{version}.{kid}.{urlsafe_b64encode(raw).decode()}", row_id="prod-east") == "kubeconfig"


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1..", "v2.abcdef01.AAAA", "plain text", "v1.{kid}.", "v1.{kid}.é*"]
)
def test_what_is_no_sealed_value_is_refused(sealed: str) -> None:
    with pytest.raises(SealBroken):
        NEW.open(sealed.format(kid=NEW.current.kid), row_id="ses_1")


def test_the_key_before_opens_and_does_not_seal() -> None:
    sealed = OLD.seal("text", row_id="ses_1")
    assert CHANGING.open(sealed, row_id="ses_1") == "text"
    assert NEW.open(CHANGING.seal("text", row_id="ses_1"), row_id="ses_1") == "text"
    with pytest.raises(SealBroken, match=r"ses_1: .*ENCRYPTION_KEY_PREVIOUS"):
        NEW.open(sealed, row_id="ses_1")


def test_a_seal_says_whether_its_key_is_the_current_one() -> None:
    assert CHANGING.is_current(NEW.seal("text", row_id="ses_1"))
    assert not CHANGING.is_current(OLD.seal("text", row_id="ses_1"))


def test_keys_stay_out_of_what_is_printed_and_differ_from_those_that_sign() -> None:
    sealing, signing = sealing_key("a secret"), signing_key("a secret")
    assert sealing.secret != signing.secret
    assert sealing.kid != signing.kid
    assert repr(sealing.secret) not in repr(CHANGING)
    assert "secret" not in repr(sealing)


async def some_sessions(sealer: Sealer, number: int) -> None:
    user = await User.create(id="usr_1", provider="github", subject="1", display_name="Ada")
    now = datetime.now(UTC)
    await Session.bulk_create(
        Session(
            id=name,
            user=user,
            refresh_digest="0" * 64,
            refreshed_at=now,
            expires_at=now,
            ends_at=now,
            provider_token=sealer.seal(f"token of {name}", row_id=name),
        )
        for name in (f"ses_{index:04}" for index in range(number))
    )
    await Session.create(
        id="ses_without", user=user, refresh_digest="0" * 64, refreshed_at=now, expires_at=now, ends_at=now
    )


@pytest.mark.usefixtures("database")
async def test_everything_is_sealed_anew_and_what_cannot_be_is_told() -> None:
    await some_sessions(OLD, BATCH + 20)
    await Instance.create(id="prod-east", display_name="", kubeconfig=OLD.seal("yaml", row_id="prod-east"))
    await Instance.create(id="prod-west", display_name="", kubeconfig=NEW.seal("yaml", row_id="prod-west"))
    await Instance.create(id="edge", display_name="", kubeconfig=FOREIGN.seal("yaml", row_id="edge"))
    await Instance.create(id="file", display_name="")

    done = await rekey(CHANGING)
    assert (done.anew, done.current) == (BATCH + 21, 1)
    (broken,) = done.broken
    assert broken.startswith("edge: ")

    for session in await Session.exclude(provider_token=None):
        assert NEW.open(session.provider_token or "", row_id=session.id) == f"token of {session.id}"
    for name in ("prod-east", "prod-west"):
        kubeconfig = (await Instance.get(id=name)).kubeconfig
        assert NEW.open(kubeconfig or "", row_id=name) == "yaml"
    assert FOREIGN.open((await Instance.get(id="edge")).kubeconfig or "", row_id="edge") == "yaml"
    again = await rekey(CHANGING)
    assert (again.anew, again.current, again.broken) == (0, BATCH + 22, done.broken)


def test_every_sealed_column_is_known() -> None:
    """By the words of the tables' documentation."""
    assert Path(models.tables.__file__).read_text().count("sealed with") == len(SEALED)
