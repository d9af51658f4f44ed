"""Law 7: no walk recurses, and the work grows no faster than the graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.registry import get_engine
from chainrule.graph.graph import Graph, close
from chainrule.graph.node import Node
from chainrule.graph.text import parse_graph, print_graph
from chainrule.graph.verify import verify
from chainrule.graph.walk import substitute, topological_order
from chainrule.transforms import batch, simplify
from chainrule.transforms.jvp import jvp

DEEP = 100_000


@contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def chain(x: Node, length: int) -> Node:
    """sin(x) * 1.0001 + 0.01 again and again: ``length`` operations."""
    for place in range(length):
        x = cr.sin(x) if place % 3 == 0 else x * 1.0001 if place % 3 == 1 else x + 0.01
    return x


WALKS: dict[str, Callable[[Node, Node], object]] = {
    "order": lambda x, y: topological_order([y]),
    "gradient": lambda x, y: cr.gradient(y, [x]),
    "jvp": lambda x, y: jvp([y], {x: cr.input((), name="t")}),
    "simplify": lambda x, y: simplify([y]),
    "batch": lambda x, y: batch([y], {x: cr.input((2,))}),
    "substitute": lambda x, y: substitute([y], {x: cr.input(())}),
    "verify": lambda x, y: verify(close([y])),
    "text": lambda x, y: parse_graph(*print_graph(close([y]))),
    "evaluate": lambda x, y: get_engine("reference").compile(close([y]))([np.array(0.5)]),
}


@pytest.mark.parametrize("name", WALKS)
def test_no_walk_recurses(name: str) -> None:
    x = cr.input(())
    y = chain(x, 3_000)
    with recursion_limit(sum(1 for _ in _frames()) + 150):
        WALKS[name](x, y)


def _frames() -> Iterator[object]:
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def test_a_walk_that_recurses_is_caught() -> None:
    def depth(node: Node) -> int:
        return 1 + max(map(depth, node.operands), default=0)

    with recursion_limit(sum(1 for _ in _frames()) + 150), pytest.raises(RecursionError):
        depth(chain(cr.input(()), 3_000))


@pytest.mark.slow
def test_a_chain_of_100_000_operations() -> None:
    """Built, differentiated, simplified, evaluated and let go without recursion."""
    x = cr.input(())
    y = chain(x, DEEP)
    (slope,) = cr.gradient(y, [x])
    simple = simplify([y, slope])
    found = get_engine("reference").compile(Graph((x,), tuple(simple)))([np.array(0.5)])
    assert np.isfinite(found).all()
    assert len(topological_order([y])) >= DEEP
    del y, slope, simple


def visits(length: int) -> int:
    """How many calls it takes to build, differentiate and simplify a chain."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    x = cr.input(())
    sys.setprofile(profile)
    try:
        y = chain(x, length)
        simplify(cr.gradient(y, [x]))
    finally:
        sys.setprofile(None)
    return count


def test_the_work_is_linear_in_the_length_of_a_chain() -> None:
    assert visits(2_000) < 2.5 * visits(1_000)


def test_quadratic_work_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = import_module("chainrule.transforms.gradient")

    def quadratic(node: Node, *arguments: object) -> object:
        topological_order([node])
        return contributions(node, *arguments)

    contributions = gradient.contributions
    monkeypatch.setattr(gradient, "contributions", quadratic)
    assert visits(600) > 2.5 * visits(300)
