"""The chain rule on paper: every scalar of a graph, and every product that led to its gradient.

Each operation is taken apart into its elements. Which elements of a result depend on which of an
operand, and by which local derivative, is a list of *links*; the gradient of a scalar is the sum,
over the links that leave it, of what has arrived at their other end times their local derivative.
Everything is computed in float64 as a careful person would: a product is rounded once, and a sum
is exact before it is rounded once (Shewchuk 1997; ``math.fsum``), so that whoever adds the
printed numbers up, in any order and with enough digits, finds the printed total.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError
from chainrule.explain.passes import Passes, sent_back
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import topological_order
from chainrule.ops.build import input as placeholder
from chainrule.shapes import Array, fixed_shape, is_float

MOST_LINKS = 20_000  # products of a page: some megabytes

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Links:
    """The dependence of a result on one of its operands, element by element.

    Attributes
    ----------
    results, elements : (n,) intp
        Flat indices into the result and into the operand.
    slopes : (n,) float64 or None
        The local derivatives; None where the operand has none.
    """

    results: Indices
    elements: Indices
    slopes: Floats | None


@dataclass(frozen=True)
class Contribution:
    """What reaches a scalar through one element of one of its readers.

    Attributes
    ----------
    reader : Node
    result : int
        Flat index into the reader's value.
    operand : int
        Which operand of the reader the scalar belongs to.
    incoming, slope, product : float
        The gradient at the reader's element, the local derivative, and the one times the other.
    """

    reader: Node
    result: int
    operand: int
    incoming: float
    slope: float
    product: float


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """All scalars of a graph.

    Attributes
    ----------
    order : list of Node
        Operands before their users.
    values : dict of Node to array
    gradients : dict of Node to (size,) float64
        Of the nodes that the output has a derivative by.
    contributions : dict of Node to list of list of Contribution
        For each element of a node, in the order of its readers.
    sources : dict of Node to list of dict of int to list of int
        For each operand and each element of a result, the elements that it was computed from.
    output : Node
        What all gradients are derivatives of.
    """

    order: list[Node]
    values: Mapping[Node, Array]
    gradients: Mapping[Node, Floats]
    contributions: Mapping[Node, list[list[Contribution]]]
    sources: Mapping[Node, list[dict[int, list[int]]]]
    output: Node


def arithmetic(book: Passes, inside: Collection[Node] | None = None) -> Arithmetic:
    """Take a graph, or a part of it, apart into scalars, forwards and backwards.

    Of a part, the values that it reads and the gradients that arrive at its readers are given:
    they are the engine's.

    Parameters
    ----------
    book : Passes
    inside : collection of Node, optional
        The part; by default all nodes.

    Raises
    ------
    ParameterError
        If there are more than MOST_LINKS links.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.explain.passes import passes
    >>> x = cr.variable([1.0, 2.0], name="x")
    >>> found = arithmetic(passes(cr.sum(x * x)))
    >>> [(each.incoming, each.slope, each.product) for each in found.contributions[x][1]]
    [(1.0, 2.0, 2.0), (1.0, 2.0, 2.0)]
    >>> found.gradients[x]
    array([2., 4.])
    """
    part = dict.fromkeys(book.order if inside is None else inside)
    order = [x for x in book.order if x in part or not part.keys().isdisjoint(x.operands)]
    _require_few(order)
    given = {x: book.values[x] for node in order for x in node.operands if x not in part}
    values = _walked(order, given | {leaf: book.values[leaf] for leaf in _leaves(order)})
    links = {node: _links(node, values) for node in order if node.operands}
    arrived: dict[Node, list[list[Contribution]]] = {
        node: [[] for _ in range(values[node].size)] for node in book.gradients if node in part
    }
    gradients: dict[Node, Floats] = {
        node: np.asarray(book.gradients[node], np.float64).ravel()
        for node in order
        if node in book.gradients and node not in part
    }
    for node in reversed(order):
        if node in arrived:
            gradients[node] = _totals(arrived[node], is_output=node is book.order[-1])
        if node in gradients:
            for place, operand in enumerate(node.operands):
                if operand in arrived:
                    _send(node, place, links[node][place], gradients[node], arrived[operand])
    sources = {node: [_by_result(each) for each in found] for node, found in links.items()}
    return Arithmetic(order, values, gradients, arrived, sources, book.order[-1])


def exact_sum(numbers: Sequence[float]) -> float:
    """The sum, rounded once; as IEEE arithmetic has it where a number is not finite.

    >>> exact_sum([1e16, 1.0, -1e16]), exact_sum([math.inf, 1.0])
    (1.0, inf)
    """
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        with np.errstate(all="ignore"):
            return float(np.sum(numbers))


def _totals(arrived: list[list[Contribution]], *, is_output: bool) -> Floats:
    if is_output:
        return np.ones(1)
    return np.array([exact_sum([each.product for each in ways]) for ways in arrived])


def _send(
    node: Node, place: int, links: Links, gradient: Floats, arrived: list[list[Contribution]]
) -> None:
    """Enter what a node sends back to one operand."""
    if links.slopes is None:
        return
    for result, element, slope in zip(
        links.results.tolist(), links.elements.tolist(), links.slopes.tolist(), strict=True
    ):
        incoming = float(gradient[result])
        found = Contribution(node, result, place, incoming, slope, incoming * slope)
        arrived[element].append(found)


def _by_result(links: Links) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for result, element in zip(links.results.tolist(), links.elements.tolist(), strict=True):
        found.setdefault(result, []).append(element)
    return found


# ---------------------------------------------------------------------------- size


def _require_few(order: Sequence[Node]) -> None:
    """Refuse a graph with too many links before any is made."""
    count = sum(_link_count(node) for node in order)
    if count > MOST_LINKS:
        raise ParameterError(
            f"a ledger of this graph has {count:,} products, more than the {MOST_LINKS:,} that a"
            " page can hold; take fewer rows or smaller layers, or draw it with explain.circuit"
        )


def _link_count(node: Node) -> int:
    """An upper bound of the links of a node."""
    size, sizes = _size(node), [_size(operand) for operand in node.operands]
    if node.op.kind in (Kind.ELEMENTWISE, Kind.MOVEMENT, Kind.LEAF):
        return size * len(sizes)
    if node.op.kind is Kind.CONTRACTION:
        return 2 * size * _shape(node.operands[0])[-1]
    return size * sum(sizes)


def _shape(node: Node) -> tuple[int, ...]:
    return fixed_shape(node.shape)


def _size(node: Node) -> int:
    return int(np.prod(_shape(node), dtype=np.int64))


# ---------------------------------------------------------------------------- values


def _leaves(order: Sequence[Node]) -> list[Node]:
    return [node for node in order if not node.operands]


def _walked(order: Sequence[Node], known: Mapping[Node, Array]) -> dict[Node, Array]:
    """The value of every node, real numbers in float64, products summed exactly."""
    values = dict(known)
    for node in order:
        if node not in values:
            values[node] = _value(node, [values[operand] for operand in node.operands])
        if is_float(node.dtype):
            values[node] = np.asarray(values[node], np.float64)
    return values


def _value(node: Node, operands: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        if node.op.kind is Kind.CONTRACTION:
            return _summed(np.multiply(*_pairs(*operands)), -2).reshape(_shape(node))
        if node.op.name == "sum" and is_float(node.dtype):
            axes = tuple(node.attributes["axes"])
            ahead = np.moveaxis(operands[0], axes, range(len(axes)))
            flat = ahead.reshape(-1, *ahead.shape[len(axes) :])
            return _summed(flat, 0).reshape(_shape(node))
        if node.op.kind is Kind.LEAF and node.payload is not None:
            return node.payload
        return np.asarray(node.op.numpy(*operands, **node.attributes))


def _summed(terms: Array, axis: int) -> Array:
    columns = np.moveaxis(terms, axis, -1)
    rows = columns.reshape(-1, columns.shape[-1]).tolist()
    return np.array([exact_sum(row) for row in rows], np.float64)


def _pairs(left: Array, right: Array) -> tuple[Array, Array]:
    """The factors of all products of ``left @ right``: (..., i, k, j) each; sum over k."""
    rows = left[None] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    factors = np.broadcast_arrays(rows[..., :, :, None], columns[..., None, :, :])
    return factors[0], factors[1]


# ---------------------------------------------------------------------------- links


def _links(node: Node, values: Mapping[Node, Array]) -> list[Links]:
    """The links of a node to each of its operands."""
    if node.op.kind is Kind.CONTRACTION:
        return _links_of_product(node, values)
    if node.op.kind is Kind.MOVEMENT:
        return _links_of_movement(node)
    if node.op.kind is Kind.ELEMENTWISE:
        return _links_of_elementwise(node, values)
    return _probed(node, values)


def _numbered(node: Node, start: int = 0) -> Array:
    """The flat index of each element, in the node's shape."""
    return np.arange(start, start + _size(node)).reshape(_shape(node))


