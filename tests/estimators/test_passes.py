"""Passes over large arrays give the same by several threads as by one."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.estimators import passes
from chainrule.shapes import FLOAT32, FLOAT64


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_all_rows_are_seen_once_and_in_order(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setattr(passes, "WORTH", 1)
    monkeypatch.setenv("CHAINRULE_THREADS", threads)
    numbers = np.arange(13.0)
    found = passes.by_threads(lambda part: numbers[part].tolist(), numbers)
    assert len(found) == int(threads)
    assert [each for part in found for each in part] == numbers.tolist()
    for array in (np.arange(30.0).reshape(10, 3).T, np.zeros((0, 4)), np.zeros((3, 0))):
        copy = passes.contiguous(array, FLOAT32)
        np.testing.assert_array_equal(copy, array.astype("f4"))
        assert copy.flags.c_contiguous and copy.dtype == FLOAT32


def test_what_fits_is_not_copied() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert passes.contiguous(array, FLOAT64) is array
    assert passes.contiguous(array.T, FLOAT64) is not array


def test_threads_have_the_callers_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "WORTH", 1)
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    huge = np.full(100, 1e300)
    with np.errstate(over="ignore"):
        assert np.isinf(passes.contiguous(huge, FLOAT32)).all()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        passes.contiguous(huge, FLOAT32)


def test_what_a_thread_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "WORTH", 1)
    monkeypatch.setenv("CHAINRULE_THREADS", "2")

    def work(part: slice) -> None:
        raise FloatingPointError(part.start)

    with pytest.raises(FloatingPointError, match="0"):
        passes.by_threads(work, np.arange(4))
