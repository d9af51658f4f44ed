"""Raw tables in, labels and units out; files, scikit-learn's habits, and what is refused."""

from __future__ import annotations

import copy
import itertools
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from chainrule.data import Schema, as_frame, write_csv
from chainrule.data.frames import as_column
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import (
    ChainruleError,
    DataError,
    FileFormatError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)
from chainrule.estimators.table import TableClassifier, TableRegressor
from chainrule.estimators.table_learning import Problem, Request, learn
from chainrule.estimators.table_model import TableModel, target_from
from chainrule.networks import Network
from chainrule.persist import read_file, write_file
from chainrule.training.callbacks import Callback, Run

FAST: dict[str, Any] = {
    "hidden": (16,), "members": 2, "epochs": 30, "bins": 8, "learning_rate": 0.02,
    "random_state": 0, "engine": "native",
}  # fmt: skip
CHOSEN = {name: FAST[name] for name in FAST if name not in ("random_state", "engine")}
ROWS = 300


def table(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    size = draw.normal(size=rows)
    return {
        "size": np.where(draw.random(rows) < 0.1, np.nan, size),
        "kind": draw.choice(["a", "b", "c"], rows).tolist(),
        "code": [f"{i % 60:03d}x" for i in range(rows)],
        "when": (np.datetime64("2024-01-01") + draw.integers(0, 300, rows)).astype(str).tolist(),
        "ok": draw.random(rows) < 0.5,
        "constant": [1] * rows,
        "truth": size,
    }


DATA = table()
X = {name: DATA[name] for name in DATA if name != "truth"}
NUMBERS = 100 + 20 * np.nan_to_num(X["size"]) + 10 * (np.array(X["kind"]) == "a")
LABELS = np.where(NUMBERS > 104, "high", "low")


@pytest.fixture(scope="module")
def classifier() -> TableClassifier:
    return TableClassifier(**FAST).fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor() -> TableRegressor:
    return TableRegressor(**FAST).fit(X, NUMBERS)


def test_it_learns(classifier: TableClassifier, regressor: TableRegressor) -> None:
    assert (classifier.predict(X) == LABELS).mean() > 0.9
    errors = regressor.predict(X) - NUMBERS
    assert np.sqrt(np.mean(errors**2)) < 0.4 * NUMBERS.std()
    assert classifier.score(X, LABELS) > 0.9
    assert regressor.score(X, NUMBERS) > 0.8


def test_every_input_gives_the_same_model(tmp_path: Path) -> None:
    plain = {"a": X["code"], "b": np.nan_to_num(X["size"]), "y": NUMBERS}
    write_csv(tmp_path / "t.csv", plain)
    expected = TableRegressor(**FAST).fit(plain, "y").predict(plain)
    forms: list[tuple[Any, Any]] = [
        (tmp_path / "t.csv", "y"),
        (str(tmp_path / "t.csv"), -1),
        ({"a": plain["a"], "b": plain["b"]}, NUMBERS.tolist()),
        (as_frame(plain), "y"),
    ]
    for given_table, target in forms:
        model = TableRegressor(**FAST).fit(given_table, target)
        np.testing.assert_array_equal(model.predict(plain), expected)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_data_frames(library: str, regressor: TableRegressor) -> None:
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    frame = make({name: list(values) for name, values in X.items()})
    np.testing.assert_array_equal(regressor.predict(frame), regressor.predict(X))


def test_columns_in_any_order_and_more_of_them(regressor: TableRegressor) -> None:
    shuffled = {"more": [0] * ROWS, **{name: X[name] for name in sorted(X)}}
    np.testing.assert_array_equal(regressor.predict(shuffled), regressor.predict(X))
    with pytest.raises(DataError, match="the model needs the column 'kind'"):
        regressor.predict({name: X[name] for name in X if name != "kind"})


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (np.where(NUMBERS > 104, 7, -3), "iu"),
        (np.where(NUMBERS > 104, 1.5, -3.0), "f"),
        (NUMBERS > 104, "b"),
        (np.where(NUMBERS > 104, "ja", "nein").astype(object), "O"),
        (np.digitize(NUMBERS, [90, 104]), "iu"),
        (np.where(NUMBERS > 104, "+", "-"), "O"),
    ],
)
def test_labels_of_any_type(labels: Any, kind: str, tmp_path: Path) -> None:
    model = TableClassifier(**FAST).fit(X, labels)
    assert model.classes_.tolist() == np.unique(labels).tolist()
    assert model.classes_.dtype.kind in kind
    found = model.predict(X)
    assert found.dtype.kind in kind
    assert (found == labels).mean() > 0.8
    model.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(TableClassifier.load(tmp_path / "m.chainrule").predict(X), found)


