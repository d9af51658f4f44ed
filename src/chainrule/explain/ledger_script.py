"""What there is to tell about a graph, step by step: forwards, then backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from chainrule.explain.circuit import by_id
from chainrule.explain.graph_picture import GraphPicture
from chainrule.explain.ledger_arithmetic import arithmetic
from chainrule.explain.ledger_equations import Equation, Equations
from chainrule.explain.passes import Passes
from chainrule.explain.svg import format_number
from chainrule.graph.node import Node

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
        return ((key, node) for key, node in self.nodes.items() if key not in self.computed)

    def _forward(self) -> Iterator[Step]:
        for key in self.computed:
            yield Step(FORWARD, key, self.picture.formulas[key])

    @property
    def computed(self) -> dict[str, str]:
        """The formulas of what is not given."""
        return self.picture.formulas

    def _backward(self) -> Iterator[Step]:
        output = self.equations.names[self.equations.output]
        for key, node in reversed(self.nodes.items()):
            if self.has_gradient(node):
                yield Step(BACKWARD, key, f"∂{output}/∂{self.picture.names[key]}")

    def has_gradient(self, node: Node) -> bool:
        """Whether a gradient is shown: plain numbers have one that nobody asks for."""
        return node in self.equations.found.contributions and node.payload is None

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


def script_of(book: Passes, picture: GraphPicture, whole: GraphPicture) -> Script:
    """Everything that two passes over a graph have to tell, beside the picture of it or of a part.

    Parameters
    ----------
    book : Passes
    picture, whole : GraphPicture
        What is shown, and the picture of all nodes, which is the same if no part is meant.

    Raises
    ------
    ParameterError
        If there are too many products for a page.
    """
    places = by_id(book)
    nodes = {record.id: places[record.id] for record in picture.records}
    names = {places[key]: name for key, name in whole.names.items()}
    if picture is whole:
        found = arithmetic(book)
    else:
        computed = {nodes[key] for key in picture.formulas}
        outside = {x for node in book.order if node not in computed for x in node.operands}
        leaves = {node for node in nodes.values() if not node.operands} - outside
        found = arithmetic(book, computed | leaves)
    for node in found.values:  # plain numbers are written into the gates that read them
        if node not in names:
            names[node] = format_number(float(found.values[node]))
    ids = {node: key for key, node in nodes.items()}
    return Script(picture, Equations(found, names, ids), nodes)
