"""What cells mean, and that what is said of one cell agrees with what is said of many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import cells

WORDS = "nan inf -inf 1e5 1_0 0x1 ? NA 1,5 12abc １２ + - . e5 1e 1e999 true".split()
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
CELL = st.sampled_from([*WORDS, ""]) | TEXT | st.integers().map(str) | st.floats().map(repr)


@given(CELL)
def test_one_cell_is_faulty_where_a_column_of_it_is_no_numbers(text: str) -> None:
    column = np.array([text, "1"], dtype=cells.TEXT)
    assert (cells.fault(text) is None) == (cells.numbers(column) is not None)


@given(CELL)
def test_faults_are_one_printable_line(text: str) -> None:
    fault = cells.fault(text)
    assert fault is None or fault.isprintable()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_as_written(value: float) -> None:
    column = np.array([repr(value)], dtype=cells.TEXT)
    (read,) = np.asarray(cells.numbers(column))
    assert (read, math.copysign(1, read)) == (value, math.copysign(1, value))


@given(st.integers())
def test_whole_numbers_are_exact(value: int) -> None:
    assert cells.number(str(value)) == value


@pytest.mark.parametrize("text", ["1_000", "2019_01", "abc", "0x1f", "1,5", "", "1 2", "--1"])
def test_what_is_no_number(text: str) -> None:
    assert cells.number(text) is None


@pytest.mark.parametrize("text", ["", "  ", "?", "NA", "n/a", "N/A", "nan", "NaN", "NULL"])
def test_what_is_missing(text: str) -> None:
    assert cells.is_missing(text)
    fault = cells.fault(text)
    assert fault is not None
    assert fault.startswith("missing value")


@pytest.mark.parametrize("text", ["none", "0", "--", "nano", "null island", "inf"])
def test_what_is_not_missing(text: str) -> None:
    assert not cells.is_missing(text)


def test_the_first_missing_cell_is_found() -> None:
    assert cells.first_missing(cells.texts(["a", "?", "", "?"])) == 1
    assert cells.first_missing(cells.texts(["a", "b"])) is None


def test_texts_have_no_blanks_around_them() -> None:
    assert cells.texts([" a ", "b\t", "c d"]).tolist() == ["a", "b", "c d"]
    assert cells.texts(np.array([True, False])).tolist() == ["True", "False"]
    assert cells.texts(np.array([1, -2], "int8")).tolist() == ["1", "-2"]
    assert cells.texts(np.array(["x", 1.5], object)).tolist() == ["x", "1.5"]


def test_texts_in_two_sorted_lists_are_told_apart() -> None:
    """NumPy's own sort of such texts ends the process (2.4.6)."""
    words = [f"{i:07d}" for i in (*range(0, 2000, 2), *range(1, 2000, 2))]
    column = cells.texts(words)
    found, places = cells.distinct(column)
    assert found.tolist() == sorted(words)
    assert found[places].tolist() == words


KINDS = {"categorical": {"categorical": ["name"]}, "text": {"text": ["name"]}}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_in_two_sorted_lists_are_learned(kind: str) -> None:
    pytest.importorskip("sklearn", reason="estimators need scikit-learn")
    from chainrule.estimators import TableRegressor

    words = [f"{i:04d}" for i in (*range(0, 1000, 2), *range(1, 1000, 2))]
    table = {"name": np.array(words), "a": np.arange(1000.0)}
    model = TableRegressor(epochs=1, random_state=0, **KINDS[kind])
    assert np.isfinite(model.fit(table, np.arange(1000.0)).predict(table)).all()
