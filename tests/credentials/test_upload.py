"""Kubeconfigs that somebody sends: what is taken, and the words of every refusal."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credentials import posture
from credentials.errors import Refused
from credentials.types import Credential, CredentialSource
from credentials.upload import judge_upload
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded

NOW = datetime.now(UTC)


def judged(kubeconfig: object, *, local_refused: bool = True) -> Credential:
    text = kubeconfig if isinstance(kubeconfig, str) else encoded(kubeconfig).decode()
    return judge_upload("east", text, now=NOW, local_refused=local_refused)


def with_user(**user: Any) -> Any:
    found = document()
    found["users"][0]["user"] = user
    return found


def with_cluster(**cluster: Any) -> Any:
    found = document()
    found["clusters"][0]["cluster"] = {"server": "https://east.example:6443", **cluster}
    return found


PAIR = self_signed()
PEM = base64.b64encode(PAIR.certificate).decode()
KEY = base64.b64encode(PAIR.key).decode()
TAKEN = {
    "a token": document(),
    "a certificate": with_user(**{"client-certificate-data": PEM, "client-key-data": KEY}),
    "an authority": with_cluster(**{"certificate-authority-data": PEM}),
}
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}
REFUSED = {
    "exec": (with_user(exec=PLUGIN), "`exec` is refused in a kubeconfig that is sent"),
    "auth-provider": (with_user(**{"auth-provider": {"name": "gcp"}}), "`auth-provider` is refused"),
    "impersonation": (with_user(token="secret", **{"as": "root"}), "impersonates nobody"),
    "a token file": (with_user(tokenFile="/etc/passwd"), "names a file"),
    "a certificate file": (
        with_user(**{"client-certificate": "a.pem", "client-key": "a.key"}),
        "names a file",
    ),
    "an authority file": (with_cluster(**{"certificate-authority": "/etc/hosts"}), "names a file"),
    "a proxy": (with_cluster(**{"proxy-url": "http://10.0.0.1"}), "`proxy-url` is refused"),
    "http": (with_cluster(server="http://east.example"), "plain http"),
    "HTTP": (with_cluster(server="HTTP://east.example"), "plain http"),
    "http on loopback": (with_cluster(server="http://127.0.0.1:6443"), "plain http"),
    "no way to sign in": (with_user(), "has no way to sign in"),
    "nothing": ("", "is empty"),
    "half of a character": ("\ud800", "isn't text"),
    "much": ("#" * 1_048_577, "larger than"),
}


@pytest.mark.parametrize("kubeconfig", TAKEN.values(), ids=TAKEN)
def test_takes_what_is_embedded(kubeconfig: object) -> None:
    found = judged(kubeconfig)
    assert (found.name, found.source, found.local_refused) == ("east", CredentialSource.STORED, True)
    assert not judged(kubeconfig, local_refused=False).local_refused


@pytest.mark.parametrize(("kubeconfig", "words"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_reaches_beyond_itself(kubeconfig: object, words: str) -> None:
    with pytest.raises(Refused) as caught:
        judged(kubeconfig)
    assert words in caught.value.reason
    assert "secret" not in caught.value.reason


def test_no_refusal_repeats_a_value() -> None:
    for kubeconfig in (
        with_user(token="a secret with blanks"),
        with_user(tokenFile="secret"),
        with_user(token="x", username="secret", password="secret"),
        with_user(**{"client-certificate-data": "c2VjcmV0", "client-key-data": "c2VjcmV0"}),
        "token: secret\n  broken: [",
        "!!secret x",
        "&secret x",
    ):
        with pytest.raises(Refused) as caught:
            judged(kubeconfig)
        assert "secret" not in str(caught.value)


def test_one_that_ends_soon_is_renewed_by_sending_another() -> None:
    pair = self_signed(lasts=timedelta(days=2))
    data = {"client-certificate-data": pair.certificate, "client-key-data": pair.key}
    found = judged(with_user(**{key: base64.b64encode(pem).decode() for key, pem in data.items()}))
    (warning,) = posture.with_warnings(found, NOW).warnings
    assert "`updateInstance`" in warning
