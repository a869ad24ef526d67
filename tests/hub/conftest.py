"""Hubs that a whole module asks, on a database of its own; an environment without settings."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.environment import FROM_FILES, Variables
from models.database import Database, open_database
from models.url import SqliteUrl
from tests.support.echo_hub import FRIEND, PUBLIC, Hub, a_hub


@pytest.fixture(scope="module")
async def shared_database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    path = tmp_path_factory.mktemp("hub") / "hub.db"
    async with open_database(SqliteUrl(path=path)) as database:
        with database.entered():
            yield database


@pytest.fixture(scope="module")
async def hub(shared_database: Database) -> AsyncIterator[Hub]:
    """The demo's, on loopback."""
    async with a_hub(shared_database) as hub:
        yield hub


@pytest.fixture(scope="module")
async def public_hub(shared_database: Database) -> AsyncIterator[Hub]:
    """As behind an ingress: reached by name, with a front end elsewhere."""
    async with a_hub(
        shared_database, host="0.0.0.0", public_url=PUBLIC, allowed_origins=(FRIEND,)
    ) as public_hub:
        yield public_hub


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the hub's variables, and an empty working directory."""
    for name in (*Variables.model_fields, *(f"{name}_file" for name in FROM_FILES)):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
