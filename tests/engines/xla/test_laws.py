"""Law 2 for the xla engine: it computes what the reference engine defines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

import jax

import chainrule as cr
from chainrule.engines.xla import table
from chainrule.engines.xla.engine import XlaEngine
from chainrule.engines.xla.function import Traceable
from chainrule.errors import DtypeError
from chainrule.graph.graph import Graph
from chainrule.graph.node import intern
from chainrule.graph.op import Kind, registered
from chainrule.shapes import FLOAT32, FLOAT64, Array
from chainrule.testing import check_engines
from tests.graphs import random_graph
from tests.ops.samples import OPERATIONS, samples

ELEMENTWISE = [
    name
    for name in OPERATIONS
    if registered()[name].kind is Kind.ELEMENTWISE and registered()[name].partials
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 1e30, -1e30, 1e-30, np.inf, -np.inf, np.nan]
WHOLE = [0, 1, -1, 2, -3, 7, 63, 64, 2**62, -(2**63), 2**63 - 1]

Applied = tuple[Callable[[Any], Any], Iterable[Array]]
"""An operation as a function of its operands, and operands."""


def check(applied: Iterable[Applied]) -> None:
    """Check operations in one graph together: compiling takes longer than running."""
    inputs: list[Any] = []
    outputs, values = [], []
    for function, arrays in applied:
        leaves = [cr.input(array.shape, array.dtype) for array in arrays]
        inputs += leaves
        outputs.append(function(leaves))
        values += list(arrays)
    check_engines(Graph(tuple(inputs), tuple(outputs)), *values, engine=XlaEngine())


def sampled(name: str) -> list[Applied]:
    """Samples in both precisions; of operations without real operands, once."""
    found = samples(name, FLOAT64)
    if any(array.dtype.kind == "f" for sample in found for array in sample.arrays):
        found += samples(name, FLOAT32, seed=1)
    return [(sample.on, sample.arrays) for sample in found]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_agrees_with_the_reference(name: str) -> None:
    check(sampled(name))


@pytest.mark.parametrize(
    "seed", [*range(4), *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 10)]]
)
def test_random_graphs_agree_with_the_reference(seed: int) -> None:
    drawn = random_graph(seed, size=20, dtype=FLOAT32 if seed % 2 else FLOAT64)
    check_engines(drawn.graph, *drawn.values, engine=XlaEngine())


def test_every_operation_has_a_row() -> None:
    assert [name for name in OPERATIONS if name not in table.TABLE] == []
    assert [name for name in table.TABLE if name not in OPERATIONS] == []


def test_a_wrong_row_of_the_table_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "cos", "sin")
    with pytest.raises(AssertionError, match="xla differs"):
        check(sampled("cos"))


def products() -> tuple[set[tuple[int, int]], Graph]:
    """The shapes of the products that XLA makes of the gradient of a layer with few outputs."""
    x, slopes = cr.input((64, 40), "float32"), cr.input((64, 5), "float32")
    ways = {"transpose_a": True, "transpose_b": False}
    graph = Graph((x, slopes), (intern(registered()["matmul"], (x, slopes), ways),))
    text = jax.jit(Traceable(graph, "float32")).lower(
        [np.ones(node.shape, "float32") for node in graph.inputs]
    )
    found = re.findall(r"\[(\d+),(\d+)\]\S* dot\(", text.compile().as_text())
    return {(int(rows), int(columns)) for rows, columns in found}, graph


def test_of_the_sides_of_a_product_the_far_smaller_one_is_transposed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes, graph = products()
    assert shapes == {(5, 40)}
    draw = np.random.default_rng(0).standard_normal
    check_engines(graph, *[draw((64, n), np.float32) for n in (40, 5)], engine=XlaEngine())
    monkeypatch.setattr(table, "FAR_SMALLER", 9)
    assert products()[0] == {(40, 5)}


def squares(others: int) -> tuple[str, Graph]:
    """What the sum of squares is traced to, where so many others take the squares."""
    x = cr.input((40, 30), "float32")
    square = x * x
    graph = Graph((x,), (cr.sum(square), *[square * (n + 0.5) for n in range(others)]))
    return str(jax.make_jaxpr(Traceable(graph, "float32"))([np.ones((40, 30), "float32")])), graph


@pytest.mark.parametrize("others", [0, 2])
def test_squares_that_others_take_are_made_anew_for_their_sum(others: int) -> None:
    text, graph = squares(others)
    made = re.findall(r"f32\[40,30\] = (?:mul|square) \w+(?: \w+)?\n", text)
    assert len(made) == 1 + bool(others), text
    draw = np.random.default_rng(0).standard_normal
    check_engines(graph, draw((40, 30), np.float32), engine=XlaEngine())


# Special numbers


def on_every_pair(name: str) -> Iterable[Applied]:
    """The operation on every pair of special numbers of each type that it takes."""
    op = registered()[name]
    count = len(op.partials)
    assert op.coerce is not None
    for numbers in (np.array(SPECIAL, FLOAT32), np.array(SPECIAL), np.array(WHOLE)):
        try:
            types = op.coerce(*[numbers.dtype] * count)
        except DtypeError:
            continue
        if types[-1] == numbers.dtype:
            grid = [part.ravel() for part in np.meshgrid(*[numbers] * min(count, 2))]
            arrays = [x.astype(type_) for x, type_ in zip((grid * 2)[:count], types, strict=True)]
            yield (lambda leaves: intern(op, tuple(leaves), {})), arrays


@pytest.mark.parametrize("names", [ELEMENTWISE[first::8] for first in range(8)], ids=" ".join)
def test_special_numbers_go_the_same_way(names: list[str]) -> None:
    check(applied for name in names for applied in on_every_pair(name))


def test_a_power_that_reads_six_bits_of_the_exponent_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As JAX's own power of integers does."""
    monkeypatch.setitem(table.TABLE, "power", "power")
    with pytest.raises(AssertionError, match="xla differs"):
        check(on_every_pair("power"))


@pytest.mark.parametrize(
    ("index", "found"), [([-1, 3, 7], [30, 30, 30]), ([-4, -9, 0], [10, 10, 10])]
)
def test_places_outside_an_axis_are_moved_to_its_ends(index: Any, found: Any) -> None:
    """The only difference to the other engines, which raise IndexError."""
    x, places = cr.input((3,)), cr.input((3,), "int64")
    run = XlaEngine().compile(Graph((x, places), (cr.take(x, places),)))
    np.testing.assert_array_equal(run([np.array([10.0, 20.0, 30.0]), np.array(index)])[0], found)
