"""Tables that are read in blocks: divided by time, into folds, and with weights, as in memory."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import as_frame, csv_blocks, write_csv
from chainrule.data.factored import joined
from chainrule.data.frames import Frame, as_column
from chainrule.data.schema import infer_schema
from chainrule.data.streams import open_stream
from chainrule.errors import DataError, ParameterError, UnknownNameError
from chainrule.estimators import (
    TableClassifier,
    TableRegressor,
    table_blocks,
    table_kept,
    table_streaming,
    table_survey,
    table_varying,
)
from chainrule.estimators import table_times as times
from chainrule.estimators.table_drawing import HELD, TESTED, ByTime
from chainrule.estimators.table_split import split_rows
from chainrule.estimators.table_survey import Survey
from chainrule.estimators.table_times import Moments, ordered
from chainrule.estimators.table_validation import folds
from chainrule.estimators.table_varying import with_rare_values

ROWS = 400
SMALL = {"hidden": (8,), "members": 1, "epochs": 2, "batch_size": 32, "bins": 4, "random_state": 0}


def columns() -> dict[str, Any]:
    draw = np.random.default_rng(3)
    day = np.datetime64("2024-01-01") + draw.integers(0, 40, ROWS)
    return {
        "number": np.arange(ROWS),
        "size": draw.normal(size=ROWS).round(4),
        "day": [f"{each.astype(object):%m/%d/%Y}" for each in day],
        "year": draw.integers(1, 90, ROWS) / 2,
        "shop": draw.integers(0, 30, ROWS),
        "y": draw.normal(size=ROWS).round(4),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files, read in blocks of a few dozen rows, each time anew."""
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    found = tmp_path / "data"
    found.mkdir()
    for part in range(2):
        rows = slice(200 * part, 200 * part + 200)
        write_csv(found / f"{part}.csv", {name: x[rows] for name, x in columns().items()})
    return found


def surveyed(folder: Path, **given: Any) -> Survey:
    shares = {"test": 0.2, "validation": 0.25}
    return Survey.of(open_stream(folder), "y", 1, **shares | given)


def numbers(rows: Frame) -> set[int]:
    return {*map(int, rows["number"].as_texts().tolist())}


def parts(found: Survey) -> list[set[int]]:
    """The rows to train on, those held out and those to test."""
    training = joined([frame for _, frame in found.training_frames()])
    assert len(training) == found.learned_from
    return [numbers(part) for part in (training, found.held_out, found.test)]


# By time


@pytest.mark.parametrize("column", ["day", "year", "number"])
def test_the_latest_rows_are_those_of_a_table_in_memory(folder: Path, column: str) -> None:
    table = columns()
    first = split_rows(ROWS, 0.2, 0, times=as_column(table[column], column))
    left = np.array(table[column])[first.train]
    second = split_rows(len(left), 0.25, 0, times=as_column(left, column))
    wanted = [first.train[second.train], first.train[second.held_out], first.held_out]
    assert parts(surveyed(folder, time=column)) == [{*rows.tolist()} for rows in wanted]


def is_in_order(found: Survey) -> bool:
    """Whether each row that is trained on is earlier than all held out, and these than tests."""
    year = columns()["year"]
    train, held, test = (year[[*part]] for part in parts(found))
    return bool(train.max() < held.min() and held.max() < test.min())


def test_of_more_latest_rows_than_are_kept_none_is_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = parts(surveyed(folder, time="year"))
    for name, value in {"SAMPLE_ROWS": 50, "HELD_OUT_ROWS": 20, "TEST_ROWS": 10}.items():
        monkeypatch.setattr(table_kept, name, value)
    found = surveyed(folder, time="year")
    assert [len(part) for part in (found.sample, found.held_out, found.test)] == [50, 20, 10]
    train, held, test = parts(found)
    assert train == wanted[0] and held < wanted[1] and test < wanted[2]
    assert is_in_order(found)
    # a defect: rows that are not kept are trained on, as those that are held out at random are
    monkeypatch.setattr(
        table_survey,
        "_by_time",
        lambda times, seed, starts, roles: table_survey.Division(
            ByTime(times.clock, starts), seed, TESTED, HELD, roles
        ),
    )
    assert not is_in_order(surveyed(folder, time="year"))


