"""What the log says of failures, and what it must not."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys, structlog
from hub.logs import configure_logging
from hub.settings import LogSettings

configure_logging(LogSettings(format=sys.argv[1], level="info"))

def connect(credential):
    raise RuntimeError("no connection")

for log in (structlog.get_logger("hub"), logging.getLogger("aiohttp")):
    try:
        connect(sys.argv[2])
    except RuntimeError as error:
        log.error("failed", exc_info=error)
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_tells_where_and_shows_no_variables(form: str) -> None:
    """In a process of its own: logging is the process's."""
    secret = "kah_the_secret_of_somebody"
    written = subprocess.run(
        [sys.executable, "-c", PROGRAM, form, secret],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stderr
    assert written.count("RuntimeError: no connection") == 2
    assert written.count("in connect") == 2
    assert secret not in written
