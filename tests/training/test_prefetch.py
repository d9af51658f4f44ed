"""Work ahead: the same items in the same order, errors where they belong, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chainrule.training.prefetch import prefetched
from tests.clock import until


def test_items_come_in_order() -> None:
    assert list(prefetched(lambda: iter(range(100)), ahead=3)) == list(range(100))


def test_the_next_item_is_made_while_the_last_is_used() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for each in range(5):
            made.append(each)
            yield each

    found = prefetched(items)
    assert next(found) == 0
    until(lambda: len(made) > 2)  # one is ready, one waits for its place
    assert made == [0, 1, 2]
    found.close()


def test_an_error_is_raised_behind_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    found = prefetched(items)
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_leaving_ends_the_thread_and_closes_the_iterator() -> None:
    before, closed = set(threading.enumerate()), []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    found = prefetched(items)
    next(found)
    found.close()
    assert set(threading.enumerate()) <= before  # those of earlier tests may end meanwhile
    assert closed and closed[0] != threading.current_thread().name