def test_many_moments_are_counted_together_and_stay_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "MOST_MOMENTS", 32)
    found = surveyed(folder, time="year")
    assert is_in_order(found)
    assert len(found._times.moments.counts) <= 32  # type: ignore[union-attr]
    assert [len(part) for part in parts(found)] == pytest.approx([240, 80, 80], abs=30)


def test_moments_that_several_processes_count_are_those_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ordered(np.random.default_rng(0).normal(size=900))
    monkeypatch.setattr(times, "MOST_MOMENTS", 64)
    alone, first, second = Moments(), Moments(), Moments()
    for moments, rows in (
        (alone, slice(0, 900)),
        (first, slice(0, 300)),
        (second, slice(300, 900)),
    ):
        moments.add(keys[rows])
    said: list[Any] = []
    monkeypatch.setattr(times, "gathered", lambda value: said.append(value) or [value])
    second.shared()
    monkeypatch.setattr(times, "gathered", lambda value: [value, *said])
    first.shared()
    assert first.counts.sum() == alone.counts.sum() == 900
    assert first.latest(0.3) == alone.latest(0.3)


def test_dates_that_later_rows_explain_are_read_again(tmp_path: Path) -> None:
    """The first file alone would be read as months and days."""
    first = {"day": ["01/02/2024", "02/01/2024"] * 10, "n": range(20), "y": range(20)}
    later = {"day": ["15/01/2024"] * 20, "n": range(20, 40), "y": range(20)}
    for part, rows in enumerate((first, later)):
        write_csv(tmp_path / f"{part}.csv", rows)
    found = Survey.of(open_stream(tmp_path), "y", 0, test=0.2, validation=0.0, time="day")
    assert found.rows == 40
    assert {*found.test["day"].as_texts().tolist()} == {"01/02/2024"}
    tested, learned = [*range(0, 20, 2)], [*range(1, 20, 2), *range(20, 40)]
    assert [*map(int, found.test["n"].as_texts())] == tested
    assert [*map(int, found.sample["n"].as_texts())] == learned
    training = joined([rows for _, rows in found.training_frames()])
    assert [*map(int, training["n"].as_texts())] == learned


def test_what_a_pass_that_stopped_early_has_kept_is_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = open_stream(folder)
    wanted = [(number, len(frame)) for number, frame in stream.frames(None)]
    assert len(wanted) > 2
    for most, is_kept in ((2**27, True), (4_000, False)):
        monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", most)
        found = table_blocks.Remembering(stream)
        for _ in range(3):
            assert len([*islice(found.frames(), 2)]) == 2
            assert [(number, len(frame)) for number, frame in found.frames()] == wanted
        first, again = ([frame for _, frame in found.frames()] for _ in range(2))
        assert (first[0] is again[0]) == is_kept


def test_times_that_order_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    for day, said in (
        (["2024-01-01", "", "2024-01-02"], r"t\.csv, line 3"),
        (["2024-01-01", "soon", "2024-01-02"], "neither dates nor numbers"),
        (["2024-01-01"] * 3, "one moment only"),
    ):
        write_csv(tmp_path / "t.csv", {"day": day, "y": [1, 2, 3]})
        with pytest.raises(DataError, match=said):
            Survey.of(open_stream(tmp_path / "t.csv"), "y", 0, test=0.3, validation=0.2, time="day")
    with pytest.raises(ParameterError, match="by group or by time, not by both"):
        surveyed(folder, time="day", group="shop")
    with pytest.raises(UnknownNameError, match="did you mean 'day'"):
        surveyed(folder, time="dya")


@pytest.mark.parametrize("role", ["time", "group"])
@pytest.mark.parametrize("blocks", [False, True])
def test_weights_are_not_what_rows_are_held_out_by(folder: Path, role: str, blocks: bool) -> None:
    table = folder if blocks else columns()
    with pytest.raises(ParameterError, match=f"column 'year' is the {role}; name another one as"):
        TableRegressor(**{role: "year"}, **SMALL).fit(table, "y", sample_weight="year")