def _links_of_product(node: Node, values: Mapping[Node, Array]) -> list[Links]:
    """Of ``a @ b``: the derivative by an element of a is the one of b that it is multiplied by."""
    left, right = node.operands
    numbers = _pairs(_numbered(left), _numbered(right))
    factors = _pairs(values[left], values[right])
    shape = numbers[0].shape
    each = np.arange(_size(node)).reshape(*shape[:-2], 1, shape[-1])
    results = np.broadcast_to(each, shape).ravel()
    return [
        Links(results, numbers[place].ravel(), factors[1 - place].ravel().astype(np.float64))
        for place in (0, 1)
    ]


def _links_of_movement(node: Node) -> list[Links]:
    """Elements that only change places: numbers from 1 on are moved in their stead."""
    starts = np.cumsum([1, *(_size(operand) for operand in node.operands)])
    moved = node.op.numpy(
        *[_numbered(operand, int(first)) for operand, first in zip(node.operands, starts[:-1],
                                                                   strict=True)],
        **node.attributes,
    ).ravel()  # fmt: skip
    found = []
    for operand, first in zip(node.operands, starts[:-1], strict=True):
        results = np.flatnonzero((moved >= first) & (moved < first + _size(operand)))
        slopes = np.ones(len(results)) if is_float(operand.dtype) else None
        found.append(Links(results, moved[results] - first, slopes))
    return found


