"""A graph as a JAX function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

from chainrule.engines.base import rows_of
from chainrule.engines.choice import choice_of, summed_squares
from chainrule.engines.parts import Axes, parts_of
from chainrule.engines.plan import leaf_value
from chainrule.engines.xla.devices import Devices
from chainrule.engines.xla.library import jax, jnp, lax
from chainrule.engines.xla.table import lowering
from chainrule.graph.graph import Graph, free_leaves
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import ROWS, bind_rows


class Traceable:
    """What computes a graph when JAX traces it: values of the inputs in, of the outputs out.

    Parameters
    ----------
    graph : Graph
    precision : str
        Of products, one of :data:`chainrule.engines.xla.devices.PRECISIONS`.
    devices : Devices, optional
        Those that rows are divided among: sums over rows are kept in parts where they can be.
    carried : int
        How many outputs, the first ones, are inputs of the next step.

    Attributes
    ----------
    parts : dict
        The nodes that come and go in parts, (shares, *shape).

    Raises
    ------
    MissingInputError
        For a placeholder or variable that is not among the graph's inputs.
    """

    def __init__(
        self, graph: Graph, precision: str, devices: Devices | None = None, carried: int = 0
    ) -> None:
        for leaf in free_leaves(graph.outputs, graph.inputs):
            leaf_value(leaf, rows=0)  # which it refuses
        self._graph, self._precision, self._devices = graph, precision, cast(Devices, devices)
        self._choice, self._squared = choice_of(graph), summed_squares(graph)
        several = devices is not None and devices.shares > 1
        self.parts: dict[Node, Axes] = parts_of(graph, carried, self._choice) if several else {}
        self._chosen = [node for node in self._choice.results if node not in self.parts]

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        known = dict(zip(self._graph.inputs, values, strict=True))
        whole = {node: value for node, value in known.items() if node not in self.parts}
        rows = rows_of([node.type for node in whole], list(whole.values()))
        self._extend(known, self._choice.before, rows)
        if self._chosen:
            new, old = partial(self._new, known, rows), partial(self._side, 2, known)
            found = lax.cond(known[self._choice.condition], new, old)
            known |= zip(self._chosen, found, strict=True)
        self._extend(known, [*self._choice.results, *self._choice.after], rows)
        return [known[node] for node in self._graph.outputs]

    def _new(self, known: dict[Node, Any], rows: int | None) -> list[Any]:
        """What is computed only where the condition holds; there sums have to be whole."""
        inside = {x: value.sum(0) if x in self.parts else value for x, value in known.items()}
        self._extend(inside, self._choice.inner, rows)
        return self._side(1, inside)

    def _side(self, operand: int, known: dict[Node, Any]) -> list[Any]:
        return [jnp.broadcast_to(known[x.operands[operand]], x.shape) for x in self._chosen]

    def _extend(self, known: dict[Node, Any], nodes: Iterable[Node], rows: int | None) -> None:
        for node in nodes:
            if node not in known:
                compute = partial(self._value, node, rows)
                values, parted = [known[x] for x in node.operands], node in self.parts
                if node in self._squared:
                    # Made anew, they are added as they are made. XLA would write down what others
                    # take, too, as Adam does the gradients': a twentieth of a step on processors.
                    values = [jnp.square(lax.optimization_barrier(known[self._squared[node]]))]
                known[node] = self._in_parts(node, compute, values) if parted else compute(*values)

    def _in_parts(self, node: Node, compute: Callable[..., Any], values: Sequence[Any]) -> Any:
        """Each device computes a part, of its rows or of parts; of rows that do not divide, one."""
        devices, axes, given = self._devices, self.parts[node], []
        for operand, axis, value in zip(node.operands, axes, values, strict=True):
            if axis == 0 and ROWS in operand.shape:
                if len(value) % devices.shares:
                    return devices.apart(compute(*values))
                given.append(value.reshape(devices.shares, -1, *value.shape[1:]))
            else:
                whole = axis == 0 and operand not in self.parts
                given.append(devices.apart(value) if whole else value)
        return devices.parted(jax.vmap(compute, in_axes=axes)(*given))

    def _value(self, node: Node, rows: int | None, *operands: Any) -> Any:
        if node.op.kind is Kind.LEAF:
            return jnp.asarray(leaf_value(node, rows))
        settings = {name: bind_rows(value, rows) for name, value in node.attributes.items()}
        if node.op.kind is Kind.CONTRACTION:
            settings["precision"] = self._precision
        return lowering(node.op.name)(*operands, **settings)
