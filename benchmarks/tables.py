"""Tables with the defaults of TableClassifier and TableRegressor, beside published figures.

Run ``python -m benchmarks.tables [table ...] [splits=N] [results=FILE] [setting=value ...]``. The
data are in ``CHAINRULE_SHARED/data``. One line is printed for each split, and added to the file of
results, ``docs/tables.jsonl``; splits that it has are not measured again. Then the means are
printed beside the goals. ``python -m benchmarks.accuracy`` writes them into the documentation.

=============  =====================================================  ===========================
table          rows that are tested                                   figure to reach
=============  =====================================================  ===========================
adult          the official test set, five seeds                      accuracy 0.854, AUC 0.908
california     five random splits, 80 % to learn; 8 derived columns   RMSE 0.47 ($100,000)
housing        the same rows as they are in the file                  none
diamonds       five random splits, 80 % to learn                      RMSE 0.138 (sd of the price)
boston ...     the 20 splits that come with the data                  MC dropout, ensembles
ames ...       5 x 2-fold                                             scikit-learn's pipeline + MLP
=============  =====================================================  ===========================

No row that is tested is looked at before: the estimator holds rows out of those it is given.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.results import RESULTS, Results
from chainrule.data.frames import Column, Frame, as_column, as_frame
from chainrule.estimators.table import TableClassifier, TableRegressor
from chainrule.estimators.table_model import target_from

ADULT = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country",
)  # fmt: skip


class Task(NamedTuple):
    """One split: what to learn from, and what is tested."""

    train: Frame
    target: Column
    test: Frame
    truth: Column


def folder() -> Path:
    """Where the data lie."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    return Path(os.environ.get("CHAINRULE_SHARED", beside)) / "data"


def divided(frame: Frame, target: Column, train: Any, test: Any) -> Task:
    """A table cut in two."""
    return Task(frame.rows(train), target.rows(train), frame.rows(test), target.rows(test))


def random_splits(frame: Frame, target: Column) -> Iterator[Task]:
    """Five times 80 % of the rows to learn from."""
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(frame))
        cut = int(0.8 * len(frame))
        yield divided(frame, target, order[:cut], order[cut:])


def halves(frame: Frame, target: Column) -> Iterator[Task]:
    """Five times two folds."""
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(frame))
        parts = np.array_split(order, 2)
        yield divided(frame, target, parts[0], parts[1])
        yield divided(frame, target, parts[1], parts[0])


def adult() -> Iterator[Task]:
    """The official split, once for each seed."""
    parts = []
    for name, skipped in (("adult.data.gz", 0), ("adult.test.gz", 1)):
        rows = read_headless(folder() / "tabular" / name, skipped)
        columns = {column: [row[place] for row in rows] for place, column in enumerate(ADULT)}
        income = ["yes" if row[-1].startswith(">50K") else "no" for row in rows]
        parts += [as_frame(columns), as_column(income, "income")]
    for _ in range(5):
        yield Task(*parts)


def read_headless(path: Path, skipped: int) -> list[list[str]]:
    """The cells of adult's files, whose test set starts with a line that is no row."""
    import gzip

    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()[skipped:]
    return [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]


def california() -> Iterator[Task]:
    """The eight columns of the published data set, rebuilt from the file; $100,000."""
    frame = as_frame(folder() / "tabular" / "california-housing.csv.gz")
    raw = {c.name: np.where(c.missing, np.nan, floats(c)) for c in frame.columns[:-1]}
    homes = raw["households"]
    columns = {
        "MedInc": raw["median_income"],
        "HouseAge": raw["housing_median_age"],
        "AveRooms": raw["total_rooms"] / homes,
        "AveBedrms": raw["total_bedrooms"] / homes,
        "Population": raw["population"],
        "AveOccup": raw["population"] / homes,
        "Latitude": raw["latitude"],
        "Longitude": raw["longitude"],
    }
    yield from random_splits(as_frame(columns), as_column(raw["median_house_value"] / 1e5, "value"))


def floats(column: Column) -> Any:
    """Numbers, NaN where one is missing."""
    return np.where(column.missing, "nan", column.values).astype(np.float64)


def housing() -> Iterator[Task]:
    """California as it is in the file, with its category and its holes; $100,000."""
    frame, target = target_from(
        folder() / "tabular" / "california-housing.csv.gz", "median_house_value"
    )
    yield from random_splits(frame, as_column(floats(target) / 1e5, "value"))


def diamonds() -> Iterator[Task]:
    """Prices in units of their standard deviation."""
    frame, target = target_from(folder() / "tabular" / "diamonds.csv.gz", "price")
    price = floats(target)
    yield from random_splits(frame, as_column(price / price.std(), "price"))


def uci(name: str) -> Callable[[], Iterator[Task]]:
    """The given splits of one of Gal's data sets."""

    def tasks() -> Iterator[Task]:
        with np.load(folder() / "uci" / f"{name}.npz") as data:
            frame, target = as_frame(data["X"]), as_column(data["y"], "y")
            masks = data["test_mask"]
        for mask in masks:
            yield divided(frame, target, ~mask, mask)

    return tasks


def messy(name: str, target_name: str) -> Callable[[], Iterator[Task]]:
    """A file with holes, text and categories, in halves."""

    def tasks() -> Iterator[Task]:
        frame, target = target_from(folder() / "tabular" / name, target_name)
        yield from halves(frame.rows(~target.missing), target.rows(~target.missing))

    return tasks


