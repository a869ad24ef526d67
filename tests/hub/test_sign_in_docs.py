"""docs/sign-in.md names everything that somebody may look up there."""

import re
from pathlib import Path

from auth.providers.errors import Code
from hub.provider_settings import PROVIDER_VARIABLES

PAGE = (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text()


def test_every_failure_is_explained() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)) == set(Code)


def test_every_variable_is_listed() -> None:
    _, _, table = PAGE.partition("## Every variable")
    listed = set(re.findall(r"`([A-Z_]+)`", table))
    assert {name.upper() for name in PROVIDER_VARIABLES} <= listed
