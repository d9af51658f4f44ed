"""How long `import chainrule` takes beyond `import numpy`: the median of fresh interpreters.

Run ``python benchmarks/import_time.py [runs]``. Both imports are timed in the same process, so
that a machine that changes its speed between runs changes both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

GOAL_SECONDS = 0.15
TIMED_IMPORTS = """
from time import perf_counter
start = perf_counter()
import numpy
middle = perf_counter()
import chainrule
print(middle - start, perf_counter() - middle)
"""


def measure() -> tuple[float, float]:
    """Seconds for NumPy and, after it, for chainrule in one fresh interpreter."""
    printed = subprocess.check_output([sys.executable, "-c", TIMED_IMPORTS], text=True)
    numpy_seconds, chainrule_seconds = map(float, printed.split())
    return numpy_seconds, chainrule_seconds


def main(runs: int = 15) -> None:
    """Print the medians; the first run only warms the file cache."""
    measure()
    numpy_seconds, chainrule_seconds = zip(*(measure() for _ in range(runs)), strict=True)
    print(f"import numpy      {statistics.median(numpy_seconds):.3f} s")
    print(
        f"import chainrule +{statistics.median(chainrule_seconds):.3f} s "
        f"(goal: less than {GOAL_SECONDS} s; median of {runs})"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
