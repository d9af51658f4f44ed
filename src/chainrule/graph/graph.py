"""A graph: inputs, and the outputs computed from them."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import GraphError
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import topological_order
from chainrule.records import dataclass


@dataclass(frozen=True)
class Graph:
    """A function from the values of ``inputs`` to the values of ``outputs``.

    Every leaf that is not a constant must be among the inputs.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @property
    def nodes(self) -> list[Node]:
        """All nodes behind the outputs, operands before users."""
        return topological_order(self.outputs, dict.fromkeys(self.inputs))

    @property
    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The graph's identity: equal for equal graphs, for as long as the graph is alive."""
        return tuple(n.serial for n in self.inputs), tuple(n.serial for n in self.outputs)


def free_leaves(outputs: Sequence[Node], bound: Sequence[Node] = ()) -> list[Node]:
    """The leaves behind ``outputs`` that still need a value: placeholders and variables."""
    order = topological_order(outputs, dict.fromkeys(bound))
    return [node for node in order if is_free(node) and node not in bound]


def is_free(node: Node) -> bool:
    """Whether a node's value comes from outside the graph."""
    return node.op.kind is Kind.LEAF and node.op.name in ("input", "variable")


def close(outputs: Sequence[Node]) -> Graph:
    """The graph of ``outputs`` with all their free leaves as inputs, in order of appearance."""
    if not outputs:
        raise GraphError("a graph needs at least one output")
    return Graph(tuple(free_leaves(outputs)), tuple(outputs))
