"""Builds the real API server of the tests (tests/envtest, a Go program), once for each state of its source.

    python -m tests.support.envtest build

prints the path of the binary, which a later call finds in the cache within a tenth of a second. A cold
build downloads 86 MiB and takes 5 to 10 minutes on two cores. Nothing but the standard library is needed,
so CI can start it before the virtual environment stands. ENVTEST_BIN names a binary to use instead.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "envtest"
KUBERNETES_VERSION = "v1.37.2"
VERSION_PACKAGE = "k8s.io/component-base/version"
FLAGS = (
    "-trimpath",
    f"-ldflags=-s -w -X {VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION}"
    f" -X {VERSION_PACKAGE}.gitMajor=1 -X {VERSION_PACKAGE}.gitMinor=37",
)


class GoIsMissing(Exception):
    """There is no Go on this machine, or an older one than go.mod asks for."""


class BuildFailed(Exception):
    """Go's compiler or its downloads failed; the message is Go's own."""


def build() -> Path:
    """The binary's path, built first if need be; simultaneous callers build it once.

    Raises GoIsMissing or BuildFailed.
    """
    if given := os.environ.get("ENVTEST_BIN"):
        return Path(given)
    target = _cache() / _digest(_go_version()) / "envtest"
    if not target.exists():
        with _locked(_cache() / "lock"):
            if not target.exists():
                _compile(target)
    return target


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kubeairunway-hub" / "envtest"


def _go_version() -> str:
    if shutil.which("go") is None:
        raise GoIsMissing("there is no Go on this machine")
    if (too_old := _go("list", "-m")).returncode:
        raise GoIsMissing(too_old.stderr.strip())
    return _go("env", "GOVERSION").stdout.strip()


def _digest(go_version: str) -> str:
    digest = hashlib.sha256("\0".join([go_version, *FLAGS]).encode())
    for file in sorted([*SOURCE.glob("go.*"), *SOURCE.glob("*.go")]):
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _compile(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parents[1], prefix="building-") as directory:
        binary = Path(directory, target.name)
        answer = _go("build", *FLAGS, "-o", str(binary), ".")
        if answer.returncode:
            raise BuildFailed(answer.stderr.strip())
        target.parent.mkdir(exist_ok=True)
        binary.rename(target)


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    # GOTOOLCHAIN=local: say that Go is too old rather than download another one.
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    return subprocess.run(
        ["go", *arguments], cwd=SOURCE, env=os.environ | settings, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["build"]:
        sys.exit("usage: python -m tests.support.envtest build")
    try:
        print(build())  # noqa: T201 - its output is what it is for
    except (GoIsMissing, BuildFailed) as error:
        sys.exit(f"tests/envtest: {error}")
