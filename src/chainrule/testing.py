"""Public checkers: derivatives against finite differences, engines against the reference.

Both raise ``AssertionError`` with the numbers, so that they stand in tests as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.engines.base import Engine
from chainrule.engines.registry import get_engine
from chainrule.errors import ParameterError
from chainrule.graph.graph import Graph, is_free
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.graph.tree import flatten
from chainrule.ops import elementwise as ew
from chainrule.ops.build import as_node, constant, input, placeholder
from chainrule.ops.functions import identity
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import (
    FLOAT32,
    FLOAT64,
    Array,
    Dtype,
    TensorType,
    as_array,
    fixed_shape,
    is_float,
)
from chainrule.transforms.gradient import adjoints
from chainrule.transforms.simplify import simplify_graph

__all__ = ["check_engines", "check_gradients"]

# Five points (Abramowitz and Stegun 1972, 25.3.6): f'(x) is the sum of weight * f(x + offset * h),
# divided by h, with an error of h**4 / 30 times the fifth derivative.
STEP = 1e-3
STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
ROUNDING = 1e-11  # of the function's values, after division by STEP


def check_gradients(
    fn: Callable[..., Any],
    *arrays: npt.ArrayLike,
    order: int = 2,
    directions: int = 2,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> None:
    """Check derivatives of ``fn`` by its real arguments against finite differences, in float64.

    The result is made a number with random weights, and differentiated along random directions;
    the derivative along a direction is itself such a function, and is checked in the same way,
    up to ``order``. Where chainrule finds no derivative, the finite difference must be 0.

    Parameters
    ----------
    fn : callable
        Takes expressions, returns one of real numbers. It must be smooth around the arguments.
    *arrays : array_like
        Real arguments are differentiated by; integers and truth values are passed as constants.
    order : int
        The highest derivative that is checked.
    directions : int
        How many random directions are tried.
    tolerance : float
        The largest error, relative to the sum of the sizes of the derivative's terms.
    seed : int
        Of weights and directions.

    Raises
    ------
    AssertionError
        With both numbers, for the first derivative that is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> check_gradients(lambda x, w: cr.tanh(x @ w), [[0.5, -1.0]], [[0.3], [0.2]])
    >>> check_gradients(cr.stop_gradient, 2.0)
    Traceback (most recent call last):
    ...
    AssertionError: derivative of order 1 in direction 0: chainrule gives 0.0, ...
    """
    values = [as_array(each) for each in arrays]
    leaves = [_leaf(value, FLOAT64) for value in values]
    point = {x: v for x, v in zip(leaves, values, strict=True) if x.payload is None}
    output = as_node(fn(*leaves))
    for direction in range(directions):
        generator = np.random.default_rng([seed, direction])
        number = _weighted_sum([(output, generator.uniform(0.5, 1.5, fixed_shape(output.shape)))])
        for level in range(1, order + 1):
            along = {x: generator.standard_normal(value.shape) for x, value in point.items()}
            found = adjoints(number, list(point))
            terms = [
                (d, along[x]) for x, d in zip(point, found, strict=True) if isinstance(d, Node)
            ]
            what = f"derivative of order {level} in direction {direction}"
            derivative = _weighted_sum(terms)
            _compare(
                what, number, derivative, _weighted_sum(terms, ew.abs), point, along, tolerance
            )
            number = derivative


def _leaf(value: Array, dtype: Dtype) -> Node:
    return input(value.shape, dtype) if is_float(value.dtype) else constant(value)


def _weighted_sum(
    terms: Sequence[tuple[Node, Array]], form: Callable[[Node], Any] = identity
) -> Node:
    """The sum of all products of a node's elements with those of its array."""
    total: Any = constant(0.0)
    for node, array in terms:
        total = total + reduce_sum(form(ew.multiply(node, constant(array))))
    return as_node(total)


def _compare(
    what: str,
    number: Node,
    derivative: Node,
    size: Node,
    point: Mapping[Node, Array],
    along: Mapping[Node, Array],
    tolerance: float,
) -> None:
    """Compare a number's derivative along a direction with a finite difference."""
    graph = Graph(tuple(point), (number, derivative, size))
    run = get_engine("reference").compile(graph)

    def at(offset: float) -> tuple[float, float, float]:
        moved = [value + offset * STEP * along[x] for x, value in point.items()]
        value, slope, scale = (float(each) for each in run(moved))
        return value, slope, scale

    value, exact, scale = at(0)
    difference = sum(weight * at(offset)[0] for offset, weight in STENCIL) / STEP
    allowed = tolerance * scale + ROUNDING * abs(value)
    if not abs(difference - exact) <= allowed:
        raise AssertionError(
            f"{what}: chainrule gives {exact}, finite differences give {difference},"
            f" which differ by more than {allowed:.3g}"
        )


