"""Classes: when a target is one of them, in which order, and back to the original text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.preprocessing import LabelEncoder

from chainrule.data import Labels, fit_labels, infer_task, read_table
from chainrule.errors import DataError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([True, False], "binary"),
        ([0, 1, 1, 0], "binary"),
        ([1, 2], "binary"),
        ([1.0, 2.0], "binary"),
        (["1", "1.0", "2"], "binary"),
        (["1", "2", "x"], "multiclass"),
        ([0.5, 1.5], "regression"),
        ([0, 1, 2], "regression"),
        ([0, 1, 2] * 2, "multiclass"),
        ([*range(20)] * 2, "multiclass"),
        ([*range(21)] * 2, "regression"),
        ([*range(20)] * 2 + [0.5], "regression"),
        ([*range(5), 0, 1, 2, 3], "regression"),
        (["-1", "+1", "-1", "+1"], "binary"),
        (["1e3", "2e3", "1e3"], "binary"),
        (["inf", "1", "2"], "regression"),
        ([f"c{i}" for i in range(20)], "multiclass"),
        ([f"c{i}" for i in range(40)] * 2, "multiclass"),
        ([9007199254740992, 9007199254740993], "binary"),
    ],
)
def test_the_rule(values: list[Any], task: str) -> None:
    assert infer_task(values) == task
    assert infer_task([str(value) for value in values]) == task


def test_text_with_too_many_different_values() -> None:
    assert infer_task([f"c{i}" for i in range(21)] * 2) == "multiclass"
    with pytest.raises(DataError, match="'name' has 21 different values in 41 rows, too many"):
        infer_task(([f"c{i}" for i in range(21)] * 2)[:-1], name="name")


def test_a_misspelt_number_does_not_make_a_regression_a_thousand_classes() -> None:
    values = [*map(str, np.linspace(0, 1, 1000)), "1.2.3"]
    with pytest.raises(DataError, match='"1\\.2\\.3" is not a number'):
        infer_task(values, name="price")


@pytest.mark.parametrize("function", [infer_task, fit_labels])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "a"], "'y' is \"a\" in every row"),
        ([1, 1], "'y' is \"1\" in every row"),
        (["1", "1.0", " 1 "], "in every row"),
        (["a", "", "b"], "'y' has a missing value in row 2"),
        (["a", "b", "n/a"], "'y' has a missing value in row 3"),
        ([0.0, np.nan, 1.0], "'y' has a missing value in row 2"),
        ([], "'y' has no rows"),
    ],
)
def test_targets_that_are_refused(function: Any, values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        function(values, name="y")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["007", "7", "8.50", "8.5"], ("007", "8.50")),
        (["10", "9", "x"], ("10", "9", "x")),
        ([1.0, 0.0], ("0.0", "1.0")),
        (np.array([3, 1], "uint8"), ("1", "3")),
        ([True, False], ("False", "True")),
        (["é", "z", "Z"], ("Z", "z", "é")),
    ],
)
def test_classes_are_sorted_and_keep_their_text(values: Any, classes: tuple[str, ...]) -> None:
    assert fit_labels(values).classes == classes


LABEL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)


@given(st.lists(LABEL.map(lambda text: f"c{text}c"), min_size=2, max_size=12))
def test_text_round_trip_and_scikit_learn(values: list[str]) -> None:
    if len(set(values)) == 1:
        return
    labels = fit_labels(values)
    codes = labels.encode(values)
    assert codes.dtype == np.int64
    assert labels.decode(codes).tolist() == values
    assert codes.tolist() == LabelEncoder().fit_transform(values).tolist()
    assert Labels(labels.classes).encode(values).tolist() == codes.tolist()


@given(st.lists(st.integers() | st.floats(allow_nan=False), min_size=2, max_size=12))
def test_numbers_are_told_apart_by_value(values: list[int | float]) -> None:
    distinct = sorted(set(values))
    if len(distinct) == 1:
        return
    texts = [str(value) for value in values]
    labels = fit_labels(texts)
    assert labels.encode(texts).tolist() == [distinct.index(value) for value in values]
    assert len(labels) == len(distinct)


def test_other_spellings_of_a_number_are_the_same_class() -> None:
    assert fit_labels(["1", "0"]).encode(["1.0", " 0", "1e0", "-0"]).tolist() == [1, 0, 1, 0]


def test_digits_are_their_own_codes() -> None:
    _, y = load_digits(return_X_y=True)
    labels = fit_labels(y)
    assert np.array_equal(labels.encode(y), y)
    assert infer_task(y) == "multiclass"


@pytest.mark.parametrize("label", ["d", "1", "A"])
def test_labels_that_were_not_learned(label: str) -> None:
    labels = fit_labels(["a", "b", "c"])
    message = f"'y' has the label \"{label}\" in row 2, which is none of the 3 classes"
    with pytest.raises(DataError, match=message):
        labels.encode(["a", label, "b", label], name="y")


def test_words_among_numbered_classes_were_not_learned() -> None:
    with pytest.raises(DataError, match='label "x" in row 1'):
        fit_labels([0, 1]).encode(["x"])


def test_decode_takes_any_shape() -> None:
    assert fit_labels(["a", "b"]).decode([[0, 1], [1, 1]]).tolist() == [["a", "b"], ["b", "b"]]


@pytest.mark.parametrize(
    ("name", "target", "task"),
    [
        ("penguins.csv", "species", "multiclass"),
        ("titanic-kaggle-train.csv", "Survived", "binary"),
        ("auto-mpg.csv", "mpg", "regression"),
        ("ames-house-prices.csv.gz", "SalePrice", "regression"),
        ("california-housing.csv.gz", "median_house_value", "regression"),
        ("diamonds.csv.gz", "price", "regression"),
        ("diamonds.csv.gz", "cut", "multiclass"),
    ],
)
def test_tasks_of_real_tables(shared: Path, name: str, target: str, task: str) -> None:
    table = read_table(shared / "data" / "tabular" / name)
    assert infer_task(table.target(target)) == task
