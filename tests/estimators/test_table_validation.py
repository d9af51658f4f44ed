"""Folds: every row is tested once, by rows that have nothing to do with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.frames import as_column
from chainrule.errors import ChainruleError
from chainrule.estimators.table_validation import folds, mean_and_error


def test_every_row_is_in_one_fold_and_classes_are_shared_out() -> None:
    classes = np.repeat([0, 1, 2], [150, 100, 50])
    found = list(folds(300, 5, seed=0, classes=classes))
    held = np.concatenate([each.held_out for each in found])
    assert sorted(held) == list(range(300))
    for each in found:
        assert not set(each.train) & set(each.held_out)
        assert len(each.train) + len(each.held_out) == 300
        assert np.bincount(classes[each.held_out]).tolist() == [30, 20, 10]
    assert [each.how for each in found][:2] == ["fold 1 of 5", "fold 2 of 5"]


def test_numbers_are_drawn_by_the_seed() -> None:
    first, again, other = (list(folds(50, 3, seed=seed)) for seed in (1, 1, 2))
    assert [len(each.held_out) for each in first] == [17, 17, 16]
    assert all(np.array_equal(a.held_out, b.held_out) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].held_out, other[0].held_out)


def test_groups_stay_together() -> None:
    houses = np.arange(200) // 10
    for each in folds(200, 4, seed=0, groups=as_column(houses, "house")):
        assert not set(houses[each.train]) & set(houses[each.held_out])


@given(st.lists(st.integers(1, 60), min_size=2, max_size=12), st.data())
def test_folds_follow_time_and_share_no_moment(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(2, len(sizes)))
    moments = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = np.random.default_rng(0).permutation(moments)
    found = list(folds(len(moments), count, 0, times=as_column(shuffled.astype(float), "when")))
    assert len(found) == count - 1
    for each in found:
        assert shuffled[each.train].max() < shuffled[each.held_out].min()
    tested = np.concatenate([each.held_out for each in found])
    assert sorted([*tested, *found[0].train]) == list(range(len(moments)))


def test_folds_in_time_are_of_the_same_size_where_they_can_be() -> None:
    moments = as_column(np.repeat(np.arange(100.0), 10), "when")
    assert [len(each.held_out) for each in folds(1000, 5, 0, times=moments)] == [200] * 4


@pytest.mark.parametrize(
    ("rows", "count", "columns", "message"),
    [
        (20, 1, "", "at least 2 folds"),
        (4, 5, "", "at least as many rows, and the table has 4"),
        (20, 5, "groups", "at least as many groups, and 'few' has 2"),
        (20, 5, "times", "at least as many moments, and 'few' has 2"),
        (20, 2, "groups times", "not by both"),
    ],
)
def test_folds_that_cannot_be(rows: int, count: int, columns: str, message: str) -> None:
    few = as_column(np.arange(rows) % 2 + 0.0, "few")
    with pytest.raises(ChainruleError, match=message):
        list(folds(rows, count, 0, **dict.fromkeys(columns.split(), few)))


def test_the_standard_error_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=7)
    mean, error = mean_and_error([{"rmse": value} for value in values])["rmse"]
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(np.sqrt(np.var(values, ddof=1) / 7))
