"""What is kept of a kubeconfig."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from credentials.judge import judge
from credentials.types import Credential
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded

NOW = datetime(2026, 11, 14, tzinfo=UTC)


def judged(directory: Path, kubeconfig: object, *, exec_allow: frozenset[str] = frozenset()) -> Credential:
    raw = kubeconfig if isinstance(kubeconfig, bytes) else encoded(kubeconfig)
    return judge("east", raw, directory=str(directory), exec_allow=exec_allow, now=NOW)


def cluster_of(credential: Credential) -> Any:
    (entry,) = credential.config["clusters"]
    return entry["cluster"]


def user_of(credential: Credential) -> Any:
    (entry,) = credential.config["users"]
    return entry["user"]


def test_keeps_the_current_context_alone(tmp_path: Path) -> None:
    kubeconfig = document()
    kubeconfig["contexts"].append({"name": "other", "context": {"cluster": "west", "user": "plugin"}})
    kubeconfig["clusters"].append({"name": "west", "cluster": {"server": "http://west.test"}})
    kubeconfig["users"].append({"name": "plugin", "user": {"exec": {"command": "/bin/sh"}, "as": "root"}})

    credential = judged(tmp_path, kubeconfig)

    assert credential.config == document()
    assert credential.name == "east"
    assert credential.context == "main"
    assert credential.loaded_at == NOW
    assert credential.warnings == ()
    assert credential.tls_verified
    assert credential.expires_at is None


def test_drops_fields_that_it_does_not_know(tmp_path: Path) -> None:
    kubeconfig = document(disable_compression=True, extensions=[])
    kubeconfig["preferences"] = {"colors": True}
    kubeconfig["users"][0]["user"]["as-user-extra"] = {}

    assert judged(tmp_path, kubeconfig).config == document()


def test_embeds_the_files_that_it_names(tmp_path: Path) -> None:
    pair = self_signed()
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    user = {"client-certificate": "pki/tls.crt", "client-key": str(tmp_path / "tls.key")}

    named = judged(tmp_path, document(user=user, certificate_authority="pki/tls.crt"))

    certificate, key = (base64.b64encode(pem).decode() for pem in (pair.certificate, pair.key))
    data = {"client-certificate-data": certificate, "client-key-data": key}
    embedded = judged(tmp_path, document(user=data, certificate_authority_data=certificate))
    assert named.config == embedded.config
    assert named.digest == embedded.digest
    assert user_of(named) == data


def test_takes_base64_that_is_broken_into_lines(tmp_path: Path) -> None:
    authority = self_signed().certificate
    lines = base64.encodebytes(authority).decode()

    credential = judged(tmp_path, document(certificate_authority_data=lines))

    assert cluster_of(credential)["certificate-authority-data"] == base64.b64encode(authority).decode()


def test_takes_a_certificate_and_its_key_from_one_file(tmp_path: Path) -> None:
    pair = self_signed()
    (tmp_path / "both.pem").write_bytes(pair.certificate + pair.key)

    assert judged(tmp_path, document(user={"client-certificate": "both.pem", "client-key": "both.pem"}))


def test_keeps_a_token_file_by_its_absolute_path_and_before_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"one\n")
    kubeconfig = document(user={"tokenFile": "token", "token": "old"})

    before = judged(tmp_path, kubeconfig)
    (tmp_path / "token").write_bytes(b"two\n")

    assert user_of(before) == {"tokenFile": str(tmp_path / "token")}
    assert judged(tmp_path, kubeconfig).digest == before.digest


def test_keeps_an_allowed_plugin(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--server-id", "x"],
        "env": [{"name": "AAD_LOGIN_METHOD", "value": "msi"}],
    }
    more = {"installHint": "…", "interactiveMode": "IfAvailable", "provideClusterInfo": False}

    credential = judged(tmp_path, document(user={"exec": plugin | more}), exec_allow=frozenset({"kubelogin"}))

    assert user_of(credential) == {"exec": plugin}


@pytest.mark.parametrize(
    "server", ["http://localhost:8001", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:8001/base"]
)
def test_takes_http_on_loopback_even_without_a_credential(tmp_path: Path, server: str) -> None:
    credential = judged(tmp_path, document(server=server, user={}))

    assert cluster_of(credential) == {"server": server}
    assert not credential.tls_verified


@pytest.mark.parametrize(
    "server", ["https://rancher.test/k8s/clusters/c-1", "https://[2001:db8::1]:6443", "HTTPS://a"]
)
def test_takes_other_addresses_by_https(tmp_path: Path, server: str) -> None:
    assert cluster_of(judged(tmp_path, document(server=server)))["server"] == server.replace("HTTPS", "https")


def test_keeps_what_else_a_connection_needs(tmp_path: Path) -> None:
    kubeconfig = document(tls_server_name="kubernetes", proxy_url="http://proxy.test:3128")

    assert judged(tmp_path, kubeconfig).config == kubeconfig


def test_takes_empty_fields_for_absent_ones(tmp_path: Path) -> None:
    kubeconfig = document(proxy_url="", tls_server_name=None, insecure_skip_tls_verify=None)
    kubeconfig["users"][0]["user"] |= {"tokenFile": "", "exec": None, "auth-provider": None, "as": ""}

    assert judged(tmp_path, kubeconfig).config == document()


def test_warns_of_an_unchecked_server(tmp_path: Path) -> None:
    credential = judged(tmp_path, document(insecure_skip_tls_verify=True))

    assert cluster_of(credential)["insecure-skip-tls-verify"] is True
    assert not credential.tls_verified
    assert "replace `insecure-skip-tls-verify`" in credential.warnings[0]


def test_collects_the_namespaces_of_contexts_with_the_same_cluster_and_user(tmp_path: Path) -> None:
    kubeconfig = document()
    places = [("hub", "team-b"), ("hub", "ml-team"), ("hub", "team-b"), ("somebody", "secret"), ("hub", None)]
    kubeconfig["contexts"] += [
        {"name": f"c{number}", "context": {"cluster": "east", "user": user, "namespace": namespace}}
        for number, (user, namespace) in enumerate(places)
    ]

    assert judged(tmp_path, kubeconfig).namespaces == ("ml-team", "team-b")


def test_the_digest_follows_what_a_connection_depends_on(tmp_path: Path) -> None:
    plain = judged(tmp_path, document()).digest
    limited = document()
    limited["contexts"][0]["context"]["namespace"] = "ml-team"

    assert judged(tmp_path, b"# a comment\n" + encoded(document())).digest == plain
    for changed in (limited, document(server="https://west.test"), document(user={"token": "another"})):
        assert judged(tmp_path, changed).digest != plain


def test_takes_json_and_a_byte_order_mark(tmp_path: Path) -> None:
    raw = str(document()).replace("'", '"').encode("utf-8-sig")

    assert judged(tmp_path, raw).config == document()


def test_shows_no_secret_in_its_repr(tmp_path: Path) -> None:
    assert "secret-token" not in repr(judged(tmp_path, document()))
