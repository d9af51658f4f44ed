"""Tables that are read in blocks: the same model as in memory, and nothing that needs all rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import as_frame, csv_blocks, encoding, write_csv
from chainrule.data.encoding import TableEncoder
from chainrule.data.factored import joined
from chainrule.data.frames import Frame
from chainrule.data.scaling import SCALINGS
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
)
from chainrule.estimators.table_drawing import drawn
from chainrule.estimators.table_kept import Kept
from chainrule.estimators.table_learning import Request
from chainrule.estimators.table_settings import (
    MOST_AS_IN_MEMORY,
    REGRESSION,
    settings_for,
    streamed_settings,
)
from chainrule.estimators.table_streaming import is_streamed, learn_stream
from chainrule.estimators.table_survey import Survey
from chainrule.estimators.table_target import NumberTarget

ROWS = 600
SMALL = {"hidden": (8,), "members": 1, "epochs": 2, "batch_size": 32, "bins": 4}


def columns(rows: int = ROWS) -> dict[str, Any]:
    draw = np.random.default_rng(5)
    size = draw.normal(10, 3, rows).round(3)
    kind = draw.choice(["a", "b", "c", "rare"], rows, p=[0.5, 0.3, 0.19, 0.01])
    return {
        "size": np.where(draw.random(rows) < 0.1, "", size.astype(str)),
        "kind": kind,
        "day": (np.datetime64("2024-01-01") + draw.integers(0, 90, rows)).astype(str),
        "ok": draw.choice(["yes", "no"], rows),
        "price": (size * 2 + (kind == "a")).round(3),
        "label": np.where(size > 10, "big", "small"),
    }


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three files."""
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 2_000)
    table = columns()
    for part in range(3):
        rows = slice(200 * part, 200 * part + 200)
        write_csv(tmp_path / f"{part}.csv", {name: x[rows] for name, x in table.items()})
    return tmp_path


def surveyed(files: Path, target: str = "label", seed: int = 1, **shares: float) -> Survey:
    return Survey.of(open_stream(files), target, seed, **{"test": 0.2, "validation": 0.25} | shares)


def texts(frame: Frame) -> list[tuple[str, ...]]:
    return [*zip(*[column.as_texts().tolist() for column in frame.columns], strict=True)]


# The survey


def test_a_survey_divides_the_rows(files: Path) -> None:
    found = surveyed(files)
    training = joined([frame for _, frame in found.training_frames()])
    parts = [texts(part) for part in (training, found.held_out, found.test)]
    everything = [row for part in range(3) for row in texts(as_frame(files / f"{part}.csv"))]
    assert sorted(row for part in parts for row in part) == sorted(everything)
    assert [len(part) for part in parts] == pytest.approx([360, 120, 120], abs=40)
    assert texts(found.sample) == parts[0]  # there are few enough for all of them
    assert found.learned_from == len(parts[0])
    assert (found.rows, found.without_target) == (ROWS, 0)
    assert found.labels.values.tolist() == ["big", "small"]


def test_what_a_row_is_for_depends_on_the_seed_and_its_number_alone() -> None:
    whole = drawn(3, np.arange(1000))
    np.testing.assert_array_equal(whole[400:500], drawn(3, np.arange(400, 500)))
    assert 0 <= whole.min() < 0.01
    assert 0.99 < whole.max() < 1
    assert abs(whole.mean() - 0.5) < 0.03
    assert (drawn(4, np.arange(1000)) != whole).all()
    far = drawn(3, np.array([7, 7 + 2**32]))
    assert far[0] != far[1]


def test_of_many_rows_some_are_kept_and_the_others_trained_on(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SAMPLE_ROWS": 50, "HELD_OUT_ROWS": 20, "TEST_ROWS": 10}.items():
        monkeypatch.setattr(table_kept, name, value)
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    found = surveyed(files)
    assert [len(part) for part in (found.sample, found.held_out, found.test)] == [50, 20, 10]
    training = texts(joined([frame for _, frame in found.training_frames()]))
    assert len(training) == found.learned_from == ROWS - 30
    assert {*texts(found.sample)} <= {*training}
    assert not {*texts(found.test), *texts(found.held_out)} & {*training}
    # the lowest draws of each kind, whatever the blocks
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 10_000_000)
    assert texts(surveyed(files).sample) == texts(found.sample)


