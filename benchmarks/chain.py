"""What a node costs: a chain of operations is built, evaluated and differentiated.

Run ``python benchmarks/chain.py [rounds]``. No walk over a graph recurses and each is linear, so
that the time of a node is the same in a chain of 10,000 and in one of 100,000; the ratio of the
two is the median over pairs, which alternate in one process.
"""

from __future__ import annotations

import statistics
import sys
from itertools import pairwise
from time import perf_counter

import chainrule as cr

SHORT, LONG = 10_000, 100_000
GOAL_RATIO = 2.5
PHASES = ("build", "value", "backward")


def measure(length: int) -> dict[str, float]:
    """Microseconds a node of each phase."""
    x = cr.variable(0.5)
    times = [perf_counter()]
    y = x
    for _ in range(length // 2):
        y = cr.sin(y) * 0.99
    times.append(perf_counter())
    _ = y.value
    times.append(perf_counter())
    y.backward()
    times.append(perf_counter())
    spans = [(b - a) / length * 1e6 for a, b in pairwise(times)]
    return dict(zip(PHASES, spans, strict=True))


def main(rounds: int = 3) -> None:
    """Print one line a phase, and the total."""
    measure(SHORT)
    pairs = [(measure(SHORT), measure(LONG)) for _ in range(rounds)]
    for phase in PHASES:
        ratio = statistics.median(long[phase] / short[phase] for short, long in pairs)
        short, long = (
            statistics.median(each[phase] for each in side) for side in zip(*pairs, strict=True)
        )
        print(
            f"{phase}: {short:.1f} us a node in a chain of {SHORT}, {long:.1f} us in one of {LONG},"
            f" ratio {ratio:.2f} (goal: at most {GOAL_RATIO})"
        )
    total = statistics.median(sum(long.values()) for _, long in pairs) * LONG / 1e6
    print(f"all of it for {LONG} nodes: {total:.1f} s (median of {rounds})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