@pytest.mark.parametrize("blocks", [False, True])
def test_weights_may_be_too_small(tmp_path: Path, blocks: bool) -> None:
    table = {**columns(), "size": np.where(np.arange(ROWS) % 2, 1e-300, 2e-300)}
    write_csv(tmp_path / "t.csv", table)
    with pytest.raises(DataError, match="sample weights are too small, the largest is 2e-300"):
        model = TableRegressor(**SMALL)
        model.fit(tmp_path if blocks else table, "y", sample_weight="size")


def test_a_model_is_learned_from_the_earlier_rows(folder: Path) -> None:
    model = TableRegressor(time="day", **SMALL).fit(folder, "y")
    assert model.facts_["split"].endswith("of the latest rows by 'day'")
    whole = TableRegressor(time="day", **SMALL).fit(as_frame(columns()), "y")
    assert model.facts_["held_out"] == whole.facts_["held_out"]
    assert model.facts_["rows"] == whole.facts_["rows"]


# Folds


@pytest.mark.parametrize("given", [{}, {"group": "shop"}])
def test_each_row_tests_in_one_fold(folder: Path, given: dict[str, Any]) -> None:
    divided = [parts(each) for each in surveyed(folder, test=0.0, **given).folds(4)]
    tested = [test for *_, test in divided]
    assert sorted(row for part in tested for row in part) == [*range(ROWS)]
    assert all(50 < len(part) < 150 for part in tested)
    for train, held, test in divided:
        assert not train & held and not train & test and not held & test and held
        assert len(train) + len(held) + len(test) == ROWS
        assert len(held) == pytest.approx(75, abs=35)
        if given:
            shop = columns()["shop"]
            shops = [{*shop[[*part]].tolist()} for part in (train, held, test)]
            assert not shops[0] & shops[1] and not shops[2] & (shops[0] | shops[1])


def test_no_copy_of_a_row_that_tests_is_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in range(2):
        text = (folder / f"{part}.csv").read_text()
        (folder / f"{2 + part}.csv").write_text(text)

    def are_apart() -> bool:
        divided = [parts(each) for each in surveyed(folder, test=0.0).folds(3)]
        return not any(train & test for train, _, test in divided)

    assert are_apart()
    monkeypatch.setattr(table_survey, "by_content", table_survey.by_row)
    assert not are_apart()


@pytest.mark.parametrize("kinds", [{}, {"id": "drop", "day": "drop"}])
def test_ids_keep_no_copies_of_a_row_apart(
    folder: Path, kinds: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in range(4):
        half = slice(200 * (part % 2), 200 * (part % 2) + 200)
        rows = {name: np.array(x)[half] for name, x in columns().items()}
        rows |= {"day": rows["day"] if not kinds else rows["day"][::-1]} if part > 1 else {}
        rows |= {"id": np.arange(200) + 200 * part, "code": np.full(200, "x")}
        write_csv(folder / f"{part}.csv", rows)

    def are_apart() -> bool:
        train, held, test = parts(surveyed(folder, kinds=kinds))
        return not (train & test or train & held or held & test)

    assert are_apart()
    monkeypatch.setattr(table_survey, "_alike", lambda *_: ())
    assert not are_apart()


def test_a_column_that_varies_after_the_first_rows_tells_rows_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_survey, "HEAD_ROWS", 8)
    varied = {**columns(), "id": np.arange(ROWS), "late": np.arange(ROWS) // 100}
    write_csv(folder / "0.csv", varied)
    (folder / "1.csv").unlink()
    assert surveyed(folder, kinds={"id": "id"}).roles.alike == ("id",)


def rare(table: dict[str, Any]) -> dict[str, Any]:
    """The table with columns that vary in one row to learn from, or in none."""
    row, empty = np.arange(ROWS), np.full(ROWS, "")
    first, second, third = np.argsort(table["year"], kind="stable")[3:6]
    return table | {
        "count": np.where(row == first, 3, 0), "flag": np.where(row == second, "yes", "no"),
        "given": np.where(row == third, "2.5", empty), "never": empty,
        "tested": np.where(table["year"] == table["year"].max(), 1, 0),
    }  # fmt: skip


def test_columns_that_vary_in_few_rows_are_those_of_all_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 9)
    table = rare(columns())
    for part in range(2):
        rows = slice(200 * part, 200 * part + 200)
        write_csv(folder / f"{part}.csv", {name: x[rows] for name, x in table.items()})

    def kinds() -> dict[str, str]:
        found = surveyed(folder, time="year")
        assert numbers(found.sample) < parts(found)[0]
        return {name: infer_schema(found.sample)[name].kind for name in rare(table)}

    found = kinds()
    assert [found[name] for name in ("count", "flag", "given")] == ["number", "boolean", "number"]
    assert found["never"] == found["tested"] == "drop"
    # a defect: the sample alone decides
    monkeypatch.setattr(table_survey, "with_rare_values", lambda sample, *_, **__: sample)
    assert [kinds()[name] for name in ("count", "flag", "given")] == ["drop"] * 3