def with_copies(folder: Path, copies: int) -> dict[str, Any]:
    """Of each of the last 200 rows so many copies at places far apart, in files of 150 rows."""
    table = columns(400)
    order = np.concatenate([np.arange(400), *[np.arange(200, 400)[::-1]] * (copies - 1)])
    table = {name: values[order] for name, values in table.items()}
    for part, low in enumerate(range(0, len(order), 150)):
        rows = slice(low, low + 150)
        write_csv(folder / f"{part}.csv", {name: x[rows] for name, x in table.items()})
    return table


def sides(found: Survey) -> list[set[tuple[str, ...]]]:
    training = joined([frame for _, frame in found.training_frames()])
    return [{*texts(part)} for part in (training, found.held_out, found.test)]


def test_equal_rows_are_on_one_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_copies(tmp_path, 2)
    found = surveyed(tmp_path)
    training, held, test = sides(found)
    assert not training & held and not training & test and not held & test
    assert all(each >= 50 for each in map(len, (training, held, test)))
    assert sum(map(len, (training, held, test))) == 400
    model = learn_stream(found, "classification", Request(SMALL, 1))
    assert model.facts["duplicates"] == 0
    # the same in other blocks, and in one file
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 900)
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    assert sides(surveyed(tmp_path)) == [training, held, test]
    # a defect: each row draws for itself
    monkeypatch.setattr(table_survey, "by_content", table_survey.by_row)
    training, held, test = sides(surveyed(tmp_path))
    assert training & held and training & test


def test_rows_that_repeat_by_nature_are_divided_one_by_one(tmp_path: Path) -> None:
    """One row may be a fifth of a table: it has to be on all sides."""
    table = {name: x.tolist() for name, x in columns(400).items()}
    write_csv(tmp_path / "t.csv", {name: x + x[:1] * 100 for name, x in table.items()})
    found = surveyed(tmp_path)
    training, held, test = sides(found)
    assert len(training & held & test) == 1
    assert [len(found.held_out), len(found.test)] == pytest.approx([100, 100], abs=35)


