"""One look at the directory after another, without any waiting."""

import os
from pathlib import Path
from typing import Any

from credentials.directory import CredentialDirectory
from credentials.types import Snapshot
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded
from tests.support.unprivileged import unprivileged


def prompt(path: Path, **patience: float) -> CredentialDirectory:
    """A directory that takes every look for the truth, unless told to have patience."""
    return CredentialDirectory(path, exec_allow=(), **({"settle": 0.0, "grace": 0.0} | patience))


def put(path: Path, token: str = "one", **fields: Any) -> None:
    path.write_bytes(encoded(document(user={"token": token}, **fields)))


def token_of(snapshot: Snapshot, name: str = "east") -> Any:
    return snapshot.credentials[name].config["users"][0]["user"]["token"]


def test_finds_kubeconfigs_by_their_names(tmp_path: Path) -> None:
    for name in (
        "prod-east.kubeconfig",
        "a.kubeconfig",
        "config",
        "b.yaml",
        ".hidden.kubeconfig",
        "c.kubeconfig~",
    ):
        put(tmp_path / name)
    (tmp_path / "deeper").mkdir()
    put(tmp_path / "deeper" / "d.kubeconfig")

    snapshot = prompt(tmp_path).scan()

    assert list(snapshot.credentials) == ["a", "prod-east"]
    assert snapshot.credentials["a"].name == "a"
    assert snapshot.credentials["a"].directory == str(tmp_path)
    assert snapshot.errors == {}
    assert snapshot.problems == ()


def test_is_empty_without_a_directory(tmp_path: Path) -> None:
    assert prompt(tmp_path / "absent").scan() == Snapshot({}, {}, ())


def test_a_look_without_changes_says_the_same(tmp_path: Path) -> None:
    put(tmp_path / "east.kubeconfig")
    (tmp_path / "broken.kubeconfig").write_bytes(b"")
    put(tmp_path / "No_Label.kubeconfig")
    directory = prompt(tmp_path)

    assert directory.scan() == directory.scan()


def test_a_change_that_means_nothing_keeps_the_credential(tmp_path: Path) -> None:
    put(tmp_path / "east.kubeconfig")
    directory = prompt(tmp_path)
    before = directory.scan()
    (tmp_path / "east.kubeconfig").write_bytes(b"# rotated\n" + (tmp_path / "east.kubeconfig").read_bytes())

    assert directory.scan().credentials["east"] is before.credentials["east"]


