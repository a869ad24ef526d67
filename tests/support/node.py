"""npm packages of the tests, with the machine's Node.js or the one that `make web` took from PyPI."""

import os
from pathlib import Path

import pytest

from benchmarks.node import LEAST, find_node, install

CLIENTS = Path(__file__).parents[1] / "clients"
IDENTITY = Path(__file__).parents[1] / "identity"
MODULES = CLIENTS / "node_modules"


def node_with_packages(folder: Path) -> str:
    """Node.js, with the packages of the folder installed."""
    found = find_node()
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"CI needs Node.js {LEAST} or newer")
    if found is None:
        pytest.skip(f"no Node.js {LEAST} or newer on PATH, and none from PyPI: make web")
    node, npm = found
    install(node, npm, folder)
    return node


@pytest.fixture(scope="session")
def node_clients() -> str:
    """Node.js, with the packages of tests/clients installed."""
    return node_with_packages(CLIENTS)


@pytest.fixture(scope="session")
def node_identity() -> str:
    """Node.js, with the packages of tests/identity installed."""
    return node_with_packages(IDENTITY)
