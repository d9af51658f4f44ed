"""Named numbers to start a graph from, and derivatives by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from chainrule.errors import ParameterError
from chainrule.expressions import Variable, grad, gradient, variable
from chainrule.graph.node import Node
from chainrule.ops import sum as total
from chainrule.shapes import Array


def leaves(**values: npt.ArrayLike) -> tuple[Variable, ...]:
    """A variable for each value, called as its keyword.

    Examples
    --------
    >>> x, y = leaves(x=-2.0, y=5.0)
    >>> x.name, (x + y).value
    ('x', array(3.))
    """
    return tuple(variable(value, name=name) for name, value in values.items())


def slopes(output: Node, nodes: Sequence[Node]) -> dict[str, Array]:
    """The derivatives of a named scalar by named nodes, called as on paper.

    Parameters
    ----------
    output : Node
        A float scalar with a name.
    nodes : sequence of Node
        Each with a name.

    Raises
    ------
    ParameterError
        If one of them has no name.

    Examples
    --------
    >>> x, y = leaves(x=-2.0, y=5.0)
    >>> slopes((x * y).named("f"), [x, y])
    {'df/dx': array(5.), 'df/dy': array(-2.)}
    """
    if not all(node.name for node in [output, *nodes]):
        raise ParameterError(
            "slopes are told by names, and a node has none; write node.named('q') where it is built"
        )
    found = gradient(output, list(nodes))
    return {
        f"d{output.name}/d{node.name}": each.value for node, each in zip(nodes, found, strict=True)
    }


def elementwise_derivative(f: Callable[[Any], Any]) -> Callable[[npt.ArrayLike], Any]:
    """The derivative of a function that treats every element alike, element by element.

    Examples
    --------
    >>> elementwise_derivative(lambda x: x**3)([1.0, 2.0])
    array([ 3., 12.])
    """
    return grad(lambda x: total(f(x)))
