"""Functions that build expressions, applied to arrays: by way of placeholders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.engines.base import EngineChoice, Executable
from chainrule.expressions.values import Variable, executable
from chainrule.graph.graph import Graph, free_leaves
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, unflatten
from chainrule.graph.walk import substitute
from chainrule.ops.build import as_node, placeholder
from chainrule.shapes import FLOAT64, Array, TensorType, as_array

Function = Callable[..., Any]


def lifted(build: Function, arguments: Any) -> Any:
    """``build(*arguments)``, which builds nodes: as nodes if any argument is one, else as arrays.

    It stays nodes, too, where ``build`` caught a placeholder: that of a function around it. What
    is built never sees an argument itself, only a placeholder: a constant could be another one of
    equal value, and an expression could be simplified away, before a derivative by it is taken.
    """
    trees = [as_tree(argument) for argument in arguments]
    leaves = flatten(trees)
    trace = Trace(build, trees, [TensorType(leaf.dtype, leaf.shape) for leaf in leaves])
    if trace.open or any(isinstance(leaf, Node) for leaf in leaves):
        return trace.inlined(leaves)
    return trace.filled(trace.compiled("reference"), leaves)


class Trace:
    """A function applied to placeholders.

    Attributes
    ----------
    graph : Graph
        Inputs: the placeholders, then the variables that the function caught.
    open : bool
        Whether it caught a placeholder, so that there are only nodes to give.
    """

    def __init__(self, build: Function, arguments: Any, types: Sequence[TensorType]) -> None:
        placeholders = [placeholder(type_) for type_ in types]
        self.result = build(*unflatten(arguments, placeholders))
        outputs = [as_node(leaf) for leaf in flatten(self.result)]
        leaves = free_leaves(outputs, placeholders)
        self.variables = [leaf for leaf in leaves if isinstance(leaf, Variable)]
        self.graph = Graph((*placeholders, *self.variables), tuple(outputs))
        self.open = len(self.variables) < len(leaves)

    def compiled(self, engine: EngineChoice) -> Executable:
        """The graph, simplified, as a function of arrays."""
        return executable(self.graph, engine)

    def filled(self, run: Executable, arrays: Sequence[Array]) -> Any:
        """The result, as arrays."""
        return self.shaped(run([*arrays, *[leaf.value for leaf in self.variables]]))

    def shaped(self, values: Sequence[Array]) -> Any:
        """Values of the outputs in the form of the result."""
        return values[0] if isinstance(self.result, Node) else unflatten(self.result, values)

    def inlined(self, arguments: Sequence[Any]) -> Any:
        """The result as nodes, with arrays or nodes in the places of the arguments."""
        replacements = dict(zip(self.graph.inputs, map(as_node, arguments), strict=False))
        return unflatten(self.result, substitute(self.graph.outputs, replacements))


def as_tree(argument: Any) -> Any:
    """An argument with its leaves made arrays, and its lists of plain numbers, too.

    Python integers count as real numbers; arrays keep their element type.
    """
    if argument is None or isinstance(argument, Node):
        return argument
    if isinstance(argument, dict):
        return {key: as_tree(branch) for key, branch in argument.items()}
    if isinstance(argument, tuple) and hasattr(argument, "_fields"):
        return type(argument)(*map(as_tree, argument))
    if isinstance(argument, tuple) or (isinstance(argument, list) and not _is_plain(argument)):
        return type(argument)(map(as_tree, argument))
    array = as_array(argument)
    python = not isinstance(argument, (np.ndarray, np.generic))
    return array.astype(FLOAT64) if python and array.dtype.kind in "iu" else array


def form_of(tree: Any) -> Any:
    """What two trees must have in common for their leaves to correspond: a key."""
    if isinstance(tree, dict):
        return dict, tuple([(key, form_of(branch)) for key, branch in tree.items()])
    if isinstance(tree, (list, tuple)):
        return type(tree), tuple(map(form_of, tree))
    return tree is None


def _is_plain(argument: list[Any]) -> bool:
    """Whether a list holds numbers, or lists of numbers, and nothing else."""
    return all(
        _is_plain(item) if isinstance(item, list) else isinstance(item, (bool, int, float))
        for item in argument
    )
