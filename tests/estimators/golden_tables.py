"""Files of table models of each version of the format, which every later chainrule must read.

``python -m tests.estimators.golden_tables`` writes those of the present version, which must not
exist: a file that was released is never written again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chainrule.estimators import TableClassifier, TableRegressor
from chainrule.persist.format import VERSION

FOLDER = Path(__file__).parent.parent / "golden"
ROWS = 120
PLACES = np.arange(ROWS)
SIZES = np.round(5 + 4 * np.sin(PLACES * 0.7), 2)
PRICES = np.round(SIZES**2 + PLACES % 3, 2)
KINDS = np.where(SIZES > 6, "groß", np.where(SIZES > 3, "mittel", "klein"))
SETTINGS: dict[str, Any] = {
    "hidden": (4,), "members": 2, "epochs": 6, "bins": 4, "random_state": 5, "engine": "reference",
}  # fmt: skip
ESTIMATORS = {"classifier": (TableClassifier, KINDS), "regressor": (TableRegressor, PRICES)}


def table() -> dict[str, list[Any]]:
    """Columns of every kind: numbers with holes, euros, a category, text, a date, yes and no."""
    return {
        "size": [None if place % 11 == 5 else size for place, size in enumerate(SIZES.tolist())],
        "fee": [f"{1000 + 13 * place:,} €" for place in range(ROWS)],
        "colour": [("red", "blue", None, "grün")[place % 4] for place in range(ROWS)],
        "name": [f"house {place * 7919 % 1000} by the sea" for place in range(ROWS)],
        "day": [f"2024-{1 + place % 12:02}-{1 + place % 28:02}" for place in range(ROWS)],
        "new": [("yes", "no")[place % 2] for place in range(ROWS)],
        "always": [1] * ROWS,
    }


def path(name: str, version: str) -> Path:
    return FOLDER / f"{name}-{version}.chainrule"


def numbers(name: str, model: Any) -> list[list[float]]:
    """What a model says of the first four rows: probabilities, or a number, deviation, interval."""
    few: dict[str, list[Any]] = {column: cells[:4] for column, cells in table().items()}
    few["colour"][3] = "unseen"
    if name == "classifier":
        found: list[list[float]] = model.predict_proba(few).tolist()
        return found
    known: list[list[float]] = np.stack(
        [*model.predict(few, return_std=True), *model.predict_interval(few, coverage=0.8)], axis=1
    ).tolist()
    return known


def write() -> None:
    for name, (kind, target) in ESTIMATORS.items():
        file = path(name, VERSION)
        if file.exists():
            raise SystemExit(f"{file} exists: files that were released stay as they are")
        model = kind(**SETTINGS).fit(table(), target)
        model.save(file)
        print(repr(name), numbers(name, model))


if __name__ == "__main__":
    write()
