"""Folds of a table: how good a model can be expected to be, K times on rows it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from chainrule.data.cells import distinct
from chainrule.data.frames import Column
from chainrule.errors import DataError, ParameterError
from chainrule.estimators.table_split import Split, in_time
from chainrule.shapes import Array

FEWEST_FOLDS = 2


def folds(
    rows: int,
    count: int,
    seed: int,
    *,
    classes: Array | None = None,
    groups: Column | None = None,
    times: Column | None = None,
) -> Iterator[Split]:
    """What to learn from and what to test on, ``count`` times.

    Parameters
    ----------
    rows : int
    count : int >= 2
    seed : int
    classes : (n,) int64, optional
        Of which each fold has the same shares.
    groups : Column, optional
        Rows of one group are in one fold.
    times : Column, optional
        Folds follow each other, rows of one moment are in one fold, and each fold is tested by what
        was before it: there is one test fewer than folds.

    Raises
    ------
    ParameterError
        If there are fewer than two folds, or both groups and times.
    DataError
        If there are fewer rows, groups or moments than folds.
    """
    if type(count) is not int or count < FEWEST_FOLDS:
        raise ParameterError(f"cross-validation needs at least 2 folds, got {count!r}")
    numbers = _numbers(rows, count, seed, classes, groups, times)
    for fold in range(count if times is None else count - 1):
        held = numbers == (fold if times is None else fold + 1)
        learned = ~held if times is None else numbers <= fold
        how = f"fold {fold + 1} of {count if times is None else count - 1}"
        yield Split(np.flatnonzero(learned), np.flatnonzero(held), how)


def _numbers(
    rows: int,
    count: int,
    seed: int,
    classes: Array | None,
    groups: Column | None,
    times: Column | None,
) -> Array:
    """The number of each row's fold, (n,) int64 from 0."""
    if groups is not None and times is not None:
        raise ParameterError("make folds by group or by time, not by both")
    _require_enough(rows, count, "rows", "the table")
    draw = np.random.Generator(np.random.Philox(seed))
    if groups is not None:
        names, members = distinct(groups.as_texts())
        _require_enough(len(names), count, "groups", repr(groups.name))
        drawn: Array = draw.permutation(len(names))[members] % count
        return drawn
    if times is not None:
        return _in_order(times, count)
    order = draw.permutation(rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    found = np.empty(rows, np.int64)
    found[order] = np.arange(rows) % count
    return found


def _in_order(times: Column, count: int) -> Array:
    """Folds of about the same size that follow each other; each has moments of its own."""
    _, members, sizes = np.unique(in_time(times), return_inverse=True, return_counts=True)
    found: Array = np.searchsorted(starts_of_folds(sizes, count, times.name), members, side="right")
    return found


def starts_of_folds(sizes: Array, count: int, name: str) -> Array:
    """Where each fold but the first begins, of moments that have so many rows each.

    Parameters
    ----------
    sizes : (n,) int64
        In the order of time.
    count : int
        Of folds, which are about the same size.
    name : str
        Of the column, for messages.

    Raises
    ------
    DataError
        If there are fewer moments than folds.

    Examples
    --------
    >>> starts_of_folds(np.array([2, 1, 1, 9]), 3, "day").tolist()
    [2, 3]
    """
    _require_enough(len(sizes), count, "moments", repr(name))
    fold = np.arange(1, count)
    wanted = np.searchsorted(np.cumsum(sizes) - sizes / 2, fold * sizes.sum() / count)
    starts = np.maximum(np.maximum.accumulate(wanted - fold), 0) + fold  # no fold without a moment
    found: Array = np.minimum(starts, len(sizes) - count + fold)
    return found


def _require_enough(there: int, count: int, what: str, where: str) -> None:
    if there < count:
        raise DataError(f"{count} folds need at least as many {what}, and {where} has {there}")


def mean_and_error(scores: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """For each score the mean over the folds, and its standard error.

    >>> mean_and_error([{"rmse": 1.0}, {"rmse": 3.0}])
    {'rmse': (2.0, 1.0)}
    """
    names = [name for name in scores[0] if all(name in each for each in scores)]
    columns = {name: np.array([each[name] for each in scores]) for name in names}
    return {
        name: (float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else 0.0)
        for name, x in columns.items()
    }
