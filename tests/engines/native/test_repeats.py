"""Groups of equal code stand once: deep networks have the code of shallow ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.native import repeats
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.target import TARGETS
from chainrule.engines.native.writing import write_graph
from chainrule.graph.graph import Graph
from chainrule.shapes import Array
from chainrule.testing import check_engines


def deep(layers: int, factors: tuple[float, ...] = (2.0,), width: int = 12) -> Graph:
    """relu(factor * x w + b) again and again."""
    x: Any = cr.input((cr.ROWS, width))
    inputs = [x]
    for number in range(layers):
        w, b = cr.input((width, width)), cr.input((width,))
        inputs += [w, b]
        x = cr.relu(factors[number % len(factors)] * (x @ w) + b)
    return Graph(tuple(inputs), (x,))


def values(graph: Graph) -> list[Array]:
    generator = np.random.default_rng(0)
    shapes = [tuple(7 if e is cr.ROWS else int(e) for e in x.shape) for x in graph.inputs]
    return [generator.standard_normal(shape) * 0.3 for shape in shapes]


def text(graph: Graph) -> str:
    return "\n".join(write_graph(graph, TARGETS["avx2"]).texts)


@pytest.mark.parametrize("factors", [(2.0,), (2.0, 3.0), (2.0, 3.0, -0.5)])
def test_layers_of_one_shape_agree_with_the_reference(factors: tuple[float, ...]) -> None:
    graph = deep(9, factors)
    check_engines(graph, *values(graph), engine=NativeEngine())


def test_the_code_of_a_layer_stands_once() -> None:
    long, longer = text(deep(6)), text(deep(24))
    assert long.count("define internal void @group_") == longer.count(
        "define internal void @group_"
    )
    assert longer.count("@group_1") == 1 + 24  # where it stands, and calls, in a phase
    assert len(longer) < 2 * len(long)


def test_groups_that_differ_in_a_number_have_code_of_their_own() -> None:
    assert text(deep(8, (2.0, 3.0))).count("define internal void @group_") == 1 + 2  # in a phase


def test_shallow_networks_make_no_calls() -> None:
    assert "call void @group_" not in text(deep(2))


def test_groups_read_through_different_views() -> None:
    """Equal operations on a matrix as it lies, turned, and reversed."""
    a, b = cr.input((8, 8)), cr.input((8, 8))
    views = [a, cr.matrix_transpose(a), cr.flip(a, axis=0), b, cr.matrix_transpose(b)]
    graph = Graph((a, b), tuple(cr.cumulative_sum(cr.exp(x) * 2.0, axis=0) for x in views))
    check_engines(graph, *values(graph), engine=NativeEngine())


def test_a_key_that_forgets_numbers_is_caught(
    monkeypatch: pytest.MonkeyPatch, no_old_code: None
) -> None:
    """The planted defect: layers that differ in a factor share code."""
    whole = repeats.Pattern._operand_key
    monkeypatch.setattr(repeats.Pattern, "_operand_key", lambda self, x: whole(self, x)[:-1])
    graph = deep(8, (2.0, 3.0))
    with pytest.raises(AssertionError, match="native"):
        check_engines(graph, *values(graph), engine=NativeEngine())
