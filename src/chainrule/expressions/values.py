"""Variables, and the values and derivatives of nodes.

A variable is a leaf with a value that can be assigned. The value of any node is computed when it
is asked for, and kept together with the versions of the variables it used, so that it is computed
anew after one of them was assigned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from chainrule.engines.base import BoundedCache, EngineChoice, Executable
from chainrule.engines.registry import get_engine
from chainrule.errors import (
    DisconnectedError,
    DtypeError,
    GradientError,
    MissingInputError,
    ParameterError,
    ShapeError,
)
from chainrule.graph.graph import Graph, free_leaves, is_free
from chainrule.graph.node import Node
from chainrule.graph.walk import substitute
from chainrule.ops.build import VARIABLE, as_node, placeholder
from chainrule.ops.movement import zeros_like
from chainrule.shapes import (
    Array,
    Dtype,
    Shape,
    TensorType,
    as_array,
    is_float,
)
from chainrule.transforms.gradient import Absence, adjoints
from chainrule.transforms.gradient import gradient as gradient_of_nodes
from chainrule.transforms.simplify import simplify

KEPT_GRAPHS = 256
KEPT_BYTES = 2**20  # of constants in a kept graph


class Variable(Node):
    """A leaf whose value can be assigned, and into which ``backward`` adds derivatives.

    Make one with :func:`variable`.

    Attributes
    ----------
    value : numpy.ndarray
        The current value, read-only. Assigning checks the shape and keeps the element type.
    grad : numpy.ndarray or None
        What calls of ``backward`` have added up. Set it to None to start anew.
    version : int
        How often the value was assigned.
    """

    __slots__ = ("_grad", "_value", "version")

    def __init__(self, value: Array, name: str | None = None) -> None:
        super().__init__(VARIABLE, (), {}, TensorType(value.dtype, value.shape), name=name)
        self._value = _frozen_copy(value)
        self._grad: Array | None = None
        self.version = 0

    @property
    def value(self) -> Array:
        """The current value, read-only."""
        return self._value

    @value.setter
    def value(self, value: npt.ArrayLike) -> None:
        self._value = _frozen_copy(
            fitted_array(value, self.dtype, self.shape, f"the value of {self!r}")
        )
        self.version += 1

    @property
    def grad(self) -> Array | None:
        """The derivatives added up so far, read-only; None if there are none."""
        return self._grad

    @grad.setter
    def grad(self, grad: npt.ArrayLike | None) -> None:
        self._grad = (
            None
            if grad is None
            else _frozen_copy(fitted_array(grad, self.dtype, self.shape, f"grad of {self!r}"))
        )

    def accumulate(self, derivative: Array) -> None:
        """Add ``derivative`` to ``grad``."""
        self.grad = derivative if self._grad is None else self._grad + derivative


def variable(
    value: npt.ArrayLike, name: str | None = None, dtype: npt.DTypeLike | None = None
) -> Variable:
    """A leaf with a value that can be assigned.

    Parameters
    ----------
    value : array_like
        Python numbers, integers too, become float64: a variable is there to be differentiated by.
    name : str, optional
        For printing and drawing.
    dtype : dtype, optional

    Examples
    --------
    The circuit of the lectures: f = (x + y) z.

    >>> import chainrule as cr
    >>> x, y, z = cr.variable(-2.0), cr.variable(5.0), cr.variable(-4.0)
    >>> f = (x + y) * z
    >>> f.value
    array(-12.)
    >>> f.backward()
    >>> x.grad, y.grad, z.grad
    (array(-4.), array(-4.), array(3.))
    """
    if isinstance(value, Node):
        raise DtypeError("a variable holds an array, not a node; give it the node's .value")
    array = as_array(value, dtype)
    if (
        dtype is None
        and array.dtype.kind in "iub"
        and not isinstance(value, (np.ndarray, np.generic))
    ):
        array = array.astype(np.float64)
    return Variable(array, name)


def _frozen_copy(array: Array) -> Array:
    return _frozen(np.array(array, order="C"))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def fitted_array(value: npt.ArrayLike, dtype: Dtype, shape: Shape, what: str) -> Array:
    """``value`` as an array of exactly this type.

    Raises
    ------
    ShapeError
        If the shapes differ (ROWS takes any number).
    DtypeError
        If the conversion could lose a fraction, is from text, or an integer is out of range.
    """
    array = as_array(value)
    if array.dtype != dtype:
        if array.dtype.kind in "iu" and dtype.kind in "iu":
            _need_range(array, dtype, what)
        elif not np.can_cast(array.dtype, dtype, "same_kind") and array.size:
            raise DtypeError(
                f"{what} has element type {array.dtype.name}, and {dtype.name} is needed"
            )
        array = array.astype(dtype)
    extents = zip(shape, array.shape, strict=False)
    if array.ndim != len(shape) or any(isinstance(n, int) and n != m for n, m in extents):
        raise ShapeError(f"{what} has shape {array.shape}, and {shape} is needed")
    return array


def _need_range(array: Array, dtype: Dtype, what: str) -> None:
    limits = np.iinfo(dtype)
    for extreme in (array.min(), array.max()) if array.size else ():
        if not limits.min <= int(extreme) <= limits.max:
            raise DtypeError(
                f"{what} holds {extreme}, and {dtype.name} goes from {limits.min} to {limits.max}"
            )


# Values


_values: WeakKeyDictionary[Node, tuple[list[Variable], list[int], Array, bool]] = (
    WeakKeyDictionary()
)
_as_written: BoundedCache[Graph, Executable] = BoundedCache(KEPT_GRAPHS)
_simplified: BoundedCache[tuple[Graph, EngineChoice], Executable] = BoundedCache(KEPT_GRAPHS)


def _worth_keeping(graph: Graph) -> bool:
    """Whether it may be run again, and its constants take little memory.

    A graph without inputs has one value, and whoever wants it again has it.
    """
    held = sum(node.payload.nbytes for node in graph.nodes if node.payload is not None)
    return bool(graph.inputs) and held <= KEPT_BYTES


class _FrontEnd:
    """What nodes ask for: see :class:`chainrule.graph.node.FrontEnd`."""

    def value(self, node: Node) -> Array:
        """The value of the graph as written."""
        kept = _values.get(node)
        if kept is not None and [leaf.version for leaf in kept[0]] == kept[1]:
            return kept[2]
        leaves = _variables([node]) if kept is None else kept[0]
        versions = [leaf.version for leaf in leaves]
        graph = Graph(tuple(leaves), (node,))
        keep = _worth_keeping(graph) if kept is None else kept[3]

        def compiled() -> Executable:
            return get_engine("reference").compile(graph)

        run = _as_written.get(graph, compiled) if keep else compiled()
        value = _frozen(run([leaf.value for leaf in leaves])[0])
        _values[node] = leaves, versions, value, keep
        return value

    def backward(self, node: Node, seed: Any) -> None:
        """Add derivatives into the variables behind ``node``."""
        if not is_float(node.dtype):
            raise DtypeError(f"{node!r} is not real-valued, so there is nothing to differentiate")
        if seed is None and node.shape != ():
            raise ShapeError(
                f"backward starts from a scalar, and {node!r} is none;"
                f" sum it, or give a seed of shape {node.shape}"
            )
        upstream = fitted_array(
            1.0 if seed is None else seed, node.dtype, node.shape, "the seed of backward"
        )
        leaves = [leaf for leaf in _variables([node]) if is_float(leaf.dtype)]
        start = _seed_placeholder(node)
        slopes = _slopes(node, leaves, start)
        derivatives = evaluate(list(slopes.values()), feed={start: upstream})
        for leaf, derivative in zip(slopes, derivatives, strict=True):
            leaf.accumulate(derivative)


def _slopes(node: Node, leaves: Sequence[Variable], seed: Node) -> dict[Variable, Node]:
    """Derivatives of the stable form of ``node``, by the leaves that it has a path to as written.

    They are 0 where simplification took away every path, as from x**0.
    """
    (simple,) = simplify([node])
    found = dict(zip(leaves, adjoints(simple, leaves, seed), strict=True))
    lost = [leaf for leaf, slope in found.items() if isinstance(slope, Absence)]
    written = dict(zip(lost, adjoints(node, lost, seed), strict=True)) if lost else {}
    if not leaves or all(isinstance(written.get(leaf), Absence) for leaf in leaves):
        raise _nothing_reached(node, leaves, [written[leaf] for leaf in leaves])
    found |= {leaf: zeros_like(leaf) for leaf in lost if isinstance(written[leaf], Node)}
    return {leaf: slope for leaf, slope in found.items() if isinstance(slope, Node)}


def _nothing_reached(
    node: Node, leaves: Sequence[Variable], found: Sequence[Node | Absence]
) -> GradientError:
    for leaf, absence in zip(leaves, found, strict=True):
        if isinstance(absence, Absence):
            return absence.error(node, leaf)
    return DisconnectedError(
        f"{node!r} built at {node.site} does not depend on any variable of real numbers, so"
        " backward has nowhere to go; build it from cr.variable(...)"
    )


_seeds: WeakKeyDictionary[Node, Node] = WeakKeyDictionary()


def _seed_placeholder(node: Node) -> Node:
    """The input that stands for the seed of ``node``; one a node, so that plans are shared."""
    if node not in _seeds:
        _seeds[node] = placeholder(node.type, "seed")
    return _seeds[node]


Node.front_end = _FrontEnd()


def _variables(nodes: Sequence[Node], bound: Sequence[Node] = ()) -> list[Variable]:
    """The variables behind ``nodes``.

    Raises
    ------
    MissingInputError
        If there is a placeholder that is not ``bound``.
    """
    leaves = free_leaves(nodes, bound)
    for leaf in leaves:
        if not isinstance(leaf, Variable):
            raise MissingInputError(
                f"{leaf!r} built at {leaf.site} has no value;"
                " give it one: cr.evaluate(nodes, feed={node: array})"
            )
    return cast("list[Variable]", leaves)


def evaluate(
    nodes: Node | Sequence[Node],
    feed: Mapping[Node, npt.ArrayLike] | None = None,
    engine: EngineChoice = "reference",
) -> Any:
    """The values of nodes, after simplification.

    Parameters
    ----------
    nodes : Node or sequence of Node
    feed : mapping of Node to array_like, optional
        Values of placeholders; variables and inner nodes may be given other values, too.
    engine : str or Engine, optional
        ``"reference"``, or another engine's name.

    Returns
    -------
    list of numpy.ndarray
        One for each node; a single array if a single node was given.

    Raises
    ------
    MissingInputError
        If a placeholder has no value.
    ShapeError, DtypeError
        If a value does not fit its node.
    ParameterError
        If a key of ``feed`` is no node.
    """
    if isinstance(nodes, Node):
        return evaluate([nodes], feed, engine)[0]
    for key in feed or ():
        if not isinstance(key, Node):
            raise ParameterError(
                f"the keys of feed are nodes, got {key!r}; write feed={{node: array}}"
            )
    outputs = [as_node(node) for node in nodes]
    if not outputs:
        return []
    given = {node: fitted_array(value, node.dtype, node.shape, f"the value of {node!r}")
             for node, value in (feed or {}).items()}  # fmt: skip
    leaves = _variables(outputs, list(given))
    inputs = [*given, *leaves]
    graph = Graph(tuple(inputs), tuple(outputs))

    def compiled() -> Executable:
        return executable(graph, engine)

    run = _simplified.get((graph, engine), compiled) if _worth_keeping(graph) else compiled()
    return run([*given.values(), *[leaf.value for leaf in leaves]])


def executable(graph: Graph, engine: EngineChoice) -> Executable:
    """``graph`` simplified and compiled; inputs that have a value become placeholders first."""
    inner = {node: placeholder(node.type, node.name) for node in graph.inputs if not is_free(node)}
    outputs = substitute(graph.outputs, inner) if inner else list(graph.outputs)
    inputs = tuple(inner.get(node, node) for node in graph.inputs)
    return get_engine(engine).compile(Graph(inputs, tuple(simplify(outputs))))


def gradient(output: Node, inputs: Sequence[Node] | Node, seed: Any = None) -> Any:
    """Derivatives of ``output`` by each of ``inputs``, as nodes: differentiable again.

    Parameters
    ----------
    output : Node
        A scalar, or anything if ``seed`` is given.
    inputs : Node or sequence of Node
    seed : array_like or Node, optional
        The derivative of a final result by ``output``.

    Returns
    -------
    list of Node
        One for each input, of its shape and type; a single node if a single input was given.

    Raises
    ------
    DisconnectedError, NotDifferentiableError
        If ``output`` does not depend on an input, or only by an operation without a derivative.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.variable(3.0)
    >>> (dx,) = cr.gradient(x**3, [x])
    >>> (ddx,) = cr.gradient(dx, [x])
    >>> dx.value, ddx.value
    (array(27.), array(18.))
    """
    if isinstance(inputs, Node):
        return gradient(output, [inputs], seed)[0]
    return gradient_of_nodes(output, inputs, None if seed is None else as_node(seed, output.dtype))