def test_numbers_and_holes_of_parquet_draw_by_what_they_are(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    draw = np.random.default_rng(0)
    x, day = draw.normal(size=300), np.datetime64("2024-01-01", "us") + draw.integers(0, 99, 300)
    holes = draw.random(300) < 0.3
    order = np.concatenate([np.arange(300), np.arange(300)[::-1]])
    table = pyarrow.table({
        "x": pyarrow.array(x[order], mask=holes[order]), "n": pyarrow.array(order // 7),
        "day": pyarrow.array(day[order]), "ok": pyarrow.array((x > 0)[order]),
        "y": pyarrow.array(np.round(x * 2, 9)[order]),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=70)
    training, held, test = sides(surveyed(tmp_path, "y"))
    assert not training & held and not training & test and not held & test
    assert len(training) + len(held) + len(test) == 300


def test_small_tables_are_read_once(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = surveyed(files)
    first = texts(joined([frame for _, frame in found.training_frames()]))
    for file in files.iterdir():
        file.unlink()
    assert texts(joined([frame for _, frame in found.training_frames()])) == first


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"x": range(9), "y": ["a", "", "b"] * 3})
    found = surveyed(tmp_path, "y", test=0.0, validation=0.0)
    assert (found.rows, found.without_target, found.learned_from) == (9, 3, 6)
    assert found.labels.values.tolist() == ["a", "b"]


def test_targets_that_are_not_there_are_refused(tmp_path: Path, files: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        surveyed(files, "lable")
    write_csv(files / "3.csv", {name: x[:0] for name, x in columns().items()})
    folder = tmp_path / "none"
    folder.mkdir()
    write_csv(folder / "t.csv", {"x": [1, 2], "y": ["", "?"]})
    with pytest.raises(DataError, match="no row has a target"):
        surveyed(folder, "y")
    with pytest.raises(ParameterError, match="shares"):
        surveyed(files, test=1.0)


# What is learned of columns


def test_the_encoder_of_a_sample_that_has_seen_all_rows_is_that_of_all_rows(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = as_frame(columns()).without("label")
    schema = infer_schema(whole)
    wanted = TableEncoder.fit(schema, whole)
    blocks = [frame.without("label") for _, frame in open_stream(files).frames()]
    sample = TableEncoder.fit(schema, whole.rows(slice(0, 60)))
    found = sample.refined(blocks)
    by_name = {each.name: each for each in found.encoders}
    exact = {"low", "high", "indicator", "values"}
    seen = set()
    for each in wanted.encoders:
        for field in exact & {*vars(each)}:
            assert getattr(by_name[each.name], field) == getattr(each, field), (each.name, field)
            seen.add(field)
    assert seen == exact
    assert sample.encoders != found.encoders


def misleading(folder: Path) -> None:
    """Sorted, with a few values that are huge, and dates."""
    draw = np.random.default_rng(2)
    x = np.sort(draw.normal(1e6, 1, ROWS))
    rare = np.where(np.arange(ROWS) % 97 == 5, 1e12, draw.random(ROWS))
    day = np.datetime64("1990-01-01") + np.arange(ROWS) ** 2 // 30
    table = {"x": x, "rare": rare, "day": day.astype(str), "label": np.where(x > 1e6, "a", "b")}
    for part in range(3):
        rows = slice(200 * part, 200 * part + 200)
        write_csv(folder / f"{part}.csv", {name: each[rows] for name, each in table.items()})


def scaled_as_in_memory(folder: Path) -> TableEncoder:
    """The encoder of a table in blocks, if its scaling is that of all its training rows."""
    survey = surveyed(folder)
    request = Request({**SMALL, "scaling": "standard"}, 1)
    found = learn_stream(survey, "classification", request).encoder
    rows = joined([frame for _, frame in survey.training_frames()]).without("label")
    assert len(survey.sample) == 20 < len(rows) == survey.learned_from
    wanted = TableEncoder.fit(found.schema, rows, "standard").state
    np.testing.assert_allclose(found.state["center"], wanted["center"], rtol=1e-12)
    np.testing.assert_allclose(found.state["scale"], wanted["scale"], rtol=1e-9)
    return found


def test_standard_scaling_is_that_of_all_rows_where_a_sample_misleads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 20)
    misleading(tmp_path)
    found = scaled_as_in_memory(tmp_path)
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 700)
    for name, array in scaled_as_in_memory(tmp_path).state.items():
        assert array.tobytes() == found.state[name].tobytes(), "depends on the blocks"
    of_a_sample = replace(SCALINGS["standard"], relearn=None)
    monkeypatch.setitem(SCALINGS, "standard", of_a_sample)
    with pytest.raises(AssertionError):
        scaled_as_in_memory(tmp_path)


def test_processes_that_share_the_rows_scale_by_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = as_frame(columns()).without("label")
    sample = TableEncoder.fit(infer_schema(rows), rows.rows(slice(0, 60)), "standard")
    said: list[Any] = []

    def alone(value: Any) -> list[Any]:
        said.append(json.loads(json.dumps(value)))
        return said[-1:]

    monkeypatch.setattr(encoding, "gathered", alone)
    half = sample.refined([rows.rows(slice(250, ROWS))], shared=True)
    monkeypatch.setattr(encoding, "gathered", lambda value: [value, said.pop(0)])
    found = sample.refined([rows.rows(slice(0, 250))], shared=True)
    whole = sample.refined([rows])
    for name, array in whole.state.items():
        assert array.tobytes() == found.state[name].tobytes()
        assert (array != half.state[name]).all() and (array != sample.state[name]).all()


def test_processes_that_all_read_every_row_count_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = columns()
    table["kind"][[10, 400]] = ["once", "alone"]
    write_csv(tmp_path / "t.csv", table)
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 100)
    alone = learn_stream(surveyed(tmp_path), "classification", Request(SMALL, 1))
    monkeypatch.setattr(encoding, "gathered", lambda value: [value, value])
    beside_another = learn_stream(surveyed(tmp_path), "classification", Request(SMALL, 1))
    assert beside_another.encoder.packed()[0] == alone.encoder.packed()[0]


# The model


def bits(model: Any) -> list[Any]:
    return [leaf.tobytes() for leaf in model.network.snapshot().leaves]


@pytest.mark.parametrize(("task", "target"), [("classification", "label"), ("regression", "price")])
def test_blocks_of_any_size_and_any_files_give_the_same_bits(
    files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    task: str, target: str,
) -> None:  # fmt: skip
    request = Request(SMALL, 1)
    one = learn_stream(surveyed(files, target), task, request)
    single = tmp_path_factory.mktemp("one")
    write_csv(single / "t.csv", columns())
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 7_000)
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    other = learn_stream(surveyed(single, target), task, request)
    assert bits(one) == bits(other)
    assert one.encoder.packed()[0] == other.encoder.packed()[0]
    assert one.facts == other.facts
    assert one.facts["rows"] + one.facts["held_out"] + len(surveyed(files).test) == ROWS