def test_rows_without_a_target_are_dropped_and_counted() -> None:
    target = [None if row % 10 == 0 else value for row, value in enumerate(NUMBERS.tolist())]
    model = TableRegressor(**FAST).fit(X, target)
    assert model.facts_["without_target"] == 30
    assert model.facts_["rows"] + model.facts_["held_out"] == ROWS - 30


def test_the_schema_is_told_and_can_be_said(tmp_path: Path) -> None:
    model = TableRegressor(**FAST, drop=["when"], categorical=["ok"]).fit(X, NUMBERS)
    kinds = {column.name: column.kind for column in model.schema_.columns}
    assert kinds == {
        "size": "number", "kind": "category", "code": "category", "when": "drop",
        "ok": "category", "constant": "drop",
    }  # fmt: skip
    model.schema_.save(tmp_path / "s.json")
    for schema in (model.schema_, Schema.load(tmp_path / "s.json"), tmp_path / "s.json"):
        again = TableRegressor(**FAST, schema=schema).fit(X, NUMBERS)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(UnknownNameError, match="unknown column 'wen'; did you mean 'when'"):
        TableRegressor(**FAST, drop=["wen"]).fit(X, NUMBERS)


@pytest.mark.parametrize(
    "columns", [["size"], ["kind"], ["ok"], ["when"], ["code"], ["size", "kind"], [*X]]
)
def test_every_mix_of_kinds(columns: list[str]) -> None:
    chosen = {name: X[name] for name in columns}
    model = TableClassifier(**{**FAST, "epochs": 2}).fit(chosen, LABELS)
    assert model.predict_proba(chosen).shape == (ROWS, 2)
    one = {name: X[name][:1] for name in columns}
    np.testing.assert_allclose(model.predict_proba(one), model.predict_proba(chosen)[:1], rtol=1e-5)


# Held-out rows


def test_groups_stay_together_and_time_goes_on() -> None:
    groups = {**X, "house": [f"h{i // 10}" for i in range(ROWS)]}
    model = TableRegressor(**FAST, group="house").fit(groups, NUMBERS)
    assert model.facts_["split"] == "6 of 30 groups of 'house'"
    assert model.facts_["held_out"] == 60
    assert model.schema_["house"].kind == "id"
    model = TableRegressor(**FAST, time="when").fit(X, NUMBERS)
    assert model.facts_["split"] == "the latest by 'when'"
    assert 55 <= model.facts_["held_out"] <= 66
    whole = {**groups, "price": NUMBERS}
    with pytest.raises(ParameterError, match="'price' is the target; name another one as the time"):
        TableRegressor(**FAST, time="price").fit(whole, "price")
    with pytest.raises(ParameterError, match="by group or by time"):
        TableRegressor(**FAST, time="when", group="kind").fit(X, NUMBERS)


def test_duplicates_across_the_split_are_counted() -> None:
    doubled = {name: [*values, *values] for name, values in X.items()}
    model = TableRegressor(**{**FAST, "epochs": 1}).fit(doubled, [*NUMBERS, *(NUMBERS + 1)])
    assert 80 <= model.facts_["duplicates"] <= 120  # 4/5 of 120
    assert TableRegressor(**{**FAST, "epochs": 1}).fit(X, NUMBERS).facts_["duplicates"] == 0


