"""``chainrule train --cv``: scores are means over folds, and the model is one of all rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from chainrule.cli import cross_validation, learn
from chainrule.cli.cross_validation import cross_validated, parts
from chainrule.cli.learn import MODEL, Asked, Learned, Work
from chainrule.data import Schema, as_frame, write_csv
from chainrule.estimators.table_model import TableModel
from tests.cli.conftest import FAST, Run, flowers, houses, refused

QUICK = {"epochs": 3, "hidden": (8,), "members": 1, "bins": 4}


def test_scores_have_standard_errors_and_all_rows_are_learned(
    run: Run, table: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "m.chainrule", tmp_path / "m.html"
    result = run("train", table, "--target", "kind", *FAST, "--cv", "3", "--out", out,
                 "--report", page)  # fmt: skip
    assert result.exit_code == 0
    text = re.sub(r"\n {3,}", " ", result.stdout)
    assert "192 trained on, 48 held out to choose the epoch, none to test" in text
    assert "each is tested in one of 3 folds" in text
    rows = [re.split(r" {2,}", line) for line in text.rpartition("\n\n")[2].splitlines()]
    assert rows[0] == ["mean of folds", "this model", "linear model", "majority class"]
    accuracy = [tuple(map(float, cell.split(" +- "))) for cell in rows[1][1:]]
    assert accuracy[0][0] > accuracy[2][0] + 0.3 and 0 < accuracy[0][1] < 0.1
    facts = TableModel.load(out).facts
    assert f"{facts['scores'][MODEL]['accuracy']:.4g}" == f"{accuracy[0][0]:.4g}"
    assert "+-" in page.read_text("utf-8") and "--cv 3" in facts["command"]


@pytest.mark.usefixtures("short_comparison")
def test_the_mean_is_that_of_models_which_never_saw_their_fold() -> None:
    asked = Asked("kind", "auto", 0.15, 0, QUICK, folds=2)
    work = Work.of(as_frame(flowers(101, seed=0)), asked)
    divided = list(parts(work, asked))
    assert sorted(np.concatenate([each.test for each in divided])) == list(range(101))
    said: list[str] = []
    learned = cross_validated(work, asked, progress=False, say=said.append)
    assert said == ["fold 1 of 2", "fold 2 of 2", "all rows"]
    majority = [max(np.mean(part.column.rows(part.test).values == kind)
                    for kind in ("lily", "rose", "tulip")) for part in divided]  # fmt: skip
    assert learned.scores["majority class"]["accuracy"] == pytest.approx(np.mean(majority))
    error = np.std(majority, ddof=1) / np.sqrt(2)
    assert error > 0
    assert learned.errors["majority class"]["accuracy"] == pytest.approx(error)


def copies_on_both_sides() -> bool:
    """Whether a table that holds every row twice, but for ids, is split between equal rows."""
    rows = {name: np.tile(each, 2) for name, each in houses(60, seed=0).items()}
    rows |= {"id": np.arange(120), "code": np.array([f"k{n:03}" for n in range(120)])}
    alone, folded = (Asked("price", "auto", 0.15, 0, QUICK, folds=n) for n in (None, 3))
    whole = Work.of(as_frame(rows), alone)
    works = [whole, *parts(Work.of(as_frame(rows), folded), folded)]
    for work in works:
        assert sorted([*work.train, *work.test]) == list(range(120)) and len(work.test) >= 18
    return any({*work.train % 60} & {*work.test % 60} for work in works)


def test_no_copy_of_a_row_that_is_tested_was_trained_on() -> None:
    assert not copies_on_both_sides()


@pytest.mark.parametrize("module", [learn, cross_validation])
def test_splits_of_rows_as_they_stand_are_found_out(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "equal_rows", lambda *_: (np.arange(120), np.arange(120)))
    assert copies_on_both_sides()


def test_splits_that_ids_keep_copies_apart_in_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Schema, "used", property(lambda schema: schema.columns))
    assert copies_on_both_sides()


def test_rows_of_different_groups_are_no_copies() -> None:
    rows = {name: np.tile(each, 2) for name, each in houses(60, seed=0).items()}
    rows["owner"] = np.arange(120) // 20
    work = Work.of(as_frame(rows), Asked("price", "auto", 0.15, 0, QUICK, group="owner"))
    assert not {*rows["owner"][work.train]} & {*rows["owner"][work.test]}


def test_folds_go_by_group_and_by_time(run: Run, tmp_path: Path) -> None:
    rows = {**houses(120, seed=0), "owner": np.arange(120) % 6, "year": np.arange(120) // 20}
    write_csv(tmp_path / "t.csv", rows)
    common = ("train", tmp_path / "t.csv", "--target", "price", *FAST, "--epochs", "2")
    for option, column, asked_for, folds in (("--group", "owner", 2, 2), ("--time", "year", 3, 2)):
        result = run(*common, option, column, "--cv", asked_for, "--log", "json")
        events = [json.loads(line) for line in result.stderr.splitlines()]
        assert sum(each["event"] == "start" for each in events) == folds + 1
        assert set(events[-1]["errors"][MODEL]) >= {"rmse", "mae", "r2"}
    asked = Asked("price", "auto", 0.15, 0, QUICK, time="year", folds=3)
    for part in parts(Work.of(as_frame(rows), asked), asked):
        assert rows["year"][part.train].max() < rows["year"][part.test].min()


def assert_same_bits(first: TableModel, second: TableModel) -> None:
    for one, other in zip(first.network.snapshot().leaves, second.network.snapshot().leaves,
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, other)


def test_folds_that_were_tested_are_not_trained_again(
    run: Run, table: Path, tmp_path: Path
) -> None:
    kept, outs = tmp_path / "kept", [tmp_path / "1", tmp_path / "2"]
    common = ("train", table, "--target", "kind", *FAST, "--cv", "2", "--checkpoints", kept)
    run(*common, "--out", outs[0])
    assert {each.name for each in kept.iterdir()} == {"fold-1", "fold-2", "first"}
    words = [word for word in common if word not in ("--seed", "1", "--quiet")]
    again = run(*words, "--resume", "--log", "json", "--out", outs[1])
    events = [json.loads(line) for line in again.stderr.splitlines()]
    assert not any(each["event"] == "epoch" for each in events)
    first, second = map(TableModel.load, outs)
    assert_same_bits(first, second)
    assert first.facts["scores"] == second.facts["scores"]


def test_ctrl_c_in_a_fold_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked("kind", "auto", 0.15, 0, QUICK, folds=2)
    work = Work.of(as_frame(flowers(60, seed=0)), asked)

    learned: list[Work] = []

    def interrupted(part: Work, *_: object, **__: object) -> Learned:
        learned.append(part)
        return Learned(cast("TableModel", None), {}, [], True)

    monkeypatch.setattr("chainrule.cli.cross_validation.learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_validated(work, asked, progress=False)
    assert len(learned) == 1


def test_bad_numbers_of_folds(table: Path) -> None:
    common = ("train", table, "--target", "kind", *FAST)
    assert "--cv must be an int >= 2, got 1" in refused(*common, "--cv", "1")
    assert "500 folds need at least as many rows" in refused(*common, "--cv", "500")
