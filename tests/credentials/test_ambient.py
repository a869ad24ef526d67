"""The credential of whoever runs the hub: where it is found, what it is called, and what its changes do."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from credentials.ambient import Ambient, AmbientCredential, find_ambient
from credentials.types import CredentialSource, Snapshot
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded

ALLOWED = frozenset({"aws"})


def at(*files: Path, **patience: float) -> AmbientCredential:
    """One that takes every look for the truth, unless told to have patience."""
    return AmbientCredential(
        Ambient(files=files), exec_allow=ALLOWED, **({"settle": 0.0, "grace": 0.0} | patience)
    )


def put(path: Path, *, context: str | None = None, **fields: Any) -> Path:
    path.write_bytes(encoded(named(document(**fields), context)))
    return path


def named(found: dict[str, Any], context: str | None) -> dict[str, Any]:
    if context is None:
        return found
    found["contexts"][0]["name"] = found["current-context"] = context
    return found


def token_of(snapshot: Snapshot) -> Any:
    (credential,) = snapshot.credentials.values()
    return credential.config["users"][0]["user"]["token"]


def reason_of(snapshot: Snapshot) -> str:
    assert snapshot.credentials == {}
    (problem,) = snapshot.problems
    return problem.reason


# ------------------------------------------------------------------ where it is found


def test_kubeconfig_beats_home_and_home_beats_the_pod(tmp_path: Path) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    home = tmp_path / ".kube" / "config"
    assert find_ambient(pod, home=tmp_path) == Ambient(files=(), server="10.0.0.1:443")
    assert find_ambient({}, home=tmp_path) == Ambient(files=(home,))
    home.parent.mkdir()
    put(home)
    assert find_ambient(pod, home=tmp_path) == Ambient(files=(home,))
    listed = {"KUBECONFIG": f"/a{os.pathsep}{os.pathsep}b"}
    assert find_ambient(pod | listed, home=tmp_path) == Ambient(files=(Path("/a"), Path("b").absolute()))
    assert find_ambient({"KUBECONFIG": ""}, home=tmp_path) == Ambient(files=(home,))


def test_a_pods_server_may_have_an_ipv6_address(tmp_path: Path) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert find_ambient(pod, home=tmp_path).server == "[fd00::1]:6443"


def test_a_pods_service_account(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(self_signed().certificate)
    (tmp_path / "token").write_text("one\n")
    ambient = Ambient(files=(), server="10.0.0.1:443", service_account=tmp_path)
    scanner = AmbientCredential(ambient, exec_allow=frozenset())

    (credential,) = scanner.scan().credentials.values()

    assert (credential.name, credential.source) == ("local", CredentialSource.AMBIENT)
    assert credential.config["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:443"
    assert credential.config["users"][0]["user"] == {"tokenFile": str(tmp_path / "token")}
    first = credential.token_digest
    (tmp_path / "token").write_text("two\n")
    assert scanner.scan().credentials["local"].token_digest != first
    (tmp_path / "token").unlink()
    assert "token" in scanner.scan().errors["local"]


# ------------------------------------------------------------------ what it is called


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("kind-kind", "kind-kind"),
        ("gke_project_europe-west1_Prod", "gke-project-europe-west1-prod"),
        ("arn:aws:eks:eu-west-1:123456789012:cluster/ml", "arn-aws-eks-eu-west-1-123456789012-cluster-ml"),
        ("admin@cluster.local", "admin-cluster-local"),
        ("-x" * 80, "x-" * 31 + "x"),
        ("пользователь", "local"),
    ],
)
def test_the_instance_is_named_after_the_context(tmp_path: Path, context: str, name: str) -> None:
    (credential,) = at(put(tmp_path / "config", context=context)).scan().credentials.values()
    assert (credential.name, credential.context) == (name, context)


# ------------------------------------------------------------------ what may be in it


def test_paths_start_from_the_kubeconfig_and_may_lead_anywhere(tmp_path: Path) -> None:
    pair = self_signed()
    folder, elsewhere = tmp_path / "kube", tmp_path / "minikube"
    for each in (folder, elsewhere):
        each.mkdir()
    (elsewhere / "ca.crt").write_bytes(pair.certificate)
    (elsewhere / "client.crt").write_bytes(pair.certificate)
    (folder / "client.key").write_bytes(pair.key)
    found = document(
        user={"client-certificate": "../minikube/client.crt", "client-key": "client.key"},
    )
    cluster = found["clusters"][0]["cluster"]
    cluster.pop("certificate-authority-data", None)
    cluster["certificate-authority"] = str(elsewhere / "ca.crt")
    (folder / "config").write_bytes(encoded(found))
    scanner = at(folder / "config")

    (credential,) = scanner.scan().credentials.values()

    assert "client-key-data" in credential.config["users"][0]["user"]
    assert "certificate-authority-data" in credential.config["clusters"][0]["cluster"]
    (elsewhere / "ca.crt").write_bytes(self_signed().certificate)
    (again,) = scanner.scan().credentials.values()
    assert again.digest != credential.digest


def test_plugins_need_leave(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    for command, allowed in (("aws", True), ("curl", False), ("./aws", False)):
        put(tmp_path / "config", user={"exec": plugin | {"command": command}})
        snapshot = at(tmp_path / "config").scan()
        assert bool(snapshot.credentials) is allowed
        assert allowed or "exec.command" in reason_of(snapshot)


# ------------------------------------------------------------------ several files


def test_of_several_files_the_first_word_counts(tmp_path: Path) -> None:
    first = put(tmp_path / "a", context="one", user={"token": "first"})
    second = put(tmp_path / "b", context="one", user={"token": "second"})
    assert token_of(at(first, second).scan()) == "first"
    assert token_of(at(second, first).scan()) == "second"
    assert token_of(at(tmp_path / "absent", second).scan()) == "second"


def test_parts_may_lie_in_different_files(tmp_path: Path) -> None:
    whole = named(document(user={"token": "one"}), "ours")
    users = {"users": whole.pop("users")}
    choice = {"current-context": whole.pop("current-context")}
    for name, part in (("rest", whole), ("users", users), ("choice", choice), ("empty", None)):
        (tmp_path / name).write_text("" if part is None else json.dumps(part))
    files = [tmp_path / name for name in ("empty", "rest", "users", "choice")]
    assert token_of(at(*files).scan()) == "one"
    assert "`users` has no entry" in reason_of(at(*files[:2], files[3]).scan())


def test_the_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    good, bad = put(tmp_path / "good"), tmp_path / "bad"
    bad.write_text("{")
    assert reason_of(at(good, bad).scan()).startswith(f"{bad}: The file isn't valid YAML")
    for nonsense in ("users: 1", "users: [1]", "users: [{name: []}]", "contexts: [{name: 1}]"):
        bad.write_text(nonsense)
        assert "should be a list" in reason_of(at(bad, good).scan())


# ------------------------------------------------------------------ what changes do


def test_nothing_there_is_told_and_what_comes_is_found(tmp_path: Path) -> None:
    scanner = at(tmp_path / "config")
    assert reason_of(scanner.scan()).startswith(f"There is no kubeconfig in {tmp_path / 'config'}")
    assert scanner.scan() == scanner.scan()
    put(tmp_path / "config", user={"token": "one"})
    assert token_of(scanner.scan()) == "one"
    (tmp_path / "config").unlink()
    assert "There is no kubeconfig" in reason_of(scanner.scan())


def test_what_is_no_good_any_more_leaves_the_last_good_one_at_work(tmp_path: Path) -> None:
    scanner = at(put(tmp_path / "config", user={"token": "one"}))
    scanner.scan()
    (tmp_path / "config").write_text("{")
    snapshot = scanner.scan()
    assert token_of(snapshot) == "one"
    assert "valid YAML" in next(iter(snapshot.errors.values()))
    put(tmp_path / "config", user={"token": "two"})
    snapshot = scanner.scan()
    assert (token_of(snapshot), snapshot.errors) == ("two", {})


def test_another_context_is_another_instance(tmp_path: Path) -> None:
    scanner = at(put(tmp_path / "config", context="one"))
    assert list(scanner.scan().credentials) == ["one"]
    put(tmp_path / "config", context="two")
    assert list(scanner.scan().credentials) == ["two"]


def test_nobody_works_on_a_cluster_that_kubectl_has_left(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "unheard-of"}
    for left in (named(document(user={"exec": plugin}), "two"), {"current-context": ""}):
        scanner = at(put(tmp_path / "config", context="one"))
        assert list(scanner.scan().credentials) == ["one"]
        (tmp_path / "config").write_text(json.dumps(left))
        assert reason_of(scanner.scan())


def test_what_is_being_written_waits_for_the_next_look(tmp_path: Path) -> None:
    file = put(tmp_path / "config", user={"token": "one"})
    scanner = at(file, settle=60.0)
    assert token_of(scanner.scan()) == "one"
    put(file, user={"token": "half"})
    assert token_of(scanner.scan()) == "one"
    assert not scanner.is_settled
    os.utime(file, (time.time() - 120, time.time() - 120))
    assert token_of(scanner.scan()) == "half"
    assert scanner.is_settled


def test_what_is_gone_for_a_moment_stays(tmp_path: Path) -> None:
    file = put(tmp_path / "config", user={"token": "one"})
    scanner = at(file, grace=60.0)
    scanner.scan()
    content = file.read_bytes()
    file.unlink()
    assert token_of(scanner.scan()) == "one"
    assert not scanner.is_settled
    file.write_bytes(content)
    assert token_of(scanner.scan()) == "one"
    assert scanner.is_settled
