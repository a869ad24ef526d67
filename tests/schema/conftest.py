"""Worlds of the surface's tests: one that a module shares and leaves as it was, one for a test alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.surface import World, a_world


@pytest.fixture(scope="module")
async def shared_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hub")) as world:
        yield world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world
