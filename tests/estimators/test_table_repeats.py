"""Equal rows and weights: one and the same thing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.data.cells import texts
from chainrule.data.frames import Column, as_column
from chainrule.estimators import table_learning, table_repeats
from chainrule.estimators.table import TableClassifier, TableRegressor
from chainrule.estimators.table_learning import Data
from chainrule.estimators.table_repeats import HEAVIEST, different_rows, kinds_of, light_rows

FAST: dict[str, Any] = {
    "hidden": (4,), "members": 1, "epochs": 2, "bins": 4, "random_state": 0, "engine": "reference",
}  # fmt: skip
ROWS = 60


def table(few: bool) -> tuple[dict[str, Any], Any]:
    """Different rows with classes: of few values, or of measured ones and words."""
    draw = np.random.default_rng(0)
    if few:
        places = np.arange(36)
        return {"a": places // 6, "b": places % 6}, places % 2
    words = draw.choice(["red", "blue", "1.50", ""], ROWS)
    return {"x": draw.normal(size=ROWS), "kind": words}, draw.integers(0, 2, ROWS)


def predictions(kind: Any, X: dict[str, Any], y: Any, rows: Any, weights: Any = None) -> Any:
    chosen = {name: each[rows] for name, each in X.items()}
    return kind(**FAST).fit(chosen, y[rows], weights).predict(X)


def both_ways(kind: Any, few: bool) -> bool:
    """Whether weights, and as many copies, give the same bits, in whatever order."""
    X, y = table(few)
    draw = np.random.default_rng(1)
    counts = draw.integers(0, 4, len(y))
    order = draw.permutation(len(y))
    copies = draw.permutation(np.repeat(np.arange(len(y)), counts))
    weighted = predictions(kind, X, y, order, counts[order])
    return bool(np.array_equal(weighted, predictions(kind, X, y, copies)))


@pytest.mark.parametrize("few", [False, True], ids=["measured", "counted"])
@pytest.mark.parametrize("kind", [TableClassifier, TableRegressor])
def test_a_row_of_weight_three_is_three_rows(kind: Any, few: bool) -> None:
    assert both_ways(kind, few)


def test_a_table_that_keeps_copies_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_they_stand(columns: Any, weights: Any) -> Any:
        return slice(None), weights

    monkeypatch.setattr(table_learning, "different_rows", as_they_stand)
    assert not both_ways(TableRegressor, few=False)


def test_no_copy_is_on_both_sides() -> None:
    X, y = table(few=False)
    twice = {name: np.tile(each, 2) for name, each in X.items()}
    model = TableRegressor(**FAST).fit(twice, np.tile(y + X["x"], 2))
    facts = model.facts_
    assert (facts["merged"], facts["duplicates"]) == (ROWS, 0)
    assert facts["rows"] + facts["held_out"] == ROWS


def test_rows_that_repeat_by_nature_stay_as_many_as_they_are() -> None:
    """The features of a row have several targets: a new row is mostly equal to an old one."""
    draw = np.random.default_rng(0)
    places = draw.integers(0, [90, 40], (2_000, 2))
    columns = [as_column(places[:, 0], "age"), as_column(places[:, 1], "hours")]
    target = as_column(draw.random(2_000) < 0.5, "y")
    rows, weights = different_rows([*columns, target], None)
    assert len(rows) == 2_000 and weights is None
    rows, weights = different_rows([*columns, target], np.full(2_000, 0.5))
    assert len(rows) < 2_000 and weights is not None and weights.sum() == 1_000


def test_measured_rows_whose_weights_are_whole_are_not_copied() -> None:
    x = np.random.default_rng(0).normal(size=500)
    weights = np.where(x > 0, 10.0, 1.0)
    rows, found = different_rows([as_column(x, "x"), as_column(x > 0, "y")], weights)
    assert found is not None and np.array_equal(found, weights[rows])


def test_texts_and_numbers_of_the_same_cells_are_in_the_same_order() -> None:
    cells = ["1.5", "3", "-0.25", "3", "1e5", "no"]
    words = as_column(cells[:-1], "x")
    numbers = as_column([float(each) for each in cells[:-1]], "x")
    weights = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    for column in (words, numbers):
        found = different_rows([column], weights)[1]
        assert found is not None
        assert sorted(found) == [0.5, 2.0, 5.0, 8.0]
    first, second = [different_rows([column], weights)[0] for column in (words, numbers)]
    assert first.tolist() == second.tolist()


def test_cells_that_are_no_numbers_but_read_like_one_are_other_cells() -> None:
    column = as_column(["01", "1", "1.0", "nan-", "01"], "code")
    rows, weights = different_rows([column], np.array([0.5, 1, 1, 1, 1]))
    assert weights is not None and sorted(weights) == [1, 1, 1, 1.5] and len(rows) == 4


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("3", 3.0), ("3.0", 3.0), ("-0", 0.0), ("1e+16", 1e16), ("-inf", -np.inf)],
)
def test_a_number_and_what_it_is_written_as_have_one_mark(text: str, number: float) -> None:
    assert mark(as_column([text, "word"], "x")) == mark(as_column([number, 7.5], "x"))


@pytest.mark.parametrize("text", ["03", "1.50", "1e16", "1_0", "+1", "INF", "nano", "", "."])
def test_other_texts_have_the_mark_of_a_digest(text: str) -> None:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    assert mark(Column("x", texts([text]), np.zeros(1, bool))) == int.from_bytes(digest, "little")


def mark(column: Column) -> int:
    return int(table_repeats.marks_of(column)[0][0])


def test_rows_of_which_none_is_heavy_are_not_copied() -> None:
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    weights = np.linspace(0.5, 1.5, 10)
    data = Data(X, y, X[:0], y[:0], weights, weights[:0], "")
    light = data.lightened()
    assert light.X is X and light.y is y
    np.testing.assert_array_equal(light.weights, weights)
    heavy = dataclasses.replace(data, weights=np.where(y == 3, 50.0, weights)).lightened()
    assert len(heavy.X) > len(X) and (heavy.y == 3).sum() == len(heavy.X) - 9


def test_missing_cells_are_equal() -> None:
    column = as_column([None, 1.0, None, 2.0], "x")
    rows, weights = different_rows([column], np.array([0.5, 1.0, 1.0, 1.0]))
    assert weights is not None and sorted(weights) == [1, 1, 1.5]
    assert 0 in rows and 2 not in rows


def test_no_batch_hangs_on_one_row() -> None:
    weights = np.append(np.ones(999), 5_000.0)
    rows, shared = light_rows(weights)
    assert shared is not None
    assert shared.max() <= HEAVIEST * weights.mean() and len(rows) <= 1_250
    np.testing.assert_allclose(np.bincount(rows, shared), weights)


def test_a_table_without_weights_is_trained_on_its_own_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of equal rows one is held out or trained on; training has all of them, and no weights."""
    X, y = table(few=False)
    rows = np.append(np.arange(ROWS), [0, 0, 1])
    learned = []

    def watched(network: Any, X: Any, *rest: Any, **chosen: Any) -> Any:
        learned.append((len(X), chosen["sample_weight"]))
        return fit(network, X, *rest, **chosen)

    fit = table_learning.Network.fit
    monkeypatch.setattr(table_learning.Network, "fit", watched)
    model = TableClassifier(**FAST, validation=0.5, refit=True).fit(
        {name: each[rows] for name, each in X.items()}, y[rows]
    )
    (first, no_weights), (both, none) = learned
    assert model.facts_["merged"] == 3 and (no_weights, none) == (None, None)
    assert both == len(rows) and first < both