def test_rare_values_are_the_same_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, whole = (as_frame({"a": [0] * n, "b": ["x"] * n}) for n in (3, 900))
    whole.columns[0].values[[250, 800]], whole.columns[1].values[850] = (5, 6), "y"
    wanted = with_rare_values(sample, "ab", [(np.arange(900), whole)], shared=False)
    halves = [(np.arange(low, low + 450), whole.rows(slice(low, low + 450))) for low in (0, 450)]
    said: list[Any] = []
    monkeypatch.setattr(table_varying, "gathered", lambda value: said.append(value) or [value])
    with_rare_values(sample, "ab", [halves[1]], shared=True)
    monkeypatch.setattr(table_varying, "gathered", lambda value: [value, *said])
    found = with_rare_values(sample, "ab", [halves[0]], shared=True)
    assert found["a"].values.tolist() == wanted["a"].values.tolist() == [0, 0, 0, 5, 0]
    assert found["b"].values.tolist() == wanted["b"].values.tolist() == [*"xxxxy"]


def test_a_number_that_is_written_in_two_ways_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in memory: rows are equal by what their cells say."""
    for part in range(2):
        head, *lines = (folder / f"{part}.csv").read_text().splitlines()
        again = [line.replace(",", ".0,", 1) for line in lines]  # the number 7 is 7.0
        (folder / f"{2 + part}.csv").write_text("\n".join([head, *again]))

    def are_apart() -> bool:
        found = surveyed(folder)
        training = joined([rows for _, rows in found.training_frames()])
        train, test = (
            {*map(float, each["number"].as_texts().tolist())} for each in (training, found.test)
        )
        return not train & test

    assert are_apart()
    monkeypatch.setattr("chainrule.estimators.table_drawing.NUMBERS_BEGIN", ())
    assert not are_apart()


def test_of_a_fold_with_more_rows_than_are_kept_none_is_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [test for *_, test in map(parts, surveyed(folder, test=0.0).folds(2))]
    monkeypatch.setattr(table_kept, "TEST_ROWS", 30)
    for whole, fold in zip(wanted, surveyed(folder, test=0.0).folds(2), strict=True):
        train, _, test = parts(fold)
        assert len(test) == 30 and test < whole and not train & whole


@pytest.mark.parametrize("column", ["day", "year"])
def test_folds_by_time_are_those_of_a_table_in_memory(folder: Path, column: str) -> None:
    series = as_column(columns()[column], column)
    found = [*surveyed(folder, test=0.0, time=column).folds(4)]
    for fold, wanted in zip(found, folds(ROWS, 4, 0, times=series), strict=True):
        train, held, test = parts(fold)
        assert test == {*wanted.held_out.tolist()}
        assert train | held == {*wanted.train.tolist()} and held


def test_folds_of_moments_that_are_not_yet_counted() -> None:
    """Where no row is held out or tests, folds are the first to ask."""
    keys = ordered(np.repeat(np.arange(8.0), 5))
    fresh, counted = Moments(), Moments()
    for moments in (fresh, counted):
        moments.add(keys)
    assert counted.counts.tolist() == [5] * 8
    assert fresh.folds(4, "year").tolist() == counted.folds(4, "year").tolist()
    assert fresh.folds(4, "year").tolist() == keys[[10, 20, 30]].tolist()
    fresh = Moments()
    fresh.add(keys)
    assert fresh.latest(0.25, keys[20]) == keys[15]


def test_folds_by_time_of_a_table_without_rows_that_test(folder: Path) -> None:
    found = [*surveyed(folder, test=0.0, validation=0.0, time="year").folds(4)]
    series = as_column(columns()["year"], "year")
    for fold, wanted in zip(found, folds(ROWS, 4, 0, times=series), strict=True):
        train, held, test = parts(fold)
        assert train == {*wanted.train.tolist()} and test == {*wanted.held_out.tolist()}
        assert not held


def test_more_folds_than_moments_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="41 folds need at least as many moments"):
        [*surveyed(folder, test=0.0, time="day").folds(41)]


# Weights


def contradictions(weights: list[float]) -> dict[str, Any]:
    """Rows whose targets are 0 or 10, of so much weight each; the weighted mean is best."""
    x = np.random.default_rng(0).normal(size=ROWS).round(5)
    kind = np.arange(ROWS) % 2
    return {"x": x, "weight": np.array(weights)[kind], "y": kind * 10.0}


@pytest.mark.parametrize("weights", [[3.0, 1.0], [1.5, 0.5], [30.0, 10.0], [1.0, 0.0]])
def test_rows_weigh_as_in_memory(
    tmp_path: Path, weights: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {**SMALL, "epochs": 12, "learning_rate": 0.01, "log_target": "no"}
    table = contradictions(weights)
    if weights[1] == 0:
        table["y"][::4] = 5.0  # rows without weight are not there: 0 and 5 are what is left
    wanted = np.average(table["y"], weights=table["weight"])
    write_csv(tmp_path / "t.csv", table)
    files = [tmp_path / "t.csv"]

    def told(given: Any) -> float:
        model = TableRegressor(**chosen).fit(given, "y", sample_weight="weight")
        assert model.feature_names_in_.tolist() == ["x"]
        return float(model.predict({"x": table["x"]}).mean())

    assert told(as_frame(table)) == pytest.approx(wanted, abs=0.6)
    assert told(files) == pytest.approx(wanted, abs=0.6)
    if weights[1]:
        # a defect: weights are read, and play no part
        monkeypatch.setattr(table_streaming, "_light", lambda arrays, *_: arrays)
        assert told(files) == pytest.approx(5.0, abs=0.6)


def test_a_weighted_row_is_on_the_side_of_its_copies(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(2, 200)).round(6)
    table = {"number": np.tile(np.arange(200), 2), "x": np.tile(x, 2), "y": np.tile(y, 2)}
    write_csv(tmp_path / "t.csv", {**table, "weight": np.repeat([1, 2], 200)})
    train, held, test = parts(surveyed(tmp_path / "t.csv", weight="weight"))
    assert held and test and not train & held and not train & test and not held & test


def test_weights_that_are_none_are_refused_with_their_row(tmp_path: Path) -> None:
    for weight, said in (("-1", "'-1'"), ("", "missing"), ("much", "'much'"), ("inf", "'inf'")):
        path = tmp_path / "t.csv"
        write_csv(path, {"x": [1, 2, 3], "y": [1, 2, 3], "weight": ["1", weight, "1"]})
        for table in (path, [path]):
            with pytest.raises(DataError, match=rf"t\.csv, line 3: the weight .* is {said}, and"):
                TableRegressor(**SMALL).fit(table, "y", sample_weight="weight")
    write_csv(path, {"x": [1, 2], "y": [1, 2], "weight": [0, 0]})
    with pytest.raises(DataError, match="weighs 0: nothing to learn"):
        TableRegressor(**SMALL).fit([path], "y", sample_weight="weight")
    with pytest.raises(ParameterError, match="column 'y' is the target"):
        TableRegressor(**SMALL).fit([path], "y", sample_weight="y")
    with pytest.raises(ParameterError, match="so must sample_weight"):
        TableClassifier(**SMALL).fit([path], "y", sample_weight=[1.0, 2.0])


@pytest.mark.parametrize("given", [{}, {"time": "year"}, {"weight": "year"}, {"group": "shop"}])
def test_what_processes_tell_each_other_is_all_they_know(
    folder: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = surveyed(folder, **given)
    monkeypatch.setattr(table_blocks.Remembering, "is_part", True)
    for module in (table_survey, times):
        monkeypatch.setattr(module, "gathered", lambda value: [json.loads(json.dumps(value))])
    told = surveyed(folder, **given)
    assert parts(told) == parts(alone)
    assert told.weighing == alone.weighing and told.learned_from == alone.learned_from
