"""How long it took from an act on a cluster until somebody saw it; printed with `pytest -s`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass(frozen=True)
class Timetable:
    rows: list[tuple[str, float]] = field(default_factory=list)

    def note(self, what: str, *, since: float, until: float | None = None) -> None:
        """Both by time.monotonic(); without `until` it happened now."""
        self.rows.append((what, (time.monotonic() if until is None else until) - since))


@pytest.fixture(scope="module")
def timetable() -> Iterator[Timetable]:
    table = Timetable()
    yield table
    for what, seconds in table.rows:
        print(f"{seconds:8.2f} s  {what}")  # noqa: T201 - for people who ask for it
