"""The directory watched: everything takes effect within three seconds. `pytest -s` shows how long it took."""

import asyncio
import ctypes
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from credentials.directory import CredentialDirectory
from credentials.types import Snapshot
from tests.support.certificates import self_signed
from tests.support.documents import document, encoded
from tests.support.unprivileged import SOMEBODY, unprivileged

LIMIT = 3.0
"""Seconds, as the issue promises."""


class Watch:
    """What a watched directory has said so far."""

    def __init__(self) -> None:
        self.history: list[Snapshot] = []
        self._news = asyncio.Event()

    async def follow(self, directory: CredentialDirectory) -> None:
        async for snapshot in directory.snapshots():
            self.history.append(snapshot)
            self._news.set()

    async def sees(self, scenario: str, condition: Callable[[Snapshot], bool]) -> None:
        """Returns once the newest snapshot is so; fails `LIMIT` seconds after the call."""
        start = asyncio.get_running_loop().time()
        async with asyncio.timeout(LIMIT):
            while not (self.history and condition(self.history[-1])):
                self._news.clear()
                await self._news.wait()
        took = asyncio.get_running_loop().time() - start
        sys.stdout.write(f"\n{scenario:<60}{took:6.2f} s")

    def never_lacked(self, name: str) -> bool:
        """Whether the instance was there from its first snapshot on."""
        present = [name in snapshot.credentials for snapshot in self.history]
        return all(present[present.index(True) :])


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Watch]:
    watch = Watch()
    task = asyncio.create_task(watch.follow(CredentialDirectory(path, exec_allow=())), name="watch")
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=1)
        assert task.cancelled()


@pytest.fixture
def somebodys_directory() -> Iterator[Path]:
    """A directory that `unprivileged` owns and reaches, which it can't below `tmp_path`."""
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            os.chown(directory, SOMEBODY, -1)
        yield Path(directory)


@contextmanager
def inotify_used_up() -> Iterator[None]:
    libc, held = ctypes.CDLL(None), []
    try:
        while (descriptor := libc.inotify_init()) >= 0:
            held.append(descriptor)
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def put(path: Path, token: str = "one") -> None:
    """As `cp` writes: the file is empty for a moment."""
    path.write_bytes(encoded(document(user={"token": token})))


def tokens(snapshot: Snapshot) -> dict[str, Any]:
    return {
        name: credential.config["users"][0]["user"]["token"]
        for name, credential in snapshot.credentials.items()
    }


async def test_the_first_snapshot_comes_without_a_directory(tmp_path: Path) -> None:
    async with watching(tmp_path / "absent") as watch:
        await watch.sees("start without a directory", lambda snapshot: snapshot == Snapshot({}, {}, ()))


async def test_a_directory_that_is_missing_at_start(tmp_path: Path) -> None:
    directory = tmp_path / "later" / "credentials"
    async with watching(directory) as watch:
        await watch.sees("start without a directory", lambda snapshot: not snapshot.credentials)
        directory.mkdir(parents=True)
        put(directory / "east.kubeconfig")
        await watch.sees("directory created", lambda snapshot: tokens(snapshot) == {"east": "one"})


async def test_files_come_change_and_go(tmp_path: Path) -> None:
    async with watching(tmp_path) as watch:
        await watch.sees("start", lambda snapshot: not snapshot.credentials)
        put(tmp_path / "east.kubeconfig")
        await watch.sees("file added", lambda snapshot: tokens(snapshot) == {"east": "one"})
        put(tmp_path / "east.kubeconfig", "two")
        await watch.sees("file changed", lambda snapshot: tokens(snapshot) == {"east": "two"})
        put(tmp_path / "temporary", "three")
        (tmp_path / "temporary").rename(tmp_path / "east.kubeconfig")
        await watch.sees("file replaced by rename", lambda snapshot: tokens(snapshot) == {"east": "three"})
        (tmp_path / "east.kubeconfig").unlink()
        await watch.sees("file removed", lambda snapshot: not snapshot.credentials)


