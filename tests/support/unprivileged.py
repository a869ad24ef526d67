"""Tests that run as root, yet need a person whom files and limits can stop."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SOMEBODY = 54_321
"""A user id that owns nothing, so that using up its limits disturbs nobody."""


@contextmanager
def unprivileged() -> Iterator[None]:
    """The whole process acts as `SOMEBODY`; without effect for anyone but root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)