def test_a_date_that_no_cell_holds_is_refused() -> None:
    words = {**X, "when": ["soon", "later"] * (ROWS // 2)}
    with pytest.raises(DataError, match='such as "soon"; give its date_format'):
        TableRegressor(**FAST, date=["when"]).fit(words, NUMBERS)


def test_dates_of_a_data_frame_are_read_from_the_file_that_it_writes(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2024-01-01 10:00", periods=ROWS, freq="7h", tz="Europe/Paris")
    frame = pd.DataFrame({"when": hours})
    model = TableRegressor(**FAST | {"epochs": 1}).fit(frame, NUMBERS)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert not model.flags(tmp_path / "t.csv")["unknown"].any()
    np.testing.assert_array_equal(model.predict(tmp_path / "t.csv"), model.predict(frame))


def test_categories_of_numbers_are_known_however_a_file_writes_them(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    stores = pd.DataFrame({"store": np.arange(ROWS) % 5})
    forms = {"whole": stores, "gaps": stores.where(stores > 0)}  # pandas writes 1 and 1.0
    for name, form in forms.items():
        form.to_csv(tmp_path / name, index=False)
    for name, other in (("whole", "gaps"), ("gaps", "whole")):
        chosen = FAST | {"epochs": 1, "categorical": "store"}
        model = TableRegressor(**chosen).fit(tmp_path / name, NUMBERS)
        for seen in (tmp_path / other, forms[other]):
            unknown = model.flags(seen)["unknown"] & (stores["store"] > 0)
            assert not unknown.any()


def test_categories_of_a_data_frame_are_known_as_plain_numbers_too() -> None:
    pd = pytest.importorskip("pandas")
    stores = pd.DataFrame({"store": np.arange(ROWS) % 5})
    model = TableRegressor(**FAST | {"epochs": 1}).fit(stores.astype("category"), NUMBERS)
    assert model.schema_["store"].kind == "category"
    assert not model.flags(stores)["unknown"].any()
    np.testing.assert_array_equal(
        model.predict(stores), model.predict(stores.astype("category").astype(float))
    )


def test_a_table_with_a_header_is_not_one_without() -> None:
    model = TableRegressor(**{**FAST, "epochs": 1}).fit(np.c_[NUMBERS, NUMBERS % 7], NUMBERS)
    with pytest.raises(DataError, match="--no-header"):
        model.predict({"size": NUMBERS, "kind": NUMBERS})
    with pytest.raises(DataError, match=r"which the table lacks$"):
        model.predict({"x0": NUMBERS, "kind": NUMBERS})


def test_scaling_learns_from_training_rows_only() -> None:
    plain = {
        "x": np.where(np.arange(ROWS) < 240, 0.0, 1e6) + np.arange(ROWS) % 7,
        "t": np.arange(ROWS),
    }
    model = TableRegressor(**FAST, time="t", scaling="standard", drop=["t"]).fit(plain, NUMBERS)
    assert model.model_.encoder.state["center"][0] < 10


def test_weights_count() -> None:
    weights = np.where(LABELS == "high", 100.0, 0.01)
    model = TableClassifier(**FAST).fit({"noise": np.arange(ROWS) % 3}, LABELS, weights)
    assert (model.predict({"noise": [0, 1, 2]}) == "high").all()
    model = TableClassifier(**FAST, class_weight={"low": 1000, "high": 1}, calibrate=False)
    assert (
        model.fit({"noise": np.arange(ROWS) % 3}, LABELS).predict({"noise": [1]}) == "low"
    ).all()
    with pytest.raises(ParameterError, match="no weight for class 'high'"):
        TableClassifier(**FAST, class_weight={"low": 1}).fit(X, LABELS)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (["a"] * ROWS, DataError, "row 0: the weight in column 'sample_weight' is 'a'"),
        ([1.0, -1.0] * (ROWS // 2), DataError, "row 1: the weight .* is '-1'"),
        ([None] * ROWS, DataError, "row 0: the weight .* is missing"),
        (np.ones((ROWS, 1)), ShapeError, "must have one axis"),
        ([1.0], ShapeError, f"sample_weight needs one number for each of {ROWS} rows"),
        ([0] * ROWS, DataError, "every sample_weight is zero"),
    ],
)
def test_weights_that_are_none(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TableRegressor(**FAST).fit(X, NUMBERS, sample_weight=weights)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (TableRegressor(**FAST).fit(X, NUMBERS).predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = TableRegressor(**{**FAST, "random_state": 1}).fit(X, NUMBERS).predict(X)
    assert (first != other).any()


def test_skewed_targets_are_learned_on_a_log_scale_if_that_is_better() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 2))
    skewed = np.exp(1.5 * x[:, 0] + x[:, 1] + 0.1 * draw.normal(size=600))
    model = TableRegressor(**FAST).fit(x, skewed)
    assert model.model_.target.log
    assert (model.predict(x) > 0).all()
    assert not TableRegressor(**FAST, log_target="no").fit(x, skewed).model_.target.log
    assert not TableRegressor(**FAST).fit(x, x[:, 0]).model_.target.log
    with pytest.raises(ParameterError, match="above 0 in every row"):
        TableRegressor(**FAST, log_target="yes").fit(x, x[:, 0])


def test_a_second_training_on_all_rows() -> None:
    model = TableRegressor(**FAST, refit=True).fit(X, NUMBERS)
    assert model.score(X, NUMBERS) > 0.8


# Files


def test_files_hold_everything(
    classifier: TableClassifier, regressor: TableRegressor, tmp_path: Path
) -> None:
    path = tmp_path / "m.chainrule"
    classifier.save(path)
    twin = TableClassifier.load(path)
    np.testing.assert_array_equal(twin.predict_proba(X), classifier.predict_proba(X))
    assert (twin.threshold_, twin.facts_) == (classifier.threshold_, classifier.facts_)
    with pytest.raises(FileFormatError, match="holds a model of classification"):
        TableRegressor.load(path)
    regressor.save(path)
    again = TableRegressor.load(path)
    for found, expected in zip(
        again.predict(X, return_std=True), regressor.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again.predict_interval(X), regressor.predict_interval(X))
    for copied in (copy.deepcopy(regressor), pickle.loads(pickle.dumps(regressor))):
        np.testing.assert_array_equal(copied.predict(X), regressor.predict(X))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scaling", "encoders", 0, "median"), "x"),
        (("scaling", "encoders", 0, "kind"), "Popen"),
        (("scaling", "scaling"), "standart"),
        (("scaling", "schema", "columns", 0, "kind"), "drop"),
        (("trust", "temperature"), 0),
        (("trust", "noise"), -1.0),
        (("number", "scale"), "1"),
        (("number", "scale"), 0.0),
        (("network", "layers", 0, "settings", "numbers"), 9),
    ],
)
def test_files_with_a_wrong_value_are_refused(
    regressor: TableRegressor, tmp_path: Path, path: tuple[Any, ...], value: Any
) -> None:
    file = tmp_path / "m.chainrule"
    regressor.save(file)
    arrays, structure = read_file(file)
    inner: Any = structure
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    write_file(file, arrays, structure, kind="table")
    with pytest.raises(FileFormatError):
        TableModel.load(file)


def test_files_with_wrong_arrays_are_refused(regressor: TableRegressor, tmp_path: Path) -> None:
    file = tmp_path / "m.chainrule"
    regressor.save(file)
    arrays, structure = read_file(file)
    for name in ("trust.points", "scaling.center", "trust.scores"):
        for changed in (
            {k: v for k, v in arrays.items() if k != name},
            {
                **arrays,
                name: arrays[name][:, :1] if arrays[name].ndim > 1 else arrays[name][:1, None],
            },
        ):
            write_file(file, changed, structure, kind="table")
            with pytest.raises(FileFormatError):
                TableModel.load(file)


def test_seeds_come_from_the_operating_system_or_a_generator() -> None:
    drawn = [TableRegressor(random_state=None)._request().seed for _ in range(2)]
    assert drawn[0] != drawn[1]
    same = [TableRegressor(random_state=np.random.RandomState(3))._request().seed for _ in range(2)]
    assert same[0] == same[1]
    with pytest.raises(ParameterError, match="seed must be an integer"):
        TableRegressor(random_state="x").fit(X, NUMBERS)


@pytest.mark.parametrize("part", ["network", "scaling", "trust", "classes", "facts"])
def test_files_with_a_part_missing_are_refused(
    classifier: TableClassifier, tmp_path: Path, part: str
) -> None:
    path = tmp_path / "m.chainrule"
    classifier.save(path)
    arrays, structure = read_file(path)
    for broken in ({k: v for k, v in structure.items() if k != part}, {**structure, part: 3}):
        if part == "facts" and "facts" in broken:
            continue  # it may be anything
        write_file(path, arrays, broken, kind="table")
        with pytest.raises(FileFormatError):
            TableModel.load(path)
    write_file(path, arrays, structure, kind="network")
    with pytest.raises(FileFormatError, match="holds a network, not a table"):
        TableModel.load(path)


# scikit-learn's habits


def test_clones_searches_pipelines() -> None:
    model = TableClassifier(**{**FAST, "epochs": 3})
    assert clone(model).get_params() == model.get_params()
    grid = GridSearchCV(model, {"hidden": [(4,), (8,)]}, cv=2).fit(np.c_[NUMBERS], LABELS)
    assert grid.best_score_ > 0.4
    assert cross_val_score(model, np.c_[NUMBERS], LABELS, cv=2).shape == (2,)
    chain = make_pipeline(FunctionTransformer(), model).fit(np.c_[NUMBERS], LABELS)
    assert chain.predict(np.c_[NUMBERS]).shape == (ROWS,)
    calibrated = CalibratedClassifierCV(model, cv=2).fit(np.c_[NUMBERS], LABELS)
    assert calibrated.predict_proba(np.c_[NUMBERS]).shape == (ROWS, 2)


def test_a_table_without_rows_has_predictions_of_its_kind(
    classifier: TableClassifier, regressor: TableRegressor
) -> None:
    none = {name: column[:0] for name, column in X.items()}
    assert classifier.predict_proba(none).shape == (0, len(classifier.classes_))
    assert classifier.predict(none).dtype == classifier.predict(X).dtype
    found, deviations = regressor.predict(none, return_std=True)
    assert found.shape == deviations.shape == (0,)
    assert [each.shape for each in regressor.predict_interval(none)] == [(0,), (0,)]


def test_what_is_refused_and_leaves_the_estimator_usable(regressor: TableRegressor) -> None:
    before = regressor.predict(X)
    refusals: list[tuple[Any, Any, type[Exception], str]] = [
        (X, NUMBERS[:-1], ShapeError, "has 300 rows and the target 299"),
        (X, None, ParameterError, "requires y to be passed"),
        (X, "sise", UnknownNameError, "did you mean 'size'"),
        (X, 9, UnknownNameError, "column of the table"),
        ({"a": []}, [], DataError, "has no rows"),
        (X, [None] * ROWS, DataError, "no row has a target"),
        (X, [3.0] * ROWS, DataError, "is 3 in every row"),
        (X, ["a"] * ROWS, DataError, "row 0: the target 'target' is \"a\""),
        (X, np.arange(ROWS).astype("datetime64[D]"), DataError, "'target' holds dates"),
        ({"a": [1] * 3}, [1, 2, 3], DataError, "no column is left to learn from"),
        (np.zeros(3), [1, 2, 3], ShapeError, "x\\[None\\]"),
    ]
    for given_table, target, error, message in refusals:
        with pytest.raises(error, match=message):
            regressor.fit(given_table, target)
    np.testing.assert_array_equal(regressor.predict(X), before)
    with pytest.raises(ParameterError, match="a Schema or the path of one, got a dict"):
        TableClassifier(**FAST, schema={"size": "number"}).fit(X, LABELS)
    with pytest.raises(DataError, match="one class only, 'a'"):
        TableClassifier(**FAST).fit(X, ["a"] * ROWS)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        TableClassifier().predict(X)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        TableClassifier().save("nowhere")


def test_a_table_that_holds_its_target_is_not_learned_from() -> None:
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"size": range(20), "price": [None, *range(19)]})
    with pytest.raises(DataError, match="column 'price' is the target, and would be learned from"):
        TableRegressor(**FAST).fit(X, X["price"])
    for least in ({"drop": ["price"]}, {"id": ["price"]}):
        model = TableRegressor(**FAST | {"epochs": 1}, **least).fit(X, X["price"])
        assert [each.name for each in model.schema_.used] == ["size"]
    other = X["price"].rename("size")  # called like a column, and not the same
    assert TableRegressor(**FAST | {"epochs": 1}).fit(X, other).n_features_in_ == 2