class Table(NamedTuple):
    """A table of the benchmark.

    Attributes
    ----------
    estimator : TableClassifier or TableRegressor
    tasks : callable
        Gives its splits.
    goals : dict of str to float
        What each score is to reach.
    published : str
        By others.
    slack : float
        Standard errors that a goal may be missed by.
    compared : bool
        Whether the goal is scikit-learn's score on the same splits.
    """

    estimator: Any
    tasks: Callable[[], Iterator[Task]]
    goals: dict[str, float]
    published: str = ""
    slack: float = 0.0
    compared: bool = False


def small(name: str, rmse: float, log_likelihood: float, published: str) -> Table:
    """One of Gal's data sets, with the best published column of either score as its goal."""
    goals = {"rmse": rmse, "log_likelihood": log_likelihood}
    return Table(TableRegressor, uci(name), goals, published, slack=2.0)


def compared(estimator: Any, name: str, target: str) -> Table:
    """A messy file, beside scikit-learn's pipeline."""
    return Table(estimator, messy(name, target), {}, slack=2.0, compared=True)


TABLES = {
    "adult": Table(TableClassifier, adult, {"accuracy": 0.854, "auc": 0.908}, "TabM 0.8575"),
    "california": Table(TableRegressor, california, {"rmse": 0.47}, "tuned MLP 0.495, TabM 0.441"),
    "housing": Table(TableRegressor, housing, {}),
    "diamonds": Table(TableRegressor, diamonds, {"rmse": 0.138}, "tuned MLP 0.140, TabM 0.131"),
    "boston": small("boston", 2.90, -2.40, "MC dropout 2.90, -2.40; ensembles 3.28, -2.41"),
    "concrete": small("concrete", 4.82, -2.93, "MC dropout 4.82, -2.93; ensembles 6.03, -3.06"),
    "energy": small("energy", 0.54, -1.21, "MC dropout 0.54, -1.21; ensembles 2.09, -1.38"),
    "ames": compared(TableRegressor, "ames-house-prices.csv.gz", "SalePrice"),
    "mpg": compared(TableRegressor, "auto-mpg.csv", "mpg"),
    "titanic": compared(TableClassifier, "titanic-kaggle-train.csv", "Survived"),
    "penguins": compared(TableClassifier, "penguins.csv", "species"),
}


# scikit-learn's pipeline


def pipeline_scores(table: Table, task: Task) -> dict[str, float]:
    """Impute, scale, one-hot, MLP: what people do with scikit-learn, with its defaults."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, words, X, X_test = _as_objects(task)
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    if table.estimator is TableClassifier:
        truth = task.truth.as_texts()
        model = make_pipeline(prepare, MLPClassifier(random_state=0)).fit(
            X, task.target.as_texts().astype(object)
        )
        return {"accuracy": float(np.mean(model.predict(X_test) == truth))}
    y, truth = floats(task.target), floats(task.truth)
    scale = y.std()
    model = make_pipeline(prepare, MLPRegressor(random_state=0, max_iter=1000)).fit(
        X, (y - y.mean()) / scale
    )
    errors = model.predict(X_test) * scale + y.mean() - truth
    return {"rmse": float(np.sqrt(np.mean(errors**2)))}


def _as_objects(task: Task) -> tuple[list[int], list[int], Any, Any]:
    """Places of numbers and of words with at most 50 values, and the cells."""
    numbers, words = [], []
    for place, column in enumerate(task.train.columns):
        values = column.present()
        try:
            values.astype(np.float64)
            numbers.append(place)
        except ValueError:
            if len(np.unique(values)) <= 50:
                words.append(place)
    cells = []
    for frame in (task.train, task.test):
        columns = [
            floats(c).astype(object)
            if place in numbers
            else np.where(c.missing, "", c.values).astype(object)
            for place, c in enumerate(frame.columns)
        ]
        cells.append(np.column_stack(columns))
    return numbers, words, cells[0], cells[1]


# The command


def measured(table: Table, task: Task, seed: int, chosen: dict[str, Any]) -> dict[str, float]:
    """The scores of one split, and the seconds it took to learn."""
    began = time.perf_counter()
    model = table.estimator(random_state=seed, **chosen).fit(task.train, task.target)
    seconds = time.perf_counter() - began
    scores = dict(model.model_.scores(task.test, task.truth))
    if table.compared:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pipeline says that it has not converged
            scores |= {f"sklearn {k}": v for k, v in pipeline_scores(table, task).items()}
    return {**scores, "seconds": seconds}


def main(arguments: list[str]) -> None:
    """Measure the tables that are named, or all."""
    chosen = dict(each.split("=", 1) for each in arguments if "=" in each)
    results = Path(chosen.pop("results", RESULTS))
    settings = {name: _value(text) for name, text in chosen.items()}
    most = settings.pop("splits", None)
    for name in [each for each in arguments if "=" not in each] or [*TABLES]:
        table, found = TABLES[name], Results(results, name, settings)
        for seed, task in enumerate(islice(table.tasks(), most)):
            found.once(seed, partial(measured, table, task, seed, settings))
        goals = ", ".join(f"{score} {goal}" for score, goal in table.goals.items())
        print(f"{name}: {found}; goal: {goals or 'none'}", flush=True)


def _value(text: str) -> Any:
    import ast

    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main(sys.argv[1:])
