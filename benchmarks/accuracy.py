"""Write the results of tables and images into the documentation: ``python -m benchmarks.accuracy``.

``python -m benchmarks.tables`` and ``python -m benchmarks.fashion_mnist`` measure them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.fashion_mnist import SETTINGS
from benchmarks.report import write_page
from benchmarks.results import RESULTS, Results, shown
from benchmarks.tables import TABLES

MARKS = "<!-- written by python -m benchmarks.accuracy -->", "<!-- end of accuracy -->"
FALLING = ("rmse", "mae", "log_loss")  # scores that are the better the smaller they are
HEAD = ("data", "splits or seeds", "score", "chainrule", "to reach", "reached", "published")


def rows() -> Iterator[tuple[str, ...]]:
    """A line of the table for every score that was measured."""
    for name, setting in SETTINGS.items():
        results = Results(RESULTS, f"fashion-mnist, {name}", {})
        if results.scores:
            yield row(results, "accuracy", setting.goal, 0.0, "")
    for name, table in TABLES.items():
        results = Results(RESULTS, name, {})
        if not results.scores:
            continue
        for score in table.goals or ("accuracy", "rmse"):
            if score in next(iter(results.scores.values())):
                yield row(results, score, table.goals.get(score), table.slack, table.published)


def row(
    results: Results, score: str, goal: float | None, slack: float, published: str
) -> tuple[str, ...]:
    """One line: a goal may be missed by ``slack`` standard errors."""
    sign = -1 if score in FALLING else 1
    mean, error = results.mean(score)
    apart, bound = results.difference(score), "" if goal is None else f"{goal:g}"
    if apart is not None:
        mean, error, goal = *apart, 0.0
        bound = f"scikit-learn's {shown(results.mean(f'sklearn {score}'))}"
        published = f"difference {mean:+.4f} +- {error:.4f}"
    reached = "" if goal is None else "yes" if sign * (mean - goal) >= -slack * error else "no"
    name, count = results.name, str(len(results.scores))
    return name, count, score, shown(results.mean(score)), bound, reached, published


def main() -> None:
    """Write the table."""
    lines = ["| " + " | ".join(each) + " |" for each in (HEAD, ("---",) * len(HEAD), *rows())]
    page = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
    write_page(page, ["", *lines, ""], MARKS)


if __name__ == "__main__":
    main()
