"""Groups: whatever moves where, nothing is read before it is computed, and the work is linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import Program
from chainrule.engines.native import schedule
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph, close
from chainrule.graph.node import Node
from chainrule.nn import Activation, Linear, Network
from chainrule.shapes import Array
from chainrule.transforms import simplify

SIZE = 16  # of rows of data and of square matrices: operands of products have the results' shape


def drawn(seed: int) -> tuple[Program, list[Array], list[Array]]:
    """A random program over square matrices and rows, and what it starts from."""
    draw = np.random.default_rng(seed)
    weights = [cr.input((SIZE, SIZE), "float64") for _ in range(draw.integers(2, 4))]
    x, key = cr.input((cr.ROWS, SIZE), "float64"), cr.input((2,), "uint32")
    square, rows, numbers = [*weights], [x], [cr.mean(x)]
    for _ in range(draw.integers(6, 18)):
        pool = square if draw.random() < 0.6 else rows
        a, b, w = _choice(draw, pool), _choice(draw, pool), _choice(draw, square)
        made: list[Any] = [
            cr.tanh(a), a * b * 0.5, a + b * 0.3, cr.tanh(a @ w * 0.2), a * cr.tanh(numbers[-1]),
            cr.sum(a, axis=1, keepdims=True) * 0.1 * b,
        ]  # fmt: skip
        pool.append(made[draw.integers(len(made))])
        numbers.append(cr.mean(pool[-1] * a))
    gram = cr.matrix_transpose(_choice(draw, rows)) @ _choice(draw, rows) * 0.01
    loss = cr.mean(cr.tanh(rows[-1])) + cr.mean(cr.tanh(square[-1] + gram))
    following = [cr.tanh(_choice(draw, [*square, gram]) * 0.7 + w * 0.3) for w in weights]
    step = Graph((*weights, x, key), tuple(simplify([*following, loss])))
    start = [draw.standard_normal((SIZE, SIZE)) for _ in weights]
    data = [draw.standard_normal((int(draw.choice([1, 2, 5, 33])), SIZE))]
    return Program(step, carried=len(weights), batch=int(draw.choice([1, 4, 16]))), start, data


def _choice(draw: np.random.Generator, pool: list[Any]) -> Any:
    return pool[draw.integers(len(pool))]


@pytest.mark.parametrize("seed", range(25))
def test_programs_over_square_matrices(seed: int) -> None:
    program, start, rows = drawn(seed)
    ours, theirs = (
        engine.run(program, start, rows, seed=3, epochs=range(2))
        for engine in (NativeEngine(), ReferenceEngine())
    )
    pairs = zip([*ours.carried, *ours.records], [*theirs.carried, *theirs.records], strict=True)
    for x, y in pairs:
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-10)


def test_what_a_product_multiplies_is_there_before_it() -> None:
    a, b = (np.random.default_rng(seed).standard_normal((SIZE, SIZE)) for seed in (0, 1))
    twice = cr.compile(lambda a, b: cr.relu((a * 2) @ b), engine="native")
    np.testing.assert_allclose(twice(a, b), np.maximum(2 * a @ b, 0), rtol=1e-12)
    layers = [Activation("tanh"), Linear(SIZE, SIZE), Activation("relu"), Linear(SIZE, 1)]
    model = Network(layers, seed=0)
    found = [model.predict(a.astype("f4"), engine=engine) for engine in ("native", "reference")]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def turned(x: Any) -> Any:
    return cr.matrix_transpose(x)


PRODUCTS: dict[str, Any] = {
    "some columns": lambda x, w, v: turned(x[:, :9]) @ v,
    "rows backwards": lambda x, w, v: turned(w[::-1]) @ w[:, :1],
    "every second row": lambda x, w, v: turned(w[::2, 3:12]) @ w[:8, :1],
    "rows as columns": lambda x, w, v: w @ turned(x),
    "rows as columns, computed": lambda x, w, v: turned(w) @ cr.tanh(turned(x)),
    "rows as columns of one row": lambda x, w, v: w[:1] @ turned(x),
    "rows as columns before a column": lambda x, w, v: turned(cr.tanh(w @ turned(x))) @ w[:, :1],
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_views(name: str) -> None:
    x, w, v = cr.input((cr.ROWS, SIZE)), cr.input((SIZE, SIZE)), cr.input((cr.ROWS, 1))
    graph = Graph((x, w, v), tuple(simplify([cr.tanh(PRODUCTS[name](x, w, v) * 0.2)])))
    draw = np.random.default_rng(0)
    for rows in 1, 5, 40:
        arrays = [draw.standard_normal(shape) for shape in ((rows, SIZE), (SIZE, SIZE), (rows, 1))]
        ours, theirs = (each.compile(graph)(arrays) for each in (NativeEngine(), ReferenceEngine()))
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(0, 200, 8))
def test_nothing_is_read_before_it_is_computed(seed: int) -> None:
    graph, _ = schedule.legalize(drawn(seed)[0].step)
    scheduler = schedule.Scheduler(graph)
    check_order(scheduler, scheduler.run())


def check_order(scheduler: schedule.Scheduler, groups: list[schedule.Group]) -> None:
    """Every operand is an input, or comes from an earlier group or earlier in the same one."""
    nodes = [node for group in groups for node in group.nodes]
    done: dict[Node, bool] = {}
    for node in nodes:
        read = [home for home in map(scheduler.home, node.operands) if home in scheduler.place]
        assert all(home in done for home in read), f"{node.op.name} reads what is not there"
        done[node] = True
    assert len(done) == len(nodes) == len(scheduler.place)


def test_an_operand_that_moves_behind_its_product_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = cr.input((SIZE, SIZE)), cr.input((SIZE, SIZE))
    graph = close([cr.relu((a * 2) @ b)])
    monkeypatch.setattr(
        schedule.Scheduler, "_first_reader", lambda self, node, readers, where: where[readers[0]]
    )
    scheduler = schedule.Scheduler(graph)
    with pytest.raises(AssertionError, match="matmul reads what is not there"):
        check_order(scheduler, scheduler.run())


def test_the_work_is_linear_in_the_length_of_a_chain() -> None:
    counts = []
    for length in (500, 1000):
        x = cr.input((4,))
        node: Any = x
        for _ in range(length):
            node = cr.tanh(node)
        scheduler, asked = schedule.Scheduler(close([node])), 0
        home = scheduler.home

        def counted(node: Node, home: Any = home) -> Node:
            nonlocal asked
            asked += 1
            found: Node = home(node)
            return found

        scheduler.home = counted  # type: ignore[method-assign]
        scheduler.run()
        counts.append(asked)
    assert counts[1] < 2.1 * counts[0]