def test_arrays_are_told_by_their_width() -> None:
    model = TableRegressor(**FAST).fit(np.c_[NUMBERS, NUMBERS**2], NUMBERS)
    with pytest.raises(ShapeError, match="X has 1 features, but TableRegressor is expecting 2"):
        model.predict(np.c_[NUMBERS])


# Scores, against scikit-learn


def test_scores_are_those_of_scikit_learn(
    classifier: TableClassifier, regressor: TableRegressor
) -> None:
    assert repr(classifier.model_).startswith("<TableModel: classification of ")
    found = classifier.model_.scores(X, as_column(LABELS, "y"))
    p, truth = classifier.predict_proba(X), LABELS == "low"
    assert found["auc"] == pytest.approx(roc_auc_score(truth, p[:, 1]))
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, p[:, 1]))
    assert found["log_loss"] == pytest.approx(log_loss(LABELS, p))
    assert found["accuracy"] == classifier.score(X, LABELS)
    numbers = regressor.model_.scores(X, as_column(NUMBERS, "y"))
    assert numbers["r2"] == pytest.approx(regressor.score(X, NUMBERS))


def test_scores_need_not_know_where_labels_come_from(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"size": NUMBERS, "many": (np.median(NUMBERS) < NUMBERS).astype(int)})
    frame["number"], frame["weight"] = NUMBERS**2, np.arange(ROWS) % 3
    frame.to_csv(tmp_path / "t.csv", index=False)
    model = TableClassifier(**FAST, drop=["number", "weight"]).fit(tmp_path / "t.csv", "many")
    right = model.predict(frame).astype(int) == frame["many"]
    assert model.score(frame, frame["many"]) == model.score(tmp_path / "t.csv", "many")
    assert model.score(frame, frame["many"].astype(float)) == right.mean()
    expected = pytest.approx(np.average(right, weights=frame["weight"]))
    assert model.score(frame, "many", sample_weight="weight") == expected
    some = frame["number"].where(right.index > 9)  # ten rows without a target do not count
    numbers = TableRegressor(**FAST).fit(frame, "number")
    there = some.notna().to_numpy()
    expected = pytest.approx(r2_score(some[there], numbers.predict(frame)[there]))
    assert numbers.score(frame, some) == expected
    with pytest.raises(ShapeError, match="has 300 rows and the target 5"):
        numbers.score(frame, some[:5])
    with pytest.raises(DataError, match="no row has a target in column 'number'"):
        numbers.score(frame, some.where(some < 0))