def check_engines(
    function: Callable[..., Any] | Graph,
    *arrays: npt.ArrayLike,
    engine: str | Engine | None = None,
    eps: int = 16,
) -> None:
    """Check that an engine computes what the reference engine does.

    The simplified graph is run by both, and by the reference engine once more in the other
    precision (float64 for float32, float32 for float64), which tells how much rounding costs
    there. An element may differ by 4 times that cost, or by ``eps`` units in its last place, or
    by the smallest normal number, whichever is most. Integers, truth values, infinities and NaN
    must agree.

    Parameters
    ----------
    function : callable or Graph
        A function of expressions, or a graph with one array for each input.
    *arrays : array_like
    engine : str or Engine, optional
        The fastest one that is installed by default.
    eps : int
        Units in the last place that are allowed in any case.

    Raises
    ------
    AssertionError
        Naming the output and the largest difference.
    ParameterError
        If the engine is the reference itself: there is nothing to compare.

    Examples
    --------
    >>> check_engines(lambda x: x * x, [1.0, 2.0], engine="reference")
    Traceback (most recent call last):
    ...
    chainrule.errors.ParameterError: the reference engine cannot be checked against itself; ...
    """
    other = get_engine(engine) if engine is None or isinstance(engine, str) else engine
    reference = get_engine("reference")
    if other is reference:
        raise ParameterError(
            "the reference engine cannot be checked against itself; name another engine"
        )
    values = [as_array(each) for each in arrays]
    graph = simplify_graph(function if isinstance(function, Graph) else _traced(function, values))
    expected = reference.compile(graph)(values)
    cost = _rounding_cost(graph, values, expected)
    for place, (found, wanted) in enumerate(
        zip(other.compile(graph)(values), expected, strict=True)
    ):
        _compare_arrays(f"output {place} of {other.name}", found, wanted, cost[place], eps)


def _traced(function: Callable[..., Any], values: Sequence[Array]) -> Graph:
    leaves = tuple(input(value.shape, value.dtype) for value in values)
    outputs = flatten(function(*leaves))
    return Graph(leaves, tuple(as_node(output) for output in outputs))


_OTHER: dict[Dtype, Dtype] = {FLOAT32: FLOAT64, FLOAT64: FLOAT32}


def _rounding_cost(graph: Graph, values: Sequence[Array], expected: Sequence[Array]) -> list[float]:
    """For each output the error that rounding makes in the reference engine, at most."""
    swapped = in_other_precision(graph)
    moved = [value.astype(_OTHER.get(value.dtype, value.dtype)) for value in values]
    with np.errstate(over="ignore"):
        results = get_engine("reference").compile(swapped)(moved)
    return [
        _largest_difference(result, wanted) * min(1.0, _ratio(wanted.dtype, result.dtype))
        for result, wanted in zip(results, expected, strict=True)
    ]


def _ratio(dtype: Dtype, other: Dtype) -> float:
    if not is_float(dtype) or not is_float(other):
        return 0.0
    return float(np.finfo(dtype).eps) / float(np.finfo(other).eps)


def _largest_difference(a: Array, b: Array) -> float:
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.subtract(a, b, dtype=np.float64))
    return float(np.max(difference, where=np.isfinite(difference), initial=0.0))


def in_other_precision(graph: Graph) -> Graph:
    """``graph`` with float64 for float32, and float32 for float64, in all its nodes."""
    done: dict[Node, Node] = {}
    for node in graph.nodes:
        operands = tuple([done[operand] for operand in node.operands])
        done[node] = _in_other_precision(node, operands)
    for node in graph.inputs:
        done.setdefault(node, _in_other_precision(node, ()))
    inputs, outputs = (tuple(done[node] for node in ends) for ends in (graph.inputs, graph.outputs))
    return Graph(inputs, outputs)


def _in_other_precision(node: Node, operands: tuple[Node, ...]) -> Node:
    dtype = _OTHER.get(node.dtype, node.dtype)
    if node.payload is not None:
        with np.errstate(over="ignore"):
            return constant(node.payload.astype(dtype))
    if is_free(node):
        return placeholder(TensorType(dtype, node.shape))
    attributes = {key: _other_attribute(value) for key, value in node.attributes.items()}
    type_ = TensorType(dtype, node.shape) if node.op.kind is Kind.LEAF else None
    return intern(node.op, operands, attributes, type_)


def _other_attribute(value: Any) -> Any:
    return _OTHER.get(value, value) if isinstance(value, np.dtype) else value


def _compare_arrays(what: str, found: Array, wanted: Array, cost: float, eps: int) -> None:
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
        raise AssertionError(
            f"{what} has type {found.dtype}{found.shape},"
            f" and the reference engine gives {wanted.dtype}{wanted.shape}"
        )
    if not is_float(wanted.dtype):
        wrong = found != wanted
    else:
        limits = np.finfo(wanted.dtype)
        allowed = np.maximum(np.abs(wanted) * (eps * limits.eps), max(4 * cost, limits.tiny))
        with np.errstate(invalid="ignore"):
            near = np.abs(found - wanted) <= allowed
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        wrong = ~np.where(np.isfinite(wanted) & np.isfinite(found), near, same)
    if np.any(wrong):
        raise AssertionError(
            f"{what} differs in {np.count_nonzero(wrong)} of {wrong.size} elements: the first is"
            f" {found[wrong].flat[0]}, and the reference engine gives {wanted[wrong].flat[0]}"
        )
