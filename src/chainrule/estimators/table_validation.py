"""How good a model of a table can be expected to be: K models, each tested on rows it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data.frames import Column
from chainrule.errors import DataError, ParameterError
from chainrule.estimators.table_learning import Problem, Request, learn
from chainrule.estimators.table_settings import CLASSIFICATION
from chainrule.estimators.table_split import in_time
from chainrule.shapes import Array

FEWEST_FOLDS = 2


def cross_validated(problem: Problem, request: Request, folds: int) -> list[dict[str, float]]:
    """The scores of K models, each on the fold that it was not given.

    Parameters
    ----------
    problem : Problem
    request : Request
        Folds keep its groups together, and follow its times: then each model is given the rows
        before the fold that it is tested on, and there is one fold less.
    folds : int >= 2

    Returns
    -------
    list of dict of str to float
        As :meth:`TableModel.scores` gives them.

    Raises
    ------
    ParameterError
        If there are fewer than two folds.
    DataError
        If there are fewer rows or groups than folds.
    """
    if type(folds) is not int or folds < FEWEST_FOLDS:
        raise ParameterError(f"cross-validation needs at least 2 folds, got {folds!r}")
    numbers = fold_numbers(problem, request, folds)
    first = 0 if request.time is None else 1
    return [_tested(problem, request, numbers, fold) for fold in range(first, folds)]


def _tested(problem: Problem, request: Request, numbers: Array, fold: int) -> dict[str, float]:
    learned = numbers < fold if request.time is not None else numbers != fold
    weights = None if problem.weights is None else problem.weights[learned]
    part = replace(
        problem, frame=problem.frame.rows(learned), column=problem.column.rows(learned),
        weights=weights,
    )  # fmt: skip
    held = numbers == fold
    return learn(part, request).scores(problem.frame.rows(held), problem.column.rows(held))


def fold_numbers(problem: Problem, request: Request, folds: int) -> Array:
    """The number of each row's fold, (n,) int64 from 0.

    Folds are drawn at random, classes in equal shares; or by groups; or in the order of time.
    """
    draw = np.random.Generator(np.random.Philox(request.seed))
    rows = len(problem.frame)
    if request.group is not None:
        return _by_group(problem.frame[request.group], folds, draw)
    if rows < folds:
        raise DataError(f"{folds} folds need at least as many rows, and there are {rows}")
    if request.time is not None:
        order = np.argsort(in_time(problem.frame[request.time]), kind="stable")
    elif problem.task == CLASSIFICATION:
        shuffled = draw.permutation(rows)
        order = shuffled[np.argsort(problem.column.as_texts()[shuffled], kind="stable")]
        return _placed(order, np.arange(rows) % folds)
    else:
        order = draw.permutation(rows)
    return _placed(order, np.arange(rows) * folds // rows)


def _placed(order: Array, numbers: Array) -> Array:
    found = np.empty(len(order), np.int64)
    found[order] = numbers
    return found


def _by_group(groups: Column, folds: int, draw: Any) -> Array:
    names, members = np.unique(groups.as_texts(), return_inverse=True)
    if len(names) < folds:
        raise DataError(
            f"{folds} folds need at least as many groups, and {groups.name!r} has {len(names)}"
        )
    numbers: Array = (draw.permutation(len(names)) % folds)[members]
    return numbers


def mean_and_error(scores: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
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
