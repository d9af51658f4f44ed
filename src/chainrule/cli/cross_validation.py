"""``chainrule train --cv K``: K models, each tested on rows it never saw, and one of all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.cli.learn import Asked, Learned, Scores, Work, equal_rows, learn, split_by
from chainrule.estimators.table_validation import folds, mean_and_error


def fold_folder(fold: int) -> str:
    """Where the checkpoints of a fold's trainings are, within the folder that was asked for."""
    return f"fold-{fold}"


def tests(asked: Asked) -> int:
    """How many folds are tested: of those that follow each other the first is learned from only.

    >>> tests(Asked("y", "auto", 0.0, 0, folds=5, time="day"))
    4
    """
    return (asked.folds or 0) - (asked.time is not None)


def parts(work: Work, asked: Asked) -> Iterator[Work]:
    """The table with the rows of each fold to test on; columns are what the others say."""
    if work.survey is not None:
        for number, survey in enumerate(work.survey.folds(asked.folds or 0), 1):
            yield Work.of_survey(survey, asked, f"fold {number} of {tests(asked)}")
        return
    firsts, kinds = equal_rows(work.frame, work.column, asked)
    by = split_by(work.frame, work.column, work.task, asked, firsts)
    for fold in folds(len(firsts), asked.folds or 0, asked.seed, **by):
        each = fold.of_all(kinds)
        yield work.divided(each.train, each.held_out, each.how, asked)


def cross_validated(
    work: Work,
    asked: Asked,
    *,
    progress: bool | None = None,
    callbacks: Sequence[Any] = (),
    say: Callable[[str], object] = str,
) -> Learned:
    """A model of all rows, with the mean scores of as many models as there are folds.

    The time limit is shared equally among all of them.

    Parameters
    ----------
    work : Work
        Without rows to test on.
    asked : Asked
    progress, callbacks
        As for :func:`chainrule.cli.learn.learn`.
    say : callable
        Is told which fold comes next.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C came before all folds were tested.
    """
    seconds = None if asked.time_limit is None else asked.time_limit / (tests(asked) + 1)
    found = []
    for fold, part in enumerate(parts(work, asked), 1):
        say(part.how)
        kept = None if asked.checkpoints is None else Path(asked.checkpoints) / fold_folder(fold)
        mine = replace(asked, time_limit=seconds, checkpoints=kept)
        each = learn(part, mine, progress=progress, callbacks=callbacks)
        if each.interrupted:
            raise KeyboardInterrupt
        found.append(each.scores)
    say("all rows")
    learned = learn(
        work, replace(asked, time_limit=seconds), progress=progress, callbacks=callbacks
    )
    scores, errors = _summary(found)
    return replace(learned, scores=scores, errors=errors)


def _summary(found: Sequence[dict[str, Scores]]) -> tuple[dict[str, Scores], dict[str, Scores]]:
    """For each model the mean of every score over the folds, and its standard error."""
    means: dict[str, Scores] = {}
    errors: dict[str, Scores] = {}
    for name in found[0]:
        both = mean_and_error([each[name] for each in found])
        means[name] = {score: mean for score, (mean, _) in both.items()}
        errors[name] = {score: error for score, (_, error) in both.items()}
    return means, errors
