"""`python -m benchmarks`: all of them, or those that are named."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from types import ModuleType

from benchmarks.figures import Figure, Unavailable, machine

NAMES = ("lag", "broadcast", "memory", "startup", "isolation", "limited", "listing", "revocation")
"""In the order of issue 3, (a) to (e), then issues 4 and 5."""


def run_apart(benchmark: ModuleType) -> list[Figure]:
    """In a process of its own, which weighs and pins itself."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        figures: list[Figure] = process.submit(benchmark.run).result()
        return figures


def main(arguments: Sequence[str]) -> int:
    """Print every figure; 0 if all were measured and are within their limits, 2 for a name that is none."""
    if unknown := set(arguments) - set(NAMES):
        print(f"There is no benchmark {', '.join(unknown)}: choose from {', '.join(NAMES)}", file=sys.stderr)
        return 2
    print(machine())
    results: dict[str, list[Figure]] = {}
    complete = True
    for name in arguments or NAMES:
        benchmark, begin = import_module(f"benchmarks.{name}"), time.monotonic()
        print(f"\n{name}: {(benchmark.__doc__ or '').splitlines()[0]}", flush=True)
        try:
            results[name] = run_apart(benchmark)
        except Unavailable as missing:
            results[name], complete = [], False
            print(f"  NOT MEASURED: {missing}")
        for figure in results[name]:
            print(f"  {figure}")
        print(f"  ({time.monotonic() - begin:.0f} s)", flush=True)
    judged = [(name, each) for name, figures in results.items() for each in figures if each.limit is not None]
    print("\nLimits")
    for name, figure in judged:
        print(f"  {name:<10} {figure}")
    return 0 if complete and all(figure.passed for _, figure in judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
