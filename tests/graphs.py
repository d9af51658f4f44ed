"""Random graphs, for laws about passes and engines.

Graphs keep a margin: what compares, rounds, sorts or chooses reads values that are far from a tie,
so that engines which differ in the last bits still take the same side. That is so because such an
operation reads integers, or leaves whose elements are far apart, never computed reals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.shapes import BOOL, Array, Dtype

Generator = np.random.Generator
SHAPES = [(), (1,), (3,), (4, 3), (1, 3), (4, 1), (2, 4, 3), (0, 3), (1, 1)]

# All bounded, or growing slowly, on everything that a graph may hold.
UNARY = (
    "tanh sigmoid softplus relu abs negative sin cos erf atan asinh exp_small log_positive "
    "sqrt_positive log1p_positive sign_of_leaf floor_of_leaf square softmax logsumexp_kept "
    "cumulative_sum silu expm1_small"
).split()
BINARY = "add subtract multiply divide_safe maximum_of_leaf hypot logaddexp where_leaf".split()
SHAPING = "sum mean max_of_leaf transpose reshape flip pad slice concat broadcast prod".split()


@dataclass
class RandomGraph:
    """A graph and values for its inputs."""

    graph: Graph
    values: list[Array]


class _Builder:
    def __init__(self, generator: Generator, dtype: Dtype) -> None:
        self.generator = generator
        self.dtype = dtype
        self.leaves: dict[Node, Array] = {}
        self.nodes: list[Node] = []

    def leaf(self, shape: tuple[int, ...]) -> Node:
        size = int(np.prod(shape))
        # far from each other, from whole numbers and from 0
        values = self.generator.choice(np.arange(-30, 30), size, replace=False) * 0.1 + 0.05
        node = cr.input(shape, self.dtype)
        self.leaves[node] = values.reshape(shape).astype(self.dtype)
        return node

    def pick(self) -> Node:
        return self.nodes[self.generator.integers(len(self.nodes))]

    def fitting(self, x: Node) -> Node:
        """A node that broadcasts with ``x``: another one, a leaf, or a number."""
        for node in self.generator.permutation(np.arange(len(self.nodes)))[:5]:
            if _broadcast(self.nodes[node].shape, x.shape):
                return self.nodes[node]
        return cr.constant(self.generator.choice([0.0, 1.0, -1.0, 2.0, 0.5, -0.0]), self.dtype)

    def grow(self) -> None:
        name = str(self.generator.choice([*UNARY, *BINARY, *SHAPING]))
        made = getattr(self, f"_{name}", None)
        x = self.pick()
        if made is not None:
            node = made(x)
        elif name in BINARY:
            node = getattr(cr, name)(x, self.fitting(x))
        else:
            node = getattr(cr, name)(x)
        if _size(node) <= 200:
            self.nodes.append(node)

    # operations that need care with their operands

    def _exp_small(self, x: Node) -> Any:
        return cr.exp(cr.tanh(x))

    def _expm1_small(self, x: Node) -> Any:
        return cr.exp(cr.sin(x)) - 1

    def _log_positive(self, x: Node) -> Any:
        return cr.log(x * x + 0.5)

    def _log1p_positive(self, x: Node) -> Any:
        return cr.log(1 + cr.exp(cr.tanh(x)))

    def _sqrt_positive(self, x: Node) -> Any:
        return cr.sqrt(x * x + 0.25)

    def _square(self, x: Node) -> Any:
        return cr.tanh(x) ** int(self.generator.integers(0, 4))

    def _divide_safe(self, x: Node) -> Any:
        y = self.fitting(x)
        return x / (1.5 + y * y)

    def _sign_of_leaf(self, x: Node) -> Any:
        return cr.sign(self.leaf((3,))) * cr.sum(cr.tanh(x))

    def _floor_of_leaf(self, x: Node) -> Any:
        return cr.floor(self.leaf((3,)))

    def _maximum_of_leaf(self, x: Node) -> Any:
        return cr.maximum(self.leaf((4, 3)), 0.0) + cr.sum(cr.sigmoid(x))

    def _max_of_leaf(self, x: Node) -> Any:
        return cr.max(self.leaf((4, 3)), axis=1)

    def _where_leaf(self, x: Node) -> Any:
        return cr.where(self.leaf(()) > 0, x, -x)

    def _relu(self, x: Node) -> Any:
        return cr.relu(self.leaf((3,))) * cr.mean(cr.tanh(self.filled(x)))

    def _abs(self, x: Node) -> Any:
        return cr.abs(self.leaf((1, 3)))

    def filled(self, x: Node) -> Node:
        """``x``, or something that has elements."""
        return x if _size(x) else self.leaf((3,))

    def _logsumexp_kept(self, x: Node) -> Any:
        return cr.logsumexp(self.filled(x), keepdims=True)

    def _softmax(self, x: Node) -> Any:
        return cr.softmax(x) if x.ndim else x

    def _cumulative_sum(self, x: Node) -> Any:
        return cr.cumulative_sum(x) if x.ndim else x

    def _axis(self, x: Node) -> Any:
        return int(self.generator.integers(x.ndim)) if x.ndim else None

    def _sum(self, x: Node) -> Any:
        return cr.sum(x, axis=self._axis(x), keepdims=bool(self.generator.integers(2)))

    def _mean(self, x: Node) -> Any:
        return cr.mean(self.filled(x))

    def _prod(self, x: Node) -> Any:
        return cr.prod(cr.tanh(x), axis=self._axis(x))

    def _transpose(self, x: Node) -> Any:
        return cr.permute_dims(x, tuple(self.generator.permutation(x.ndim).tolist()))

    def _reshape(self, x: Node) -> Any:
        return (
            cr.reshape(x, (*x.shape[::-1], 1))
            if self.generator.integers(2)
            else cr.reshape(x, (-1,))
        )

    def _flip(self, x: Node) -> Any:
        return cr.flip(x, self._axis(x))

    def _pad(self, x: Node) -> Any:
        return cr.pad(x, [(1, 0)] * x.ndim) if x.ndim else x

    def _slice(self, x: Node) -> Any:
        return x[..., ::2] if x.ndim else x

    def _concat(self, x: Node) -> Any:
        return cr.concat([x, cr.tanh(x)], axis=x.ndim - 1) if x.ndim else x

    def _broadcast(self, x: Node) -> Any:
        return cr.broadcast_to(x, (2, *x.shape)) if x.ndim < 3 else x


def _size(node: Node) -> int:
    return int(np.prod(node.shape))


def _broadcast(a: Any, b: Any) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def random_graph(seed: int, size: int = 12, dtype: Any = np.float64) -> RandomGraph:
    """A graph of about ``size`` random operations on leaves of random shapes."""
    builder = _Builder(np.random.default_rng(seed), np.dtype(dtype))
    shapes = builder.generator.choice(len(SHAPES), 3)
    builder.nodes += [builder.leaf(SHAPES[place]) for place in shapes]
    matrix = builder.leaf((3, 4))
    builder.nodes.append(builder.leaf((4, 3)) @ matrix)
    for _ in range(size):
        builder.grow()
    outputs = [node for node in builder.nodes[-3:] if node.dtype != BOOL]
    graph = Graph(tuple(builder.leaves), tuple(outputs))
    return RandomGraph(graph, list(builder.leaves.values()))
