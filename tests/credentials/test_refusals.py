"""Every refusal: what was written, and the words that say what to do."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import Refused
from credentials.judge import judge
from tests.support.certificates import Pair, self_signed
from tests.support.documents import document, encoded

ALLOWED = frozenset({"kubelogin", "aws"})
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "kubelogin"}


def refusal(directory: Path, kubeconfig: object) -> str:
    raw = kubeconfig if isinstance(kubeconfig, bytes) else encoded(kubeconfig)
    with pytest.raises(Refused) as caught:
        judge("east", raw, directory=str(directory), exec_allow=ALLOWED, now=datetime.now(UTC))
    assert "secret" not in caught.value.reason
    return caught.value.reason


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def pair() -> Pair:
    return self_signed()


FILES = {
    "empty": (b" \n", "The file is empty."),
    "binary": (b"\x80\x81", "The file isn't UTF-8 text."),
    "half a line": (b'apiVersion: v1\nclusters: [{"name', "isn't valid YAML: there is a mistake in line 2."),
    "two documents": (b"a: 1\n---\nb: 2\n", "isn't valid YAML"),
    "no date": (b"a: 2026-99-99\n", "isn't valid YAML."),
    "control characters": (b"a: \x01", "isn't valid YAML."),
    "a list": (b"- a\n", "should be a mapping with `current-context`"),
    "a sentence": (b"hello\n", "should be a mapping with `current-context`"),
    "aliases": (b"a: &a [1]\nb: *a\n", "uses YAML aliases (`*name`): write the values out"),
    "merged aliases": (b"a: &a {b: 1}\nc: {<<: *a}\n", "uses YAML aliases"),
    "tags": (b"a: !!python/object:os.system x\n", "uses YAML tags (`!name`): write plain values"),
    "deep": (b"- " * 100_000, "isn't valid YAML"),
}


@pytest.mark.parametrize(("raw", "words"), FILES.values(), ids=FILES.keys())
def test_refuses_what_is_no_kubeconfig(tmp_path: Path, raw: bytes, words: str) -> None:
    assert words in refusal(tmp_path, raw)


CONTEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "no current context": (
        {"current-context": None},
        "`current-context` isn't set: `contexts` has 'main'.",
    ),
    "absent current context": (
        {"current-context": "prod"},
        "`current-context` is 'prod', which isn't there: `contexts` has 'main'.",
    ),
    "number as context": (
        {"current-context": 7},
        "`current-context` should be text: put its value in quotes",
    ),
    "no contexts": ({"contexts": []}, "isn't there: `contexts` has no entry at all."),
    "contexts as mapping": ({"contexts": {"main": {}}}, "`contexts` should be a list"),
    "context without name": (
        {"contexts": [{"context": {}}]},
        "Every entry of `contexts` should have a `name`",
    ),
    "context of text": ({"contexts": ["main"]}, "Every entry of `contexts` should have a `name`"),
    "context without cluster": (
        {"contexts": [{"name": "main", "context": {"user": "hub"}}]},
        "The current context names no `cluster`.",
    ),
    "context without user": (
        {"contexts": [{"name": "main", "context": {"cluster": "east"}}]},
        "The current context names no `user`.",
    ),
    "absent cluster": (
        {"clusters": [{"name": "west"}]},
        "names the cluster 'east'; `clusters` has 'west'.",
    ),
    "absent user": ({"users": None}, "names the user 'hub'; `users` has no entry at all."),
    "two users": (
        {"users": [{"name": "hub", "user": {}}, {"name": "hub", "user": {}}]},
        "`users` has two entries named 'hub': keep one.",
    ),
    "no namespace": (
        {"contexts": [{"name": "main", "context": {"cluster": "east", "user": "hub", "namespace": "../a"}}]},
        "`namespace` '../a' is no name of a namespace",
    ),
}


@pytest.mark.parametrize(("changes", "words"), CONTEXTS.values(), ids=CONTEXTS.keys())
def test_refuses_contexts_that_select_nothing(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in refusal(tmp_path, document() | changes)


CLUSTERS: dict[str, tuple[Mapping[str, Any], str]] = {
    "no server": ({"server": ""}, "`server` should be an address such as https://host:6443"),
    "no scheme": ({"server": "cluster.test:6443"}, "`server` should be an address"),
    "another scheme": ({"server": "ftp://cluster.test"}, "`server` should be an address"),
    "no port": ({"server": "https://cluster.test:port"}, "`server` should be an address"),
    "broken address": ({"server": "https://[::1"}, "`server` should be an address"),
    "blank": ({"server": "https://cluster.test /"}, "`server` should be an address"),
    "line break": ({"server": "https://cluster.test\n"}, "`server` holds a line break"),
    "backslash": ({"server": "http://localhost\\.evil.test"}, "`server` should be an address"),
    "http": (
        {"server": "http://cluster.test"},
        "`server` is plain http, which would send the credential in clear",
    ),
    "http, nearly loopback": ({"server": "http://127.0.0.1.evil.test"}, "`server` is plain http"),
    "http, every address": ({"server": "http://0.0.0.0"}, "`server` is plain http"),
    "password": ({"server": "https://a:secret@cluster.test"}, "`server` holds a user name or password"),
    "loopback as user": ({"server": "http://localhost@evil.test"}, "`server` holds a user name or password"),
    "query": ({"server": "https://cluster.test/?a=secret"}, "`server` holds a query or a fragment"),
    "fragment": ({"server": "https://cluster.test/#secret"}, "`server` holds a query or a fragment"),
    "text false": (
        {"insecure-skip-tls-verify": "false"},
        "`insecure-skip-tls-verify` should be `true` or `false`, without quotes.",
    ),
    "number": ({"insecure-skip-tls-verify": 0}, "`insecure-skip-tls-verify` should be `true` or `false`"),
    "socks": (
        {"proxy-url": "socks5://proxy.test:1080"},
        "`proxy-url` is for 'socks5': only http and https proxies work.",
    ),
    "proxy without scheme": ({"proxy-url": "proxy.test"}, "`proxy-url` should be an address"),
    "no base64": ({"certificate-authority-data": "secret!"}, "`certificate-authority-data` isn't base64."),
    "base64 of another type": (
        {"certificate-authority-data": 5},
        "`certificate-authority-data` isn't base64.",
    ),
    "base64 beyond ASCII": (
        {"certificate-authority-data": "ä"},
        "`certificate-authority-data` isn't base64.",
    ),
    "no certificate": (
        {"certificate-authority-data": b64(b"secret")},
        "`certificate-authority` holds no certificates in PEM.",
    ),
    "absent file": (
        {"certificate-authority": "ca.crt"},
        "'ca.crt' can't be read: No such file or directory.",
    ),
    "foreign file": ({"certificate-authority": "/etc/hostname"}, "leads out of the credentials directory"),
    "file above": ({"certificate-authority": "../ca.crt"}, "leads out of the credentials directory"),
    "zero byte": ({"certificate-authority": "ca\0.crt"}, "`certificate-authority` holds a line break"),
    "file and data": (
        {"certificate-authority": "ca.crt", "certificate-authority-data": "YQ=="},
        "`certificate-authority` and `certificate-authority-data` are both there: keep one of them.",
    ),
}


@pytest.mark.parametrize(("fields", "words"), CLUSTERS.values(), ids=CLUSTERS.keys())
def test_refuses_clusters(tmp_path: Path, fields: Mapping[str, Any], words: str) -> None:
    assert words in refusal(tmp_path, document(**fields))


def test_refuses_an_authority_that_would_not_be_used(tmp_path: Path, pair: Pair) -> None:
    authority = b64(pair.certificate)
    kubeconfig = document(certificate_authority_data=authority, insecure_skip_tls_verify=True)

    assert "contradict: remove the former" in refusal(tmp_path, kubeconfig)


USERS: dict[str, tuple[Mapping[str, Any], str]] = {
    "nothing": ({}, "The user 'hub' has no way to sign in: give it a token"),
    "auth provider": ({"auth-provider": {"name": "gcp"}}, "`auth-provider` is refused"),
    "as": ({"token": "secret", "as": "root"}, "`as` is refused: the hub impersonates nobody"),
    "as-uid": ({"token": "secret", "as-uid": "1"}, "`as-uid` is refused"),
    "as-groups": ({"token": "secret", "as-groups": ["system:masters"]}, "`as-groups` is refused"),
    "as-user-extra": ({"token": "secret", "as-user-extra": {"a": ["b"]}}, "`as-user-extra` is refused"),
    "token of digits": ({"token": 123456}, "`token` should be text: put its value in quotes"),
    "token with a line": ({"token": "secret\nX-Header: a"}, "`token` holds a line break"),
    "token with a blank": ({"token": "secret secret"}, "`token` holds blanks"),
    "token beyond ASCII": ({"token": "secret-ä"}, "`token` holds blanks or other characters"),
    "absent token file": ({"tokenFile": "token"}, "'token' can't be read"),
    "foreign token file": ({"tokenFile": "/etc/hostname"}, "leads out of the credentials directory"),
    "a kubeconfig as token": ({"tokenFile": "west.kubeconfig"}, "'west.kubeconfig' holds no token"),
    "no password": ({"username": "hub"}, "`username` and `password` go together"),
    "no user name": ({"password": "secret"}, "`username` and `password` go together"),
    "two ways": (
        {"token": "secret", "username": "a", "password": "secret"},
        "has `token` and `username`: keep one",
    ),
    "plugin and token": (
        {"token": "secret", "exec": PLUGIN},
        "has `exec` and `token`: keep one way to sign in",
    ),
    "plugin of text": ({"exec": "kubelogin"}, "`exec` should be a mapping"),
    "plugin without version": ({"exec": {"command": "kubelogin"}}, "`exec.apiVersion` should be client.auth"),
    "plugin that asks": ({"exec": PLUGIN | {"interactiveMode": "Always"}}, "nobody sits at the hub"),
    "plugin without command": ({"exec": PLUGIN | {"command": None}}, "`exec` has no `command`."),
    "plugin by path": ({"exec": PLUGIN | {"command": "/usr/bin/kubelogin"}}, "`exec.command` is a path"),
    "plugin beside": ({"exec": PLUGIN | {"command": "./aws"}}, "`exec.command` is a path"),
    "plugin of another name": (
        {"exec": PLUGIN | {"command": "sh"}},
        "`exec.command` 'sh' isn't allowed here (allowed: aws, kubelogin): add it to CREDENTIALS_EXEC_ALLOW",
    ),
    "arguments of text": ({"exec": PLUGIN | {"args": "get-token"}}, "`exec.args` should be a list of texts"),
    "number among arguments": ({"exec": PLUGIN | {"args": [1]}}, "put numbers in quotes"),
    "environment as mapping": ({"exec": PLUGIN | {"env": {"A": "secret"}}}, "`exec.env` should be a list"),
    "environment without name": (
        {"exec": PLUGIN | {"env": [{"value": "secret"}]}},
        "Every entry of `exec.env`",
    ),
    "number in environment": (
        {"exec": PLUGIN | {"env": [{"name": "A", "value": 1}]}},
        "Every entry of `exec.env`",
    ),
}


@pytest.mark.parametrize(("user", "words"), USERS.values(), ids=USERS.keys())
def test_refuses_users(tmp_path: Path, user: Mapping[str, Any], words: str) -> None:
    (tmp_path / "west.kubeconfig").write_bytes(encoded(document()))

    assert words in refusal(tmp_path, document(user=user))


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "CLOUDSDK_PYTHON", "NODE_OPTIONS"),
        *("BASH_ENV", "AWS_CONFIG_FILE", "HTTPS_PROXY", "https_proxy", "No_Proxy", "ALL_PROXY"),
    ],
)
def test_refuses_a_plugin_environment_that_chooses_code_or_peers(tmp_path: Path, name: str) -> None:
    plugin = PLUGIN | {"env": [{"name": name, "value": "secret"}]}

    assert f"`exec.env` sets '{name}', which isn't allowed" in refusal(
        tmp_path, document(user={"exec": plugin})
    )


def test_refuses_halves_and_strangers_of_a_client_certificate(tmp_path: Path, pair: Pair) -> None:
    certificate, key = b64(pair.certificate), b64(pair.key)

    def user(certificate: str, key: str) -> dict[str, Any]:
        return document(user={"client-certificate-data": certificate, "client-key-data": key})

    assert "one of them is missing" in refusal(tmp_path, user(certificate, ""))
    assert "one of them is missing" in refusal(tmp_path, user("", key))
    assert "`client-key` doesn't belong to" in refusal(tmp_path, user(certificate, b64(self_signed().key)))
    assert "holds no certificate in PEM" in refusal(tmp_path, user(key, key))
    assert "holds no private key in PEM" in refusal(tmp_path, user(certificate, certificate))
    assert "encrypted by a passphrase" in refusal(tmp_path, user(certificate, b64(pair.encrypted_key)))


def test_cuts_long_names_in_its_words(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, document() | {"current-context": "x" * 10_000})) < 200


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates()
CLUSTER_FIELDS = (
    *("server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"),
    *("proxy-url", "tls-server-name"),
)
USER_FIELDS = (
    *("token", "tokenFile", "username", "password", "exec", "auth-provider", "as"),
    *("client-certificate", "client-key", "client-certificate-data", "client-key-data"),
)
WORDS = st.sampled_from(
    [
        *("name", "main", "east", "hub", "context", "cluster", "user", "contexts", "clusters", "users"),
        *("current-context", "namespace", "env", "args", "command", *CLUSTER_FIELDS, *USER_FIELDS),
    ]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | SCALARS, inner, max_size=6),
    max_leaves=20,
)


def survives(raw: bytes) -> None:
    """Judging gives a credential or a refusal, whatever comes."""
    try:
        judge("east", raw, directory="/nonexistent", exec_allow=ALLOWED, now=datetime.now(UTC))
    except Refused as refused:
        assert refused.reason.isprintable()  # noqa: PT017 - either outcome is right


@given(st.binary(max_size=300))
def test_survives_any_bytes(raw: bytes) -> None:
    survives(raw)


@given(st.text(alphabet="{}[]:,-&*!<>|?#'\"%@` \n\t0123ax=.+_:TZ~", max_size=60))
def test_survives_anything_like_yaml(source: str) -> None:
    survives(source.encode())


@given(VALUES)
def test_survives_any_document(value: object) -> None:
    survives(encoded(value))


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.sampled_from(["contexts", "clusters", "users"]), VALUES)
def test_survives_any_section(fields: dict[str, Any], section: str, body: object) -> None:
    kubeconfig = document()
    kubeconfig[section][0][section[:-1]] = body
    survives(encoded(kubeconfig | fields))


@given(
    st.dictionaries(
        st.sampled_from(CLUSTER_FIELDS),
        VALUES | st.text(max_size=20).map("https://".__add__) | st.text(max_size=20).map("http://".__add__),
    ),
    st.dictionaries(st.sampled_from(USER_FIELDS), VALUES, max_size=3),
)
def test_survives_any_fields(cluster: dict[str, Any], user: dict[str, Any]) -> None:
    survives(encoded(document(user=user, **cluster)))