@pytest.mark.parametrize("written", [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
def test_truth_in_a_file_is_truth_in_a_data_frame(written: tuple[str, str], tmp_path: Path) -> None:
    path, high = tmp_path / "t.csv", NUMBERS > 104
    write_csv(path, {"size": NUMBERS, "high": np.where(high, *written)})
    frame = {"size": NUMBERS, "high": high}
    for one, other in ((frame, path), (path, frame)):
        model = TableClassifier(**FAST).fit(one, "high")
        assert model.score(other, "high") == model.score(one, "high") > 0.8


def test_the_threshold_has_the_greatest_f1(classifier: TableClassifier) -> None:
    p = classifier.predict_proba(X)[:, 1]
    chosen = f1_score(LABELS == "low", p >= classifier.threshold_)
    assert chosen >= f1_score(LABELS == "low", p >= 0.5) - 0.02


def test_a_file_and_the_name_of_its_target(shared: Path) -> None:
    path = shared / "data" / "tabular" / "penguins.csv"
    model = TableClassifier(**FAST).fit(path, "species")
    assert model.model_.scores(*target_from(path, "species"))["accuracy"] > 0.97


# Any frame

CELL = st.one_of(
    st.none(), st.text(max_size=4), st.integers(), st.integers(-(10**40), 10**40), st.floats(),
    st.booleans(), st.dates(), st.datetimes(), st.binary(max_size=3), st.decimals(),
    st.sampled_from(["=1+1", "@x", "\x00", "1,5", "?", "a", "b", "€5", "\x1b[2J", "NaN"]),
    st.lists(st.integers(), max_size=2), st.complex_numbers(),
)  # fmt: skip
NAMES = st.text(max_size=3)


Example = tuple[dict[str, list[Any]], list[Any]]


@st.composite
def alike(draw: Any, least: int, most: int) -> list[Any]:
    """Cells of one kind, for a target or for rows to predict."""
    kind = draw(st.sampled_from([CELL, st.sampled_from("ab"), st.floats(-5, 5), st.booleans()]))
    return draw(st.lists(kind, min_size=least, max_size=most))


@st.composite
def frames(draw: Any) -> Example:
    names = draw(st.lists(NAMES, min_size=0, max_size=4, unique=True))
    rows = draw(st.integers(0, 14))
    kinds = [draw(st.one_of(st.just(CELL), st.floats(), st.sampled_from("ab"))) for _ in names]
    columns = {
        name: draw(
            st.lists(
                kind if isinstance(kind, st.SearchStrategy) else CELL, min_size=rows, max_size=rows
            )
        )
        for name, kind in zip(names, kinds, strict=True)
    }
    return columns, draw(alike(rows, rows))


TINY = {**FAST, "hidden": (4,), "epochs": 1, "bins": 2, "engine": "reference"}


def check_any_frame(train: Example, test: list[Any], classes: bool) -> None:
    """A frame is learned and predicted with, or refused in one printable sentence."""
    model = (TableClassifier if classes else TableRegressor)(**TINY)
    try:
        model.fit(*train)
    except ChainruleError as refusal:
        assert str(refusal).isprintable() and len(str(refusal)) > 10
        return
    like = dict.fromkeys(train[0], (test * 3)[:3]) if test else train[0]
    found, flags = model.predict(like, return_flags=True)
    assert len(found) == len(next(iter(like.values())))
    assert all(len(rows) == len(found) for rows in flags.values())
    if classes:
        p = model.predict_proba(like)
        assert np.isfinite(p).all()
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert all(label in model.classes_.tolist() for label in found.tolist())
    else:
        assert np.isfinite(found).all()


@settings(max_examples=300)
@given(frames(), alike(0, 3), st.booleans())
def test_any_frame_is_learned_or_refused_in_a_sentence(
    train: Example, test: list[Any], classes: bool
) -> None:
    check_any_frame(train, test, classes)


@pytest.mark.parametrize("size", [5.5e19, 1e30, 3.4028232635612405e38])
def test_a_number_far_beyond_all_others_overflows_nothing(size: float) -> None:
    X = {"a": [None, 0, 0, 1, size], "b": [0.0, 1.0, 2.0, 3.0, size],
         "c": [None, None, 0, 1, size]}  # fmt: skip
    check_any_frame((X, list("aaaab")), [-size], True)
    check_any_frame((X, [1.0, 2.0, 3.0, 5.0, 4.0]), [size], False)


@pytest.mark.parametrize("written", [2.68e154, "-2.68e154"])
def test_a_target_whose_square_overflows_is_refused_by_its_row(written: Any) -> None:
    target = [1.0, 2.0, 3.0, 4.0, written]
    with pytest.raises(DataError, match=r"row 4: the target 'target' is -?2.68e\+154"):
        TableRegressor(**TINY).fit({"a": range(5)}, target)
    check_any_frame(({"a": [1, 2, 3]}, [1.0, 2.0, 1e150]), [], False)


@pytest.mark.parametrize("size", [1e200, -1e308, float("inf"), -float("inf"), 10**400])
@pytest.mark.parametrize("kind", ["mapping", "array", "pandas", "polars"])
def test_a_target_out_of_reach_is_refused_by_its_row(size: float, kind: str) -> None:
    """By the row of the table that was given, though rows without a target were left out."""
    target = [1.0, None, 3.0, 4.0, size, 6.0]
    table: Any = {"a": range(6), "y": [x if x is None else float(f"{x}") for x in target]}
    if kind == "array":
        table = np.array([*table.values()], float).T
    elif kind != "mapping":
        table = pytest.importorskip(kind).DataFrame(table)
    with pytest.raises(DataError, match=r"row 4: the target '(y|x1)' (is|contains infinity)"):
        TableRegressor(**TINY).fit(table, 1)


def test_targets_whose_squares_are_zero_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 2: the target 'target' is 3e-170, .* above 1e-150"):
        TableRegressor(**TINY).fit({"a": range(3)}, [1e-170, -2e-170, 3e-170])
    check_any_frame(({"a": [1, 2, 3]}, [1e-170, 0.0, 1e-150]), [], False)


@pytest.mark.parametrize("size", [1e200, -1e308, float("inf"), -float("inf"), 10**400])
def test_features_out_of_reach_are_flagged(size: float) -> None:
    X = {"a": [1.0, 2.0, size, 4.0] * 9, "b": [*range(36)]}
    model = TableRegressor(**TINY).fit(X, [*range(36)])
    found, flags = model.predict({"a": [1.0, -size], "b": [1, 2]}, return_flags=True)
    assert np.isfinite(found).all()
    raised = "outside" if abs(size) < 10**309 else "unknown"
    assert flags[raised].tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(40))
def test_ten_thousand_frames(number: int) -> None:
    """In parts of a minute or two, each with examples of its own."""

    @seed(number)
    @settings(max_examples=250)
    @given(frames(), alike(0, 3), st.booleans())
    def check(train: Example, test: list[Any], classes: bool) -> None:
        check_any_frame(train, test, classes)

    check()


def test_scores_need_a_row_with_a_target() -> None:
    problem = Problem.of(as_frame(X), as_column(NUMBERS, "y"), "regression")
    model = learn(problem, Request({**CHOSEN, "epochs": 2}, seed=0))
    with pytest.raises(DataError, match="no row has a target in column 'y'"):
        model.scores(as_frame(X), as_column([None] * ROWS, "y"))


# Ctrl-C


class Interrupting(Callback):
    """Presses Ctrl-C after some epochs of all trainings together."""

    def __init__(self, epochs: int) -> None:
        self.left, self.trainings = epochs, 0

    def start(self, run: Run) -> None:
        self.trainings += 1

    def epoch(self, run: Run) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_ctrl_c_ends_both_trainings() -> None:
    problem = Problem.of(as_frame(X), as_column(LABELS, "y"), "classification")
    pressed = Interrupting(2)
    chosen = {**CHOSEN, "epochs": 5, "refit": True}
    model = learn(problem, Request(chosen, seed=0, callbacks=[pressed]))
    assert pressed.trainings == 1
    assert model.network.history is not None and model.network.history.interrupted


def test_ctrl_c_before_there_is_anything_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    problem = Problem.of(as_frame(X), as_column(LABELS, "y"), "classification")
    monkeypatch.setattr(ReferenceEngine, "run", interrupt)
    request = Request(CHOSEN, seed=0, engine="reference")
    with pytest.raises(KeyboardInterrupt):
        learn(problem, request)


# Time


def epochs_of_all_trainings(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[int]:
    """How many epochs each training inside a fit had, of a skewed target that is refitted."""
    found: list[int] = []
    fit = Network.fit

    def counted(self: Network, *rows: Any, **others: Any) -> Any:
        history = fit(self, *rows, **others)
        found.append(history.epochs)
        return history

    monkeypatch.setattr(Network, "fit", counted)
    chosen = {**FAST, "refit": True, "patience": 300, "epochs": 300, **settings}
    TableRegressor(**chosen).fit(X, np.exp(NUMBERS))
    return found


def test_a_time_limit_bounds_all_trainings_together(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(looks) / 10)
    found = epochs_of_all_trainings(monkeypatch, time_limit=20.0)
    assert len(found) == 4  # two to choose the scale, then one, and one on all rows
    assert abs(found[0] - found[1]) < 5
    assert 100 < sum(found) <= 202  # an epoch takes 0.1 s, as one look at the clock does


def test_a_time_limit_that_has_passed_leaves_one_epoch_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert epochs_of_all_trainings(monkeypatch, time_limit=1e-9) == [1, 1, 1]
