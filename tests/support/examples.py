"""How much the randomised tests try."""

import os

SOAK = 40
"""How many times as much by `make soak`."""


def examples(count: int) -> int:
    """So many examples, many more with HYPOTHESIS_PROFILE=soak."""
    return count * SOAK if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else count
