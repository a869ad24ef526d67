"""Figures and their limits, and where they were measured."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


class Unavailable(Exception):
    """Something that a benchmark needs isn't there; says what, and where it comes from."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    what: str
    value: float
    unit: str = ""
    limit: float | None = None
    """None for what is told and not judged."""
    at_least: bool = False
    """Whether the limit is the least that will do, not the most."""

    @property
    def passed(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        limit = "" if self.limit is None else f"{sign} {self.limit:,.6g} {self.unit}"
        verdict = "" if self.limit is None else ("pass" if self.passed else "FAIL")
        value = f"{self.value:,.0f}" if abs(self.value) >= 1_000 else f"{self.value:.4g}"
        return f"{self.what:<68} {value:>9} {self.unit:<9} {limit:<18} {verdict}".rstrip()


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of them don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load:.1f} at the start"
    )
