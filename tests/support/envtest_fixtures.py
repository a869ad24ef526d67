"""Fixtures of the real API server: mark a test that uses them with `envtest`."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import envtest
from tests.support.apiserver import ApiServer, running_api_server


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds before the first test, whose time limit a cold build would break; the fixture reports errors."""
    wanted = any(item.get_closest_marker("envtest") for item in session.items)
    if wanted and not session.config.option.collectonly:
        try:
            envtest.build()
        except (envtest.GoIsMissing, envtest.BuildFailed):
            return


@pytest.fixture(scope="session")
def envtest_binary() -> Path:
    try:
        return envtest.build()
    except envtest.GoIsMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs the real API server: {error}")
        pytest.skip(f"the real API server cannot be built: {error}")


@pytest.fixture(scope="session")
async def api_server(envtest_binary: Path) -> AsyncIterator[ApiServer]:
    """One cluster for all tests, with airunway.ai's CRDs: each makes its own namespaces and kills nothing."""
    async with running_api_server(binary=envtest_binary) as server:
        await server.kubectl.install_crds()
        yield server


@pytest.fixture
async def fresh_api_server(envtest_binary: Path, request: pytest.FixtureRequest) -> AsyncIterator[ApiServer]:
    """A cluster of the test's own, without CRDs, to kill, restart and compact.

    `@pytest.mark.parametrize("fresh_api_server", [[UNCACHED_WATCHES]], indirect=True)` gives it flags.
    """
    async with running_api_server(binary=envtest_binary, flags=getattr(request, "param", ())) as server:
        yield server
