"""Scores of many trainings, kept as lines of JSON: what was measured is not measured again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "tables.jsonl"


class Results:
    """The scores of one table with the same settings, by split or seed.

    Attributes
    ----------
    path : Path
    name : str
    settings : dict
        That are not the defaults.
    scores : dict of int to dict of str to float
    """

    def __init__(self, path: Path, name: str, settings: dict[str, Any]) -> None:
        self.path, self.name, self.settings = path, name, settings
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self.scores: dict[int, dict[str, float]] = {
            each["split"]: each["scores"]
            for each in map(json.loads, lines)
            if each["table"] == name and each["settings"] == settings
        }

    def once(self, split: int, measure: Callable[[], dict[str, float]]) -> None:
        """Measure a split that is not there yet; print and keep its scores."""
        if split in self.scores:
            return
        found = self.scores[split] = measure()
        line = {"table": self.name, "split": split, "settings": self.settings, "scores": found}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        shown = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
        print(f"  {self.name} {split}: {shown}", flush=True)

    def mean(self, score: str) -> tuple[float, float]:
        """Over the splits, with its standard error."""
        return mean_and_error([each[score] for each in self.scores.values()])

    def difference(self, score: str) -> tuple[float, float] | None:
        """From scikit-learn's score, over the splits, with its standard error."""
        theirs = f"sklearn {score}"
        if any(theirs not in each for each in self.scores.values()):
            return None
        return mean_and_error([each[score] - each[theirs] for each in self.scores.values()])

    def __str__(self) -> str:
        names = list(next(iter(self.scores.values()), {}))
        found = []
        for name in names:
            found.append(f"{name} {shown(self.mean(name))}")
            if apart := self.difference(name):
                found.append(f"(difference {apart[0]:+.4f} +- {apart[1]:.4f})")
        return ", ".join(found)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """A mean and its standard error; of one value 0."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return statistics.mean(values), error


def shown(pair: tuple[float, float]) -> str:
    """As text, with four digits.

    >>> shown((0.12345, 0.00678))
    '0.1235 +- 0.0068'
    """
    return f"{pair[0]:.4f} +- {pair[1]:.4f}"
