"""Data for estimators side by side: files that everyone can load, as scikit-learn's users have it.

Categories are one-hot, numbers scaled; both estimators get the same rows and settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.processes import ROOT
from benchmarks.tasks import Task

Rows = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Data:
    """Rows to learn and rows to test on, and for how many epochs.

    Attributes
    ----------
    rows : callable
        Gives X, y, X_test, y_test; X float64, y class numbers or float64.
    epochs : int
    """

    rows: Callable[[], Rows]
    epochs: int


def adult() -> Rows:
    """The official split: 14 columns, 8 of them one-hot."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from benchmarks import tables

    task = next(tables.adult())
    X, X_test = (_frame(part) for part in (task.train, task.test))
    words = make_column_selector(dtype_include=object)
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        remainder=StandardScaler(),
    )
    labels = [(part.values == "yes").astype(np.int64) for part in (task.target, task.truth)]
    return prepare.fit_transform(X), labels[0], prepare.transform(X_test), labels[1]


def _frame(table: Any) -> Any:
    """A pandas frame of numbers, and of words as objects."""
    import pandas as pd

    columns = {}
    for column in table.columns:
        try:
            columns[column.name] = column.values.astype(np.float64)
        except ValueError:
            columns[column.name] = pd.Series(column.values.tolist(), dtype=object)
    return pd.DataFrame(columns)


def california() -> Rows:
    """Eight columns, scaled; the value in its standard deviations."""
    from benchmarks import tables

    task = next(tables.california())
    X, X_test = (
        np.column_stack([tables.floats(column) for column in part.columns])
        for part in (task.train, task.test)
    )
    middle = np.nanmedian(X, axis=0)
    X, X_test = (np.where(np.isnan(each), middle, each) for each in (X, X_test))
    mean, scale = X.mean(axis=0), X.std(axis=0)
    y, y_test = tables.floats(task.target), tables.floats(task.truth)
    y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
    return (X - mean) / scale, y, (X_test - mean) / scale, y_test


def digits() -> Rows:
    """Every fifth of scikit-learn's digits is tested."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    tested = np.arange(len(X)) % 5 == 0
    return X[~tested] / 16, y[~tested], X[tested] / 16, y[tested]


def fashion_mnist() -> Rows:
    """The official split."""
    from benchmarks.fashion_mnist import data

    (X, y), (X_test, y_test) = data("train"), data("t10k")
    return X.astype(np.float64), y, X_test.astype(np.float64), y_test


DATA = {
    "adult": Data(adult, 20),
    "california": Data(california, 60),
    "digits": Data(digits, 200),
    "fashion-mnist": Data(fashion_mnist, 20),
}


def task(name: str) -> Task:
    """One hidden layer of 100, as is the default, on a file of the data, made if it is missing."""
    path = ROOT / "out" / f"estimators-{name}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        X, y, X_test, y_test = DATA[name].rows()
        np.savez(path, X=X, y=y, X_test=X_test, y_test=y_test)
    with np.load(path) as file:
        y, features = file["y"], file["X_test"].shape[1]
    outputs = 1 if y.dtype.kind == "f" else len(np.unique(y))
    return Task("fit", (features, 100, outputs), 200, steps=DATA[name].epochs, source=str(path))