async def test_a_half_written_file_never_replaces_a_good_one(tmp_path: Path) -> None:
    file = tmp_path / "east.kubeconfig"
    put(file)
    whole = encoded(document(user={"token": "two"}))
    async with watching(tmp_path) as watch:
        await watch.sees("start with a file", lambda snapshot: tokens(snapshot) == {"east": "one"})
        file.write_bytes(whole[: len(whole) // 2])
        await watch.sees(
            "half written: last good stays, error shown", lambda snapshot: "east" in snapshot.errors
        )
        assert tokens(watch.history[-1]) == {"east": "one"}
        with file.open("ab") as rest:
            rest.write(whole[len(whole) // 2 :])
        await watch.sees("then finished", lambda snapshot: tokens(snapshot) == {"east": "two"})
        assert watch.history[-1].errors == {}
        assert watch.never_lacked("east")


async def test_a_broken_file_is_told_and_repaired(tmp_path: Path) -> None:
    file = tmp_path / "east.kubeconfig"
    async with watching(tmp_path) as watch:
        file.write_bytes(b"hello")
        await watch.sees("never good: a problem", lambda snapshot: len(snapshot.problems) == 1)
        put(file)
        await watch.sees("then repaired", lambda snapshot: tokens(snapshot) == {"east": "one"})
        assert watch.history[-1].problems == ()
        file.write_bytes(b"hello")
        await watch.sees("broken: last good stays, error shown", lambda snapshot: "east" in snapshot.errors)
        put(file)
        await watch.sees("then repaired", lambda snapshot: not snapshot.errors)
        assert watch.never_lacked("east")


async def test_a_csi_driver_swaps_its_data(tmp_path: Path) -> None:
    def rotate(version: str, token: str, names: tuple[str, ...] = ("east",)) -> None:
        (tmp_path / version).mkdir()
        for name in names:
            put(tmp_path / version / f"{name}.kubeconfig", token)
            if not (link := tmp_path / f"{name}.kubeconfig").is_symlink():
                link.symlink_to(f"..data/{name}.kubeconfig")
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    rotate("..2026_11_01", "one")
    async with watching(tmp_path) as watch:
        await watch.sees("start with a CSI volume", lambda snapshot: tokens(snapshot) == {"east": "one"})
        rotate("..2026_11_02", "two")
        (tmp_path / "..2026_11_01" / "east.kubeconfig").unlink()
        (tmp_path / "..2026_11_01").rmdir()
        await watch.sees("CSI swap", lambda snapshot: tokens(snapshot) == {"east": "two"})
        rotate("..2026_11_03", "three", ("east", "west"))
        await watch.sees(
            "CSI swap with one more", lambda snapshot: tokens(snapshot) == {"east": "three", "west": "three"}
        )
        assert watch.never_lacked("east")


async def test_a_replaced_directory_does_not_flap(tmp_path: Path) -> None:
    directory, fresh = tmp_path / "credentials", tmp_path / "fresh"
    for folder, token in ((directory, "one"), (fresh, "two")):
        folder.mkdir()
        put(folder / "east.kubeconfig", token)
    put(directory / "west.kubeconfig")
    async with watching(directory) as watch:
        await watch.sees("start", lambda snapshot: set(snapshot.credentials) == {"east", "west"})
        directory.rename(tmp_path / "old")
        fresh.rename(directory)
        await watch.sees("directory replaced", lambda snapshot: tokens(snapshot) == {"east": "two"})
        put(directory / "east.kubeconfig", "three")
        await watch.sees("then changed", lambda snapshot: tokens(snapshot) == {"east": "three"})
        assert watch.never_lacked("east")


async def test_a_directory_that_is_removed_and_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "credentials"
    directory.mkdir()
    put(directory / "east.kubeconfig")
    async with watching(directory) as watch:
        await watch.sees("start", lambda snapshot: tokens(snapshot) == {"east": "one"})
        directory.rename(tmp_path / "old")
        await watch.sees("directory removed", lambda snapshot: not snapshot.credentials)
        directory.mkdir()
        put(directory / "east.kubeconfig", "two")
        await watch.sees("then made again", lambda snapshot: tokens(snapshot) == {"east": "two"})


async def test_a_linked_directory_is_pointed_elsewhere(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder / "east.kubeconfig", folder)
    link = tmp_path / "credentials"
    link.symlink_to("one")
    async with watching(link) as watch:
        await watch.sees(
            "start with a linked directory", lambda snapshot: tokens(snapshot) == {"east": "one"}
        )
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(link)
        await watch.sees("link pointed elsewhere", lambda snapshot: tokens(snapshot) == {"east": "two"})
        put(tmp_path / "two" / "east.kubeconfig", "three")
        await watch.sees("then changed", lambda snapshot: tokens(snapshot) == {"east": "three"})
        assert watch.never_lacked("east")


async def test_a_certificate_file_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(self_signed().certificate)
    (tmp_path / "east.kubeconfig").write_bytes(encoded(document(certificate_authority="pki/ca.crt")))
    async with watching(tmp_path) as watch:
        await watch.sees("start with a CA file", lambda snapshot: "east" in snapshot.credentials)
        before = watch.history[-1].credentials["east"].digest
        (tmp_path / "pki" / "ca.crt").write_bytes(self_signed().certificate)
        await watch.sees(
            "CA file in a folder below changed",
            lambda snapshot: snapshot.credentials["east"].digest != before,
        )


async def test_what_is_no_good_is_told(tmp_path: Path) -> None:
    directory = tmp_path / "credentials"
    directory.mkdir()
    put(tmp_path / "outside")
    async with watching(directory) as watch:
        (directory / "link.kubeconfig").symlink_to("../outside")
        await watch.sees("link that leads out: a problem", lambda snapshot: len(snapshot.problems) == 1)
        put(directory / "No_Label.kubeconfig")
        await watch.sees("name that is no DNS label: a problem", lambda snapshot: len(snapshot.problems) == 2)


async def test_a_file_that_may_not_be_read_leaves_the_last_good_one(somebodys_directory: Path) -> None:
    file = somebodys_directory / "east.kubeconfig"
    with unprivileged():
        put(file)
        async with watching(somebodys_directory) as watch:
            await watch.sees("start", lambda snapshot: tokens(snapshot) == {"east": "one"})
            put(file, "two")
            file.chmod(0)
            await watch.sees("permission denied: error shown", lambda snapshot: "east" in snapshot.errors)
            assert tokens(watch.history[-1]) == {"east": "one"}
            file.chmod(0o600)
            await watch.sees("then permitted", lambda snapshot: tokens(snapshot) == {"east": "two"})


@pytest.mark.skipif(
    os.geteuid() != 0, reason="would use up one's own inotify instances, so only root may, as another"
)
async def test_polls_when_inotify_is_used_up(somebodys_directory: Path) -> None:
    file = somebodys_directory / "east.kubeconfig"
    with unprivileged(), inotify_used_up():
        async with watching(somebodys_directory) as watch:
            await watch.sees("start without inotify", lambda snapshot: not snapshot.credentials)
            put(file)
            await watch.sees(
                "without inotify: file added", lambda snapshot: tokens(snapshot) == {"east": "one"}
            )
            put(file, "two")
            await watch.sees(
                "without inotify: file changed", lambda snapshot: tokens(snapshot) == {"east": "two"}
            )
            file.unlink()
            await watch.sees("without inotify: file removed", lambda snapshot: not snapshot.credentials)


async def test_a_hundred_files(tmp_path: Path) -> None:
    async with watching(tmp_path) as watch:
        await watch.sees("start", lambda snapshot: not snapshot.credentials)
        for number in range(100):
            put(tmp_path / f"c{number}.kubeconfig")
        await watch.sees("100 files added", lambda snapshot: len(snapshot.credentials) == 100)
        put(tmp_path / "c50.kubeconfig", "two")
        await watch.sees("one of 100 changed", lambda snapshot: tokens(snapshot)["c50"] == "two")
        for number in range(100):
            (tmp_path / f"c{number}.kubeconfig").unlink()
        await watch.sees("100 files removed", lambda snapshot: not snapshot.credentials)
