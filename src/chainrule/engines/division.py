"""How devices divide a training: among how many its units are, and along which axis each matrix.

Two layers in a row need one message: the first matrix is divided by columns, so that each device
has some of the units between them, and the second by rows, so that each adds what its units
contribute (Shoeybi et al. 2019, "Megatron-LM: Training multi-billion parameter language models
using model parallelism", section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from chainrule.engines.base import Program
from chainrule.engines.choice import choice_of
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import ROWS, bind_rows, fixed_shape

FEWER: Final = 8  # times fewer outputs than inputs are not worth a message
LINK: Final = 1e10  # bytes a second from a device to the next one
LATENCY: Final = 2e-5  # seconds a message
MANY_BYTES: Final = 2**20  # of gradients; to send fewer takes no time that is worth another way
WORTH: Final = 0.75  # of the time that gradients take: sums of units never run beside products
SPARE: Final = 1.125  # times the operations: products that are not divided are done by all
ROW, COLUMN = -2, -1


def seconds_of_sum(nbytes: float, devices: int) -> float:
    """How long devices take to add arrays of theirs in a ring, so that each has the sum.

    Of its bytes each sends 2 (devices - 1) / devices, in 2 (devices - 1) messages (Patarasuk and
    Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations", section 3).

    Parameters
    ----------
    nbytes : float
        Of the arrays of one device.
    devices : int

    Examples
    --------
    >>> seconds_of_sum(1e10, 2), seconds_of_sum(1e10, 1)
    (1.00004, 0.0)
    """
    return 2 * (devices - 1) * (nbytes / devices / LINK + LATENCY)


def chosen_units(program: Program, devices: int) -> int:
    """Among how many devices of a group units are divided, and rows among the groups.

    Parameters
    ----------
    program : Program
    devices : int

    Returns
    -------
    int
        A divisor of ``devices``: the one with which the sums of a step are expected to take least
        time. 1 where gradients are small, or are sent in few steps, as accumulated ones are.
    """
    if devices == 1 or choice_of(program.step).results:
        return 1
    work = _work(program.step, program.carried, program.batch)
    if sum(x.nbytes for x in work.sums) < MANY_BYTES:
        return 1
    divisors = [units for units in range(2, devices + 1) if devices % units == 0]
    seconds = {x: work.seconds(devices // x, x) for x in divisors if work.divides_by(x)}
    best = min(seconds, key=lambda units: seconds[units], default=1)
    return best if seconds.get(best, math.inf) < WORTH * work.seconds(devices, 1) else 1


class _Sum(NamedTuple):
    """Numbers that devices add, and whether each has those of its own units only."""

    nbytes: int
    divided: bool


class _Work(NamedTuple):
    """What devices do in a step.

    Attributes
    ----------
    products : dict
        Numbers multiplied and added in products whose units are divided, and in the others.
    sums : list of _Sum
        Over the rows: gradients, for the most part.
    layers : list of int
        Bytes of each array that is added, or put together, over divided units; all rows of it.
    lengths : list of int
        Of the axes that are divided.
    """

    products: dict[bool, int]
    sums: list[_Sum]
    layers: list[int]
    lengths: list[int]

    def divides_by(self, units: int) -> bool:
        """Whether all that is divided can be, and hardly anything is left to each device."""
        alone, together = self.products[False], self.products[True]
        fits = all(length % units == 0 for length in self.lengths)
        return fits and units * alone + together <= SPARE * (alone + together)

    def seconds(self, groups: int, units: int) -> float:
        """The time of the sums, with so many groups of devices that have some of the rows each."""
        summed = sum(x.nbytes / (units if x.divided else 1) for x in self.sums)
        told = sum(seconds_of_sum(nbytes / groups, units) for nbytes in self.layers)
        return seconds_of_sum(summed, groups) + told


def _work(step: Graph, carried: int, batch: int) -> _Work:
    alike = _alike(step, carried)
    inputs = {alike[node]: node for node in step.inputs[:carried]}
    ways, alone = _ways(step, alike, inputs.keys())
    lengths = [_length(inputs[x], axis) for x, axis in ways.items() if axis is not None]
    found = _Work({True: 0, False: 0}, [], [], lengths)
    for node in step.nodes:
        numbers = math.prod(_bound(node, batch))
        nbytes = numbers * node.dtype.itemsize
        if ROWS not in node.shape and any(ROWS in x.shape for x in node.operands):
            found.sums.append(_Sum(nbytes, ways.get(alike[node]) is not None))
        matrix = _matrix(node, alike)
        if matrix in inputs:
            way = ways.get(matrix)
            found.products[way is not None] += numbers * _contracted(node, batch)
            if ROWS in node.shape and _is_told(node, way, matrix in alone):
                found.layers.append(nbytes)
    return found


def _matrix(node: Node, alike: Mapping[Node, Node]) -> Node | None:
    """What stands for the matrix that a product multiplies by, or whose gradient it is."""
    if node.op.name != "matmul":
        return None
    return alike[node.operands[1] if ROWS in node.shape else node]


def _is_told(product: Node, way: int | None, alone: bool) -> bool:
    """Whether the devices that a matrix is divided among have to put this product together."""
    if product.attributes["transpose_b"]:
        return way == COLUMN
    return way == ROW or alone


def _contracted(product: Node, batch: int) -> int:
    """How many numbers are multiplied and added for each number of a product."""
    shape = _bound(product.operands[0], batch)
    return shape[ROW if product.attributes["transpose_a"] else COLUMN]


def _bound(node: Node, batch: int) -> tuple[int, ...]:
    return fixed_shape(bind_rows(node.shape, batch))


def divided_axes(step: Graph, carried: int) -> list[tuple[tuple[int, ...], int | None]]:
    """Shape and axis of each carried value, counted from the end; None for what stays whole.

    Parameters
    ----------
    step : Graph
        Whose first ``carried`` outputs are the first inputs of the next step.
    carried : int

    Returns
    -------
    list of (tuple of int, int or None)
        The axis is the same for a matrix and all that is added to it or kept for it: moments of an
        optimizer.
    """
    alike = _alike(step, carried)
    inputs = {x: fixed_shape(x.shape) for x in step.inputs[:carried]}
    ways, _ = _ways(step, alike, {alike[node] for node in inputs})
    other = {x: COLUMN if len(shape) > 1 else None for x, shape in inputs.items()}
    return [(shape, ways.get(alike[x], other[x])) for x, shape in inputs.items()]


def _alike(step: Graph, carried: int) -> dict[Node, Node]:
    """For each node one that stands for all that it meets element by element, step after step."""
    found = {node: node for node in [*step.inputs, *step.nodes]}

    def first(node: Node) -> Node:
        while found[node] is not node:
            node = found[node]
        return node

    pairs = list(zip(step.inputs[:carried], step.outputs[:carried], strict=True))
    for node in step.nodes:
        if node.op.kind is Kind.ELEMENTWISE and ROWS not in node.shape:
            pairs += [(node, operand) for operand in node.operands if operand.shape == node.shape]
    for one, other in pairs:
        found[first(one)] = first(other)
    return {node: first(node) for node in found}


def _ways(
    step: Graph, alike: Mapping[Node, Node], carried: Set[Node]
) -> tuple[dict[Node, int | None], Set[Node]]:
    """How matrices are divided: by columns, and by rows where the units before them are divided.

    Vectors that belong to such units, as biases do, are divided as they are. Beside that the
    matrices that are divided by columns, and that none by rows follows.
    """
    ways: dict[Node, int | None] = {}
    divided: dict[Node, Node] = {}  # values of units, and the matrix that they come from
    vectors: dict[Node, Node] = {}
    alone: dict[Node, None] = {}  # matrices by columns, until one by rows follows
    for node in step.nodes:
        if node.op.kind is Kind.ELEMENTWISE:
            before = [divided[x] for x in node.operands if x in divided and x.shape == node.shape]
            if before:
                divided[node] = before[0]
                shared = [alike[x] for x in node.operands if len(x.shape) == 1]
                vectors |= dict.fromkeys([x for x in shared if x in carried], before[0])
        elif node.op.name == "matmul" and not node.attributes["transpose_b"]:
            units, matrix = node.operands[0], alike[node.operands[1]]
            if matrix not in carried or matrix in ways:
                continue
            if units in divided:
                ways[matrix] = ROW
                alone.pop(divided[units], None)
            else:
                ways[matrix] = COLUMN
                divided[node], alone[matrix] = matrix, None
    short = [x for x in alone if _length(x, COLUMN) * FEWER <= _length(x, ROW)]
    ways |= dict.fromkeys(short)
    ways |= {vector: ways[matrix] for vector, matrix in vectors.items()}
    return ways, alone.keys() - set(short)


def _length(matrix: Node, axis: int) -> int:
    return fixed_shape(matrix.shape)[axis]