def test_models_learn(files: Path) -> None:
    chosen = {"hidden": (16,), "epochs": 12, "batch_size": 32, "bins": 8, "dropout": 0.0}
    chosen |= {"learning_rate": 1e-2, "random_state": 0}
    classes, numbers = TableClassifier(drop=["price"], **chosen), TableRegressor(**chosen)
    classes.fit(str(files / "*.csv"), "label")
    assert np.mean(classes.predict(as_frame(columns())) == columns()["label"]) > 0.85
    assert classes.classes_.tolist() == ["big", "small"]
    assert classes.feature_names_in_.tolist() == ["size", "kind", "day", "ok", "price"]
    numbers.fit(files, "price")
    low, high = numbers.predict_interval(as_frame(columns()).without("price"), 0.8)
    assert 0.6 < np.mean((low <= columns()["price"]) & (columns()["price"] <= high)) <= 1


def test_held_out_rows_that_are_trained_on_too_are_counted(tmp_path: Path) -> None:
    x = [*range(50), *[7] * 50]
    write_csv(tmp_path / "t.csv", {"x": x, "y": ["a", "b"] * 50})
    found = surveyed(tmp_path, "y", test=0.0)
    model = learn_stream(found, "classification", Request(SMALL, 1))
    held = found.held_out["x"].values.tolist()
    assert model.facts["duplicates"] == held.count("7") > 0


def test_a_class_of_few_rows_is_a_class(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 20)
    model = learn_stream(surveyed(files, "kind"), "classification", Request(SMALL, 1))
    assert model.target.classes == ("a", "b", "c", "rare")  # type: ignore[union-attr]


def test_a_target_that_is_no_number_is_refused_with_file_and_line(tmp_path: Path) -> None:
    prices = [f"{price / 2}" for price in range(400)]
    prices[333] = "cheap"
    write_csv(tmp_path / "t.csv", {"x": range(400), "price": prices})
    with pytest.raises(DataError, match=r't\.csv, line 335: .*"cheap", which is not a number'):
        learn_stream(surveyed(tmp_path, "price"), "regression", Request(SMALL, 1))
    write_csv(tmp_path / "t.csv", {"x": range(40), "price": [3] * 40})
    with pytest.raises(DataError, match="'price' is 3 in every row"):
        learn_stream(surveyed(tmp_path, "price"), "regression", Request(SMALL, 1))