def test_balanced_classes_count_copies() -> None:
    """Of a class whose rows are there ten times, a row weighs a tenth."""
    data = table_learning.Data(
        np.zeros((4, 1)), np.array([0, 0, 1, 1]), np.zeros((0, 1)), np.zeros(0),
        np.array([10.0, 10.0, 1.0, 1.0]), None, "",
    )  # fmt: skip
    found = table_learning._class_weight("balanced", table_learning.ClassTarget(("a", "b")), data)
    assert found[1] == 10 * found[0]


def test_rows_are_equal_by_what_their_cells_say() -> None:
    """And names with zeros in front are names, not numbers."""
    sizes, codes = ["1", "1.0", "2.5", "2.50", "3", "4", "5"], ["01", "1", "7", "7", "9", "4", "5"]
    y = as_column([1.5, 1.5, 2.5, 2.5, 9.5, 8.5, 7.5], "y")
    assert kinds_of([as_column(sizes, "size"), y])[1].tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert kinds_of([as_column(codes, "code"), y])[1].tolist() == [0, 1, 2, 2, 3, 4, 5]


def test_rows_are_of_one_kind_that_are_equal_in_every_column() -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 12, (400, 3)) / 4
    columns = [as_column(each, name) for each, name in zip(x.T, "abc", strict=True)]
    firsts, kinds = kinds_of([*columns, as_column(x.sum(axis=1), "y")])
    assert 12 < len(firsts) < 400  # so that no column alone tells them apart, and some are equal
    found = np.unique(x, axis=0, return_index=True)[1]
    assert sorted(found) == firsts.tolist() and (x[firsts[kinds]] == x).all()


def test_no_more_columns_are_looked_at_than_tell_all_rows_apart() -> None:
    looked = []

    def columns() -> Iterator[Column]:
        for name, values in {"a": [1, 1, 2, 2], "b": [1, 2, 1, 2], "c": [3, 3, 3, 3]}.items():
            looked.append(name)
            yield as_column(values, name)

    assert kinds_of(columns())[1].tolist() == [0, 1, 2, 3] and looked == ["a", "b"]