def test_a_token_file_that_changes_is_another_token_of_the_same_credential(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    (tmp_path / "east.kubeconfig").write_bytes(encoded(document(user={"tokenFile": "token"})))
    directory = prompt(tmp_path)
    before = directory.scan().credentials["east"]
    (tmp_path / "token").write_text("two")

    after = directory.scan().credentials["east"]

    assert after.digest == before.digest
    assert after.token_digest != before.token_digest
    assert directory.scan().credentials["east"] is after


def test_a_broken_change_leaves_the_last_good_credential(tmp_path: Path) -> None:
    put(tmp_path / "east.kubeconfig")
    directory = prompt(tmp_path)
    good = directory.scan().credentials["east"]
    for content in (b"", b"\x80", encoded(document(user={"exec": {"command": "sh"}}))):
        (tmp_path / "east.kubeconfig").write_bytes(content)
        snapshot = directory.scan()
        assert snapshot.credentials == {"east": good}
        assert list(snapshot.errors) == ["east"]
        assert snapshot.problems == ()

    put(tmp_path / "east.kubeconfig", "two")

    snapshot = directory.scan()
    assert token_of(snapshot) == "two"
    assert snapshot.errors == {}


def test_a_file_that_never_was_good_is_a_problem_since_it_was_first_seen(tmp_path: Path) -> None:
    (tmp_path / "east.kubeconfig").write_bytes(b"")
    put(tmp_path / "Prod.kubeconfig")
    directory = prompt(tmp_path)

    bad_name, empty = directory.scan().problems
    (tmp_path / "east.kubeconfig").write_bytes(b"hello")
    _, sentence = directory.scan().problems

    assert (bad_name.file_name, empty.file_name) == ("Prod.kubeconfig", "east.kubeconfig")
    assert "The file's name is to be the instance's" in bad_name.reason
    assert empty.reason == "The file is empty."
    assert "isn't a kubeconfig" in sentence.reason
    assert sentence.since == empty.since


def test_names_have_63_characters_at_the_most(tmp_path: Path) -> None:
    put(tmp_path / f"{'a' * 63}.kubeconfig")
    put(tmp_path / f"{'b' * 64}.kubeconfig")

    snapshot = prompt(tmp_path).scan()

    assert list(snapshot.credentials) == ["a" * 63]
    assert [problem.file_name for problem in snapshot.problems] == [f"{'b' * 64}.kubeconfig"]


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.kubeconfig")).touch()

    (problem,) = prompt(tmp_path).scan().problems

    assert problem.file_name == "?.kubeconfig"


def test_a_link_that_leads_out_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    put(tmp_path / "elsewhere")
    (tmp_path / "credentials" / "east.kubeconfig").symlink_to("../elsewhere")

    (problem,) = prompt(tmp_path / "credentials").scan().problems

    assert "leads out of the credentials directory" in problem.reason


def test_a_changed_certificate_file_makes_a_new_credential(tmp_path: Path) -> None:
    from_file = document(certificate_authority="ca.crt")
    (tmp_path / "east.kubeconfig").write_bytes(encoded(from_file))
    directory = prompt(tmp_path)
    (problem,) = directory.scan().problems
    assert "'ca.crt' can't be read" in problem.reason

    digests = set()
    for _ in range(2):
        (tmp_path / "ca.crt").write_bytes(self_signed().certificate)
        digests.add(directory.scan().credentials["east"].digest)

    assert len(digests) == 2


def test_what_is_being_written_waits_for_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "east.kubeconfig"
    put(file, "a-whole-token")
    directory = prompt(tmp_path, settle=60)
    assert token_of(directory.scan()) == "a-whole-token"  # there is nothing good that it could replace

    put(file, "a-whole")

    assert token_of(directory.scan()) == "a-whole-token"
    os.utime(file, (0, 0))
    assert token_of(directory.scan()) == "a-whole"


def test_what_is_gone_for_a_moment_stays(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    put(tmp_path / "credentials" / "east.kubeconfig")
    directory = prompt(tmp_path / "credentials", grace=60)
    before = directory.scan()

    (tmp_path / "credentials").rename(tmp_path / "away")
    assert directory.scan() == before
    (tmp_path / "credentials").mkdir()
    assert directory.scan() == before
    put(tmp_path / "credentials" / "east.kubeconfig", "two")
    assert token_of(directory.scan()) == "two"


def test_what_is_gone_for_good_leaves_nothing(tmp_path: Path) -> None:
    put(tmp_path / "east.kubeconfig")
    put(tmp_path / "Prod.kubeconfig")
    directory = prompt(tmp_path)
    directory.scan()
    (tmp_path / "east.kubeconfig").write_bytes(b"")
    directory.scan()
    for file in tmp_path.iterdir():
        file.unlink()

    assert directory.scan() == Snapshot({}, {}, ())


def test_an_unreadable_directory_leaves_everything_and_says_so(tmp_path: Path) -> None:
    put(tmp_path / "east.kubeconfig")
    directory = prompt(tmp_path)
    before = directory.scan()
    tmp_path.chmod(0)
    with unprivileged():
        snapshot, later = directory.scan(), directory.scan()
    tmp_path.chmod(0o700)

    assert snapshot.credentials == before.credentials
    (problem,) = snapshot.problems
    assert problem.file_name == "."
    assert "The credentials directory can't be read (Permission denied)" in problem.reason
    assert later == snapshot
    assert directory.scan() == before


def test_a_path_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "credentials").touch()

    (problem,) = prompt(tmp_path / "credentials").scan().problems

    assert "Not a directory" in problem.reason
