"""BLAS is held to one thread wherever the number of threads could change a bit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from threading import Barrier, Thread

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import chainrule as cr
from chainrule.engines.blas import SPLIT_FROM, _found, _libraries, one_blas_thread
from chainrule.engines.plan import make_plan
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.shapes import ROWS
from tests.clock import PATIENCE


def threads() -> set[int]:
    blas = ThreadpoolController().select(user_api="blas")
    return {library.get_num_threads() for library in blas.lib_controllers}


@pytest.fixture
def two_threads() -> Iterator[None]:
    """BLAS may use two threads, in all libraries that earlier tests have loaded."""
    _found.clear()
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS cannot be told to use two threads")
        yield


def test_one_thread_inside_and_as_many_as_before_outside(two_threads: None) -> None:
    with one_blas_thread():
        assert threads() == {1}
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert threads() == {2}


def test_who_leaves_first_does_not_set_free_who_still_computes(two_threads: None) -> None:
    entered, left = Barrier(2), Barrier(2)
    seen = []

    def first() -> None:
        with one_blas_thread():
            entered.wait(PATIENCE)
        left.wait(PATIENCE)

    def second() -> None:
        with one_blas_thread():
            entered.wait(PATIENCE)
            left.wait(PATIENCE)
            seen.append(threads())

    workers = [Thread(target=each) for each in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert seen == [{1}]
    assert threads() == {2}


def test_threads_that_look_for_libraries_at_the_same_time_count_in_one_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both, seen = Barrier(2), []

    class Waiting(ThreadpoolController):
        def __init__(self) -> None:
            super().__init__()
            both.wait(PATIENCE)

    monkeypatch.setattr("threadpoolctl.ThreadpoolController", Waiting)
    _found.clear()
    workers = [Thread(target=lambda: seen.append(_libraries())) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert seen[0] is seen[1]


def test_plans_know_whether_a_product_could_be_split() -> None:
    x, w = cr.input((ROWS, 32)), cr.input((32, 16))
    graph = Graph((x, w), (cr.tanh(x @ w),))
    limit = SPLIT_FROM // (32 * 16)
    assert not make_plan(graph, limit - 1).splits_products
    assert make_plan(graph, limit).splits_products
    turned = Graph((x, w), (x.T @ x,))
    assert make_plan(turned, 8).splits_products


def test_below_the_limit_the_number_of_threads_changes_no_bit(two_threads: None) -> None:
    generator = np.random.default_rng(0)
    sizes = [(1, 90, 90), (90, 90, 1), (90, 1, 90), (20, 20, 20), (4, 500, 4), (1, 8191, 1)]
    for (m, k, n), dtype in product(sizes, [np.float32, np.float64]):
        a = generator.normal(size=(m, k)).astype(dtype)
        b = generator.normal(size=(k, n)).astype(dtype)
        many = [a @ b, a @ a.T if m * m * k < SPLIT_FROM else a @ b]
        with one_blas_thread():
            one = [a @ b, a @ a.T if m * m * k < SPLIT_FROM else a @ b]
        for x, y in zip(many, one, strict=True):
            np.testing.assert_array_equal(x, y)


def test_above_it_the_engine_sees_to_that(two_threads: None) -> None:
    x = cr.input((300, 400))
    run = ReferenceEngine().compile(Graph((x,), (x @ x.T, cr.sum(x, axis=1) @ x)))
    value = np.random.default_rng(0).normal(size=(300, 400))
    two = run([value])
    with threadpool_limits(1, user_api="blas"):
        one = run([value])
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
