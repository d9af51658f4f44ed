"""How often each operation is computed, with results kept or computed anew."""

from __future__ import annotations

from collections import Counter

from chainrule.graph.node import Node
from chainrule.graph.walk import topological_order


def evaluations(output: Node, *, stored: bool = True) -> dict[str, int]:
    """How many times operations of each kind are computed on the way to a node.

    Parameters
    ----------
    output : Node
    stored : bool
        Whether results are kept; if not, every reader computes its operands anew.

    Returns
    -------
    dict of str to int
        By the name of the operation; leaves count as read.

    Examples
    --------
    >>> import chainrule as cr
    >>> y = cr.sin(cr.variable(1.0))
    >>> evaluations(y * y)
    {'multiply': 1, 'sin': 1, 'variable': 1}
    >>> evaluations(y * y, stored=False)
    {'multiply': 1, 'sin': 2, 'variable': 2}
    """
    order = topological_order([output])
    times = {**dict.fromkeys(order, 0), output: 1}
    counted: Counter[str] = Counter()
    for node in reversed(order):
        counted[node.op.name] += 1 if stored else times[node]
        for operand in node.operands:
            times[operand] += times[node]
    return dict(counted)
