"""What every test has: asyncio, and the fixtures of tests/support."""

import pytest

pytest_plugins = [
    "tests.support.databases",
    "tests.support.browser",
    "tests.support.demo",
    "tests.support.envtest_fixtures",
    "tests.support.hub_process",
    "tests.support.node",
    "tests.support.simulation",
    "tests.support.timetable",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
