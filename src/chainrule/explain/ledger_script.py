"""What there is to tell about a graph, step by step: forwards, then backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from chainrule.errors import ParameterError
from chainrule.explain.circuit import by_id
from chainrule.explain.graph_picture import GraphPicture
from chainrule.explain.ledger_arithmetic import arithmetic
from chainrule.explain.ledger_equations import Equation, Equations
from chainrule.explain.passes import Passes
from chainrule.explain.svg import format_number
from chainrule.graph.node import Node

MOST_NODES = 300  # of a page: they are laid out in a few seconds
GIVEN, FORWARD, BACKWARD = "given", "forward", "backward"


@dataclass(frozen=True)
class Step:
    """One node computed, or what is given.

    Parameters
    ----------
    direction : str
        GIVEN, FORWARD or BACKWARD.
    id : str
        The node's id on the picture; empty for what is given.
    heading : str
        What happens, in a formula.
    """

    direction: str
    id: str
    heading: str


@dataclass(frozen=True, eq=False)
class Script:
    """A picture of a graph, the equations of its scalars, and the steps that compute them.

    Attributes
    ----------
    picture : GraphPicture
    equations : Equations
    nodes : dict of str to Node
        The nodes on the picture by their ids there, operands before users.
    """

    picture: GraphPicture
    equations: Equations
    nodes: dict[str, Node]

    @cached_property
    def steps(self) -> list[Step]:
        """What is given, then every node forwards, then every node backwards."""
        given = ", ".join(self.picture.names[key] for key, node in self._leaves())
        first = Step(GIVEN, "", f"given: {given}")
        return [first, *self._forward(), *self._backward()]

    def _leaves(self) -> Iterator[tuple[str, Node]]:
        return ((key, node) for key, node in self.nodes.items() if not node.operands)

    def _forward(self) -> Iterator[Step]:
        for key, node in self.nodes.items():
            if node.operands:
                yield Step(FORWARD, key, self.picture.formulas[key])

    def _backward(self) -> Iterator[Step]:
        output = self.equations.names[self.equations.output]
        for key, node in reversed(self.nodes.items()):
            if self.has_gradient(node):
                yield Step(BACKWARD, key, f"∂{output}/∂{self.picture.names[key]}")

    def has_gradient(self, node: Node) -> bool:
        """Whether a gradient is shown: plain numbers have one that nobody asks for."""
        return node in self.equations.found.gradients and node.payload is None

    def told(self, step: Step) -> list[Equation]:
        """The equations of a step, element after element."""
        if step.direction == GIVEN:
            leaves = [(leaf, self.equations.forward) for _, leaf in self._leaves()]
        elif step.direction == FORWARD:
            leaves = [(self.nodes[step.id], self.equations.forward)]
        else:
            leaves = [(self.nodes[step.id], self.equations.backward)]
        return [
            equation
            for node, tell in leaves
            for element in range(self.equations.found.values[node].size)
            for equation in tell(node, element)
        ]


def script_of(book: Passes, picture: GraphPicture) -> Script:
    """Everything that two passes over a graph have to tell, beside their picture.

    Raises
    ------
    ParameterError
        If the graph has too many nodes or too many products for a page.
    """
    if len(picture.records) > MOST_NODES:
        raise ParameterError(
            f"a ledger of this graph has {len(picture.records):,} nodes, more than the {MOST_NODES}"
            " that a page can show; take one of the nodes on the way as its output"
        )
    found = arithmetic(book)
    places = by_id(book)
    nodes = {record.id: places[record.id] for record in picture.records}
    names = {node: picture.names[key] for key, node in nodes.items()}
    for node in book.order:
        if node not in names:
            names[node] = format_number(float(found.values[node]))
    ids = {node: key for key, node in nodes.items()}
    return Script(picture, Equations(found, names, ids), nodes)