def _links_of_elementwise(node: Node, values: Mapping[Node, Array]) -> list[Links]:
    ones = placeholder(node.shape, node.dtype)
    unit = {ones: np.ones(_shape(node))}
    results = np.arange(_size(node))
    found = []
    for place, operand in enumerate(node.operands):
        elements = np.broadcast_to(_numbered(operand), _shape(node)).ravel()
        slope = local_derivative(node, place, ones) if is_float(node.dtype) else None
        known = {**unit, node: values[node], **{x: values[x] for x in node.operands}}
        slopes = None if slope is None else _evaluated(slope, known)
        if slopes is not None:
            slopes = np.broadcast_to(slopes, _shape(node)).ravel()
        found.append(Links(results, elements, slopes))
    return found


def local_derivative(node: Node, place: int, ones: Node) -> Node | None:
    """The derivative of an elementwise node by one operand; None where there is none.

    Parameters
    ----------
    node : Node
    place : int
        Which operand.
    ones : Node
        A placeholder for ones of the node's type: derivatives that are plain numbers are filled
        in its shape.
    """
    if not is_float(node.operands[place].dtype):
        return None
    if node.op.vjp is not None:
        found = node.op.vjp(ones, node, *node.operands, **node.attributes)[place]
        return None if found is None else found
    partial = node.op.partials[place]
    if partial is None:
        return None
    return partial(node, *node.operands) if callable(partial) else ones * partial


def _probed(node: Node, values: Mapping[Node, Array]) -> list[Links]:
    """Any other operation, asked for one element of its result after the other."""
    seed = placeholder(node.shape, node.dtype)
    shares = sent_back(node, seed) if is_float(node.dtype) else [None] * len(node.operands)
    known = {node: values[node], **{x: values[x] for x in node.operands}}
    rows: list[list[Any]] = [[] for _ in node.operands]
    for result in range(_size(node)):
        unit = np.zeros(_size(node))
        unit[result] = 1.0
        for place, share in enumerate(shares):
            if share is not None:
                slopes = _evaluated(share, {**known, seed: unit.reshape(_shape(node))}).ravel()
                elements = np.flatnonzero(slopes)
                rows[place] += zip(
                    [result] * len(elements), elements, slopes[elements], strict=True
                )
    return [_as_links(found, share) for found, share in zip(rows, shares, strict=True)]


def _as_links(rows: Sequence[tuple[int, int, float]], share: Node | None) -> Links:
    results, elements, slopes = zip(*rows, strict=True) if rows else ((), (), ())
    return Links(
        np.array(results, np.intp),
        np.array(elements, np.intp),
        None if share is None else np.array(slopes, np.float64),
    )


def _evaluated(node: Node, known: Mapping[Node, Array]) -> Array:
    """The value of a node from those of the nodes in front of it."""
    return _walked(topological_order([node], known), known)[node]
