"""Columns whose values stand once: they say the same as columns with a value in every row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import cells
from chainrule.data.factored import Factored, by_value, joined
from chainrule.data.frames import Column, Frame, as_column
from chainrule.data.schema import infer_schema

WORDS = st.lists(st.sampled_from(["a", "b", "?", "3", "2024-01-01", "yes"]), min_size=1)


def factored(words: list[str]) -> Factored:
    table = as_column(sorted({*words}), "word")
    return Factored(table, np.searchsorted(np.array(sorted({*words})), words))


@given(WORDS)
def test_a_factored_column_is_the_column(words: list[str]) -> None:
    plain, found = as_column(words, "word"), factored(words)
    assert len(found) == len(plain)
    assert found.is_text
    np.testing.assert_array_equal(found.values, plain.values)
    np.testing.assert_array_equal(found.missing, plain.missing)
    np.testing.assert_array_equal(found.distinct(), plain.distinct())
    np.testing.assert_array_equal(found.as_texts(), plain.as_texts())
    half = slice(0, len(words) // 2)
    np.testing.assert_array_equal(found.rows(half).present(), plain.rows(half).present())
    assert infer_schema(Frame("t", (found,))) == infer_schema(Frame("t", (plain,)))


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_joined_columns_hold_each_value_once(parts: list[list[str]]) -> None:
    whole = joined([Frame("t", (factored(words),)) for words in parts])["word"]
    wanted = as_column([word for words in parts for word in words], "word")
    assert isinstance(whole, Factored)
    np.testing.assert_array_equal(whole.present(), wanted.present())
    np.testing.assert_array_equal(whole.missing, wanted.missing)
    known = whole.table.present()
    assert len(known) == len(np.unique(known))


def test_parts_of_different_types_become_text() -> None:
    numbers, words = as_column([1.0, 2.0], "x"), as_column(["a"], "x")
    found = joined([Frame("t", (numbers,)), Frame("t", (words,))])["x"]
    assert found.values.tolist() == ["1", "2", "a"]
    nothing = Column("x", cells.texts(["", ""]), np.ones(2, bool))
    found = joined([Frame("t", (nothing,)), Frame("t", (numbers,))])["x"]
    assert found.values.dtype == np.float64
    assert found.missing.tolist() == [True, True, False, False]


def test_each_value_is_looked_at_once() -> None:
    column, seen = factored(["a", "b", "a", "a"]), []

    def look(values: Column) -> tuple[np.ndarray]:
        seen.append(len(values))
        return (values.values,)

    assert by_value(look, column)[0].tolist() == ["a", "b", "a", "a"]
    assert seen == [2]
