"""Compiled functions: traced once for each combination of shapes, run by an engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from chainrule.engines.base import BoundedCache, Executable
from chainrule.expressions.functions import as_argument, as_tree
from chainrule.expressions.values import Variable, executable
from chainrule.graph.graph import Graph, free_leaves
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, unflatten
from chainrule.ops.build import as_node, input
from chainrule.shapes import Array, TensorType

KEPT_SHAPES = 64


class CompiledFunction:
    """A function of arrays, specialised to the shapes and element types of each call.

    Made by :func:`compile`. The specialisations are kept, at most 64 of them. Variables that the
    function caught are read at each call; arrays it caught are constants.
    """

    def __init__(self, fn: Callable[..., Any], engine: str | None) -> None:
        functools.update_wrapper(self, fn)
        self.function = fn
        self.engine = engine
        self._kept: BoundedCache[Any, _Specialised] = BoundedCache(KEPT_SHAPES)

    def __call__(self, *arguments: Any) -> Any:
        trees = [as_tree(argument) for argument in arguments]
        leaves = flatten(trees)
        if any(isinstance(leaf, Node) for leaf in leaves):
            return self.function(*map_tree(as_node, trees))
        arrays = [as_argument(leaf) for leaf in leaves]
        types = tuple([TensorType(array.dtype, array.shape) for array in arrays])
        form = unflatten(trees, [None] * len(leaves))
        key = (types, repr(form))
        return self._kept.get(key, lambda: _Specialised(self, trees, types))(arrays)


class _Specialised:
    """One combination of shapes."""

    def __init__(
        self, owner: CompiledFunction, arguments: Any, types: tuple[TensorType, ...]
    ) -> None:
        placeholders = [input(type_.shape, type_.dtype) for type_ in types]
        self.result = owner.function(*unflatten(arguments, placeholders))
        outputs = [as_node(leaf) for leaf in flatten(self.result)]
        self.variables = [
            leaf for leaf in free_leaves(outputs, placeholders) if isinstance(leaf, Variable)
        ]
        self.run: Executable = executable(
            Graph((*placeholders, *self.variables), tuple(outputs)), owner.engine
        )

    def __call__(self, arrays: list[Array]) -> Any:
        return unflatten(self.result, self.run([*arrays, *[leaf.value for leaf in self.variables]]))


def compile(fn: Callable[..., Any], engine: str | None = None) -> CompiledFunction:
    """``fn`` as a function of arrays, traced and simplified once for each combination of shapes.

    Parameters
    ----------
    fn : callable
        Takes and returns expressions, or nested dicts, lists and tuples of them.
    engine : str, optional
        Which engine runs it; the fastest that is installed by default.

    Examples
    --------
    >>> import chainrule as cr
    >>> f = cr.compile(lambda x, y: cr.sum(x * y))
    >>> f([1.0, 2.0], [3.0, 4.0])
    array(11.)
    """
    return CompiledFunction(fn, engine)