def test_a_target_that_is_constant_in_the_sample_only_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 20)
    write_csv(tmp_path / "t.csv", {"x": range(400), "price": [3] * 399 + [4]})
    with pytest.raises(DataError, match="'price' is 3 in each of 20 rows that were drawn"):
        learn_stream(surveyed(tmp_path, "price"), "regression", Request(SMALL, 1))


def test_one_row_that_has_no_logarithm_keeps_a_target_on_its_own_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample does not have that row: its logarithm would be that of the smallest number."""
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 100)
    x = np.random.default_rng(0).normal(size=ROWS)
    for last, is_logarithmic in ((0.25, True), (-2.0, False)):
        price = np.append(np.exp(2 * x)[:-1], last)
        write_csv(tmp_path / "t.csv", {"x": x, "price": price})
        survey = surveyed(tmp_path, "price", test=0.0, validation=0.05)
        training = joined([frame for _, frame in survey.training_frames()])
        assert str(last) in training["price"].as_texts()
        assert str(last) not in survey.sample["price"].as_texts()
        model = learn_stream(survey, REGRESSION, Request(SMALL, 1))
        assert isinstance(model.target, NumberTarget)
        assert model.target.log == is_logarithmic
    with pytest.raises(ParameterError, match="above 0 in every row"):
        learn_stream(survey, REGRESSION, Request({**SMALL, "log_target": "yes"}, 1))


def test_what_varies_in_one_row_only_is_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 20)
    rare = ["0"] * 399 + ["1"]
    write_csv(tmp_path / "t.csv", {"x": range(400), "rare": rare, "y": ["a", "b"] * 200})
    survey = surveyed(tmp_path, "y")
    assert survey.sample["rare"].as_texts().tolist() == [*["0"] * 20, "1"]
    model = learn_stream(survey, "classification", Request(SMALL, 1))
    assert model.encoder.schema["rare"].kind == "number"


def test_a_file_that_changes_after_the_survey_is_noticed(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    survey = surveyed(files)
    write_csv(files / "1.csv", {name: x[:200] for name, x in columns().items()})
    with pytest.raises(DataError, match=r"1\.csv: was changed while the table was read"):
        learn_stream(survey, "classification", Request(SMALL, 1))


def test_a_file_that_is_gone_after_the_survey_is_named(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_blocks, "REMEMBERED_BYTES", 0)
    survey = surveyed(files)
    (files / "1.csv").unlink()
    with pytest.raises(DataError, match=r"1\.csv: is no longer there.*; put it back"):
        learn_stream(survey, "classification", Request(SMALL, 1))


def test_whole_groups_are_held_out(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = surveyed(files, group="day")
    training = joined([frame for _, frame in found.training_frames()])
    parts = [training, found.held_out, found.test]
    days = [{*part["day"].as_texts().tolist()} for part in parts]
    assert all(days) and sum(map(len, days)) == len({*columns()["day"].tolist()})
    assert [len(part) for part in parts] == pytest.approx([360, 120, 120], abs=70)
    assert sum(map(len, parts)) == ROWS and len(training) == found.learned_from
    assert texts(found.sample) == texts(training)
    # in blocks of another size, and from where only few rows may be kept
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 7_000)
    assert texts(surveyed(files, group="day").held_out) == texts(found.held_out)
    monkeypatch.setattr(table_kept, "HELD_OUT_ROWS", 30)
    fewer = surveyed(files, group="day")
    again = joined([frame for _, frame in fewer.training_frames()])
    assert 0 < len(fewer.held_out) <= 30
    assert len(again) == fewer.learned_from == ROWS - len(fewer.held_out) - len(fewer.test)
    assert not {*again["day"].as_texts().tolist()} & {*fewer.held_out["day"].as_texts().tolist()}


def test_of_a_group_that_is_larger_than_what_is_kept_no_row_is_trained_on(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_kept, "HELD_OUT_ROWS", 15)
    found = surveyed(files, group="ok", test=0.0, validation=0.5, seed=6)
    training = joined([frame for _, frame in found.training_frames()])
    (held,) = {*found.held_out["ok"].as_texts().tolist()}
    assert len(found.held_out) == 15
    assert {*training["ok"].as_texts().tolist()} == {"yes", "no"} - {held}
    assert found.learned_from == len(training)


def test_rows_of_one_group_that_several_processes_let_go_are_counted_once() -> None:
    frame = as_frame({"x": [*range(40)]})
    draws, numbers = np.where(np.arange(40) < 30, 0.25, 0.5), np.arange(40)
    alone, first, second = (Kept(4, 0.0, 1.0) for _ in range(3))
    for kept, rows in ((alone, slice(0, 40)), (first, slice(0, 25)), (second, slice(25, 40))):
        kept.offer(frame.rows(rows), draws[rows], numbers[rows])
    both = [json.loads(json.dumps(kept.packed())) for kept in (first, second)]
    together = Kept(4, 0.0, 1.0)
    together.replaced(both)
    assert alone.count == together.count == 30
    assert texts(alone.rows(frame)) == texts(together.rows(frame)) == [(str(k),) for k in range(4)]


def test_too_few_groups_to_hold_one_out_are_refused(files: Path) -> None:
    with pytest.raises(DataError, match="column 'ok' has so few groups that none of them is among"):
        surveyed(files, group="ok", test=0.0, validation=0.01)
    with pytest.raises(UnknownNameError, match="did you mean 'kind'"):
        surveyed(files, group="knd")
    with pytest.raises(ParameterError, match="column 'label' is the target"):
        surveyed(files, group="label")


def test_a_model_is_learned_by_groups(files: Path) -> None:
    model = TableClassifier(random_state=0, group="day", **SMALL).fit(files, "label")
    assert model.facts_["split"].endswith("rows by groups of 'day'")
    assert {each.name: each.kind for each in model.schema_.columns}["day"] == "id"


def test_which_tables_are_streamed(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = files / "0.csv"
    assert is_streamed(files)
    assert is_streamed(str(files / "*.csv"))
    assert is_streamed([one, files / "1.csv"])
    assert not is_streamed(one)
    assert not is_streamed(columns())
    assert not is_streamed(files / "no-such.csv")
    assert not is_streamed([["a"], ["b"]])
    monkeypatch.setattr(table_streaming, "STREAMED_BYTES", 100)
    assert is_streamed(one)


@pytest.mark.parametrize("given", [{"class_weight": "balanced"}, {"refit": True}])
def test_what_needs_all_rows_at_once_is_refused(files: Path, given: dict[str, Any]) -> None:
    model = TableClassifier(random_state=0, **given)
    with pytest.raises(ParameterError, match="fits into memory"):
        model.fit(files, "label")
    with pytest.raises(ParameterError, match="y must name a column"):
        TableClassifier().fit(files, columns()["label"])


# The settings


def test_few_rows_in_a_folder_are_learned_with_the_settings_of_memory(files: Path) -> None:
    """By their number, wherever none is chosen."""
    chosen = {"hidden": (8,), "epochs": 1, "patience": 3, "random_state": 0}
    streamed = TableClassifier(**chosen).fit(files, "label").facts_
    whole = TableClassifier(**chosen).fit(columns(), "label").facts_
    assert streamed["settings"] == whole["settings"]
    assert streamed["rows"] + streamed["held_out"] == ROWS
    found = whole["settings"]
    assert (found["members"], found["batch_size"], found["patience"]) == (4, ROWS // 16, 3)


def test_many_rows_in_blocks_are_passed_over_less_often() -> None:
    most = MOST_AS_IN_MEMORY
    assert streamed_settings(REGRESSION, most) == settings_for(REGRESSION, most)
    found = streamed_settings(REGRESSION, most + 1, batch_size=99)
    assert (found.members, found.batch_size, found.epochs) == (1, 99, 16)
    assert streamed_settings(REGRESSION, 100 * most).epochs == 2
