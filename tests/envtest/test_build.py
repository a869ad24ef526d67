"""Building the real API server, with a compiler of the tests' own: nothing is downloaded here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILER = """#!/bin/sh
echo "$1" >> "$(dirname "$0")/calls"
case "$1" in
  env) echo go1.26.0 ;;
  build) while [ "$1" != -o ]; do shift; done; echo binary > "$2" ;;
esac
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    compiler = tmp_path / "bin" / "go"
    compiler.parent.mkdir()
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "ENVTEST_BIN"}
    return kept | {"PATH": f"{compiler.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}


def started(environment: dict[str, str]) -> subprocess.Popen[str]:
    # -I -S: as in CI before the virtual environment stands, with the standard library alone.
    command = "import runpy, sys; sys.path.insert(0, '.'); sys.argv = ['', 'build']; "
    command += "runpy.run_module('tests.support.envtest', run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_simultaneous_builds_compile_once(environment: dict[str, str], tmp_path: Path) -> None:
    printed = {build.communicate()[0].strip() for build in [started(environment) for _ in range(3)]}

    (path,) = printed
    assert Path(path).read_text() == "binary\n"
    assert (tmp_path / "bin" / "calls").read_text().split().count("build") == 1
    assert [file.name for file in (tmp_path / "cache").rglob("building-*")] == []


def test_another_binary_may_be_given(environment: dict[str, str], tmp_path: Path) -> None:
    output, _ = started(environment | {"ENVTEST_BIN": "/opt/envtest"}).communicate()

    assert output == "/opt/envtest\n"
    assert not (tmp_path / "bin" / "calls").exists()


def test_without_go_it_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    build = started(environment | {"PATH": str(tmp_path)})

    assert build.communicate() == ("", "tests/envtest: there is no Go on this machine\n")
    assert build.returncode == 1
