import os
from pathlib import Path

import psutil
import pytest

from credentials.errors import Refused
from credentials.files import SIZE_LIMIT, read_token, read_within
from tests.support.unprivileged import unprivileged


def refusal(directory: Path, path: str) -> str:
    with pytest.raises(Refused) as caught:
        read_within(str(directory), path)
    return caught.value.reason


def test_reads_by_relative_and_by_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "ca.crt").write_bytes(b"certificate")

    assert read_within(str(tmp_path), "deeper/ca.crt") == b"certificate"
    assert read_within(str(tmp_path), str(tmp_path / "deeper/ca.crt")) == b"certificate"


def test_reads_through_links_that_stay_inside_of_a_linked_directory(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "..2026").mkdir(parents=True)
    (real / "..2026" / "token").write_bytes(b"t")
    (real / "..data").symlink_to("..2026")
    (real / "token").symlink_to("..data/token")
    (tmp_path / "linked").symlink_to("real")

    assert read_within(str(tmp_path / "linked"), "token") == b"t"
    assert read_within(str(tmp_path / "linked"), str(real / "token")) == b"t"


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/hostname", "link", "deeper/link", "..", "a/../../outside"]
)
def test_refuses_what_leads_out(tmp_path: Path, path: str) -> None:
    directory = tmp_path / "credentials"
    (directory / "deeper").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"x")
    (directory / "link").symlink_to(tmp_path / "outside")
    (directory / "deeper" / "link").symlink_to("../../outside")

    assert "leads out of the credentials directory" in refusal(directory, path)


def test_refuses_a_neighbour_whose_name_begins_alike(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials-old").write_bytes(b"x")

    assert "leads out" in refusal(tmp_path / "credentials", "../credentials-old")


def test_says_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(b"x" * (SIZE_LIMIT + 1))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    assert refusal(tmp_path, "absent") == "'absent' can't be read: No such file or directory."
    assert "Too many levels of symbolic links" in refusal(tmp_path, "loop")
    assert refusal(tmp_path, "large") == "'large' is larger than 1024 KiB."
    assert refusal(tmp_path, "folder") == "'folder' isn't a regular file."
    assert refusal(tmp_path, "pipe") == "'pipe' isn't a regular file."
    assert refusal(tmp_path, ".") == "'.' isn't a regular file."
    assert "File name too long" in refusal(tmp_path, "n" * 300)


def test_says_that_permission_is_missing(tmp_path: Path) -> None:
    (tmp_path / "closed").write_bytes(b"x")
    (tmp_path / "closed").chmod(0)

    with unprivileged():
        assert refusal(tmp_path, "closed") == "'closed' can't be read: Permission denied."


def test_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    before = psutil.Process().num_fds()
    for _ in range(10):
        read_within(str(tmp_path), "file")
        refusal(tmp_path, ".")

    assert psutil.Process().num_fds() == before


def test_a_token_is_one_line_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"abc.def\n")

    assert read_token(str(tmp_path), "token") == "abc.def"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"two\nlines", b"\xff\xfe", "schlüssel".encode()]
)
def test_other_content_is_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(Refused, match="holds no token"):
        read_token(str(tmp_path), "token")
