"""Compiled functions: traced once for each combination of shapes, run by an engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.engines.base import (
    BoundedCache,
    EngineChoice,
    Executable,
    array_kind,
    direct,
    remember,
)
from chainrule.expressions.tracing import Function, Trace, as_tree, form_of, lifted
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree
from chainrule.ops.build import as_node
from chainrule.shapes import Array, TensorType

KEPT_SHAPES = 64


class Specialised(NamedTuple):
    """A function for one combination of shapes."""

    trace: Trace
    run: Executable

    def __call__(self, arrays: Sequence[Array]) -> Any:
        """The result for arrays of these shapes."""
        return self.trace.filled(self.run, arrays)

    def direct(self, arrays: Sequence[Array]) -> Callable[..., Any]:
        """The function for plain arrays of the types and shapes of these, one argument each."""
        caught, result = self.trace.variables, self.trace.result
        run = direct(self.run, [*arrays, *[leaf.value for leaf in caught]])
        if caught:
            return lambda *given: self.trace.shaped(run(*given, *[x.value for x in caught]))
        if isinstance(result, Node):
            return lambda *given: run(*given)[0]
        return lambda *given: self.trace.shaped(run(*given))


def _are_plain(arguments: Sequence[Any], trees: Sequence[Any]) -> bool:
    """Whether all arguments are arrays that need no conversion."""
    pairs = zip(arguments, trees, strict=False)
    return all(type(given) is np.ndarray and given is tree for given, tree in pairs)


class CompiledFunction:
    """A function of arrays, specialised to the shapes and element types of each call.

    Made by :func:`compile`. The specialisations are kept, at most 64 of them. Variables that the
    function caught are read at each call; arrays it caught are constants.
    """

    def __init__(self, fn: Function, engine: EngineChoice) -> None:
        functools.update_wrapper(self, fn)
        self.function = fn
        self.engine = engine
        self._kept: BoundedCache[Any, Specialised | None] = BoundedCache(KEPT_SHAPES)
        self._of_arrays: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        try:
            known = None if named else self._of_arrays.get(tuple(map(array_kind, arguments)))
        except (AttributeError, TypeError):  # an argument that is no array, or has no hash
            known = None
        return self._traced(arguments, named) if known is None else known(*arguments)

    def _traced(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A call with any arguments; what it finds for plain arrays is noted."""
        trees = [*map(as_tree, arguments), as_tree(named)]
        leaves = flatten(trees)
        if any(isinstance(leaf, Node) for leaf in leaves):
            return self._build(*map_tree(as_node, trees))
        types = tuple([TensorType(leaf.dtype, leaf.shape) for leaf in leaves])
        kept = self._kept.get((types, form_of(trees)), lambda: self._specialised(trees, types))
        if kept is None:
            return lifted(self._build, trees)
        if not named and _are_plain(arguments, trees):
            key = tuple(map(array_kind, arguments))
            remember(self._of_arrays, key, kept.direct(arguments), KEPT_SHAPES)
        return kept(leaves)

    def _build(self, *arguments: Any) -> Any:
        """The function on nodes, the named arguments in the last place."""
        return self.function(*arguments[:-1], **arguments[-1])

    def _specialised(self, trees: Any, types: tuple[TensorType, ...]) -> Specialised | None:
        """None if the function caught a placeholder, which differs from call to call."""
        trace = Trace(self._build, trees, types)
        return None if trace.open else Specialised(trace, trace.compiled(self.engine))


def compile(fn: Function, engine: EngineChoice = None) -> CompiledFunction:
    """``fn`` as a function of arrays, traced and simplified once for each combination of shapes.

    Parameters
    ----------
    fn : callable
        Takes and returns expressions, or nested dicts, lists and tuples of them.
    engine : str or Engine, optional
        Which engine runs it; the fastest that is installed by default.

    Returns
    -------
    callable
        Takes arrays (lists of numbers are arrays, too) and returns arrays; takes expressions, and
        then returns expressions.

    Examples
    --------
    >>> import chainrule as cr
    >>> f = cr.compile(lambda x, y: cr.sum(x * y))
    >>> f([1.0, 2.0], [3.0, 4.0])
    array(11.)
    >>> w = cr.variable(2.0)
    >>> g = cr.compile(lambda x, scale: {"scaled": w * x * scale})
    >>> g(3.0, scale=10.0)
    {'scaled': array(60.)}
    >>> w.value = 0.5
    >>> g(3.0, scale=10.0)
    {'scaled': array(15.)}
    """
    return CompiledFunction(fn, engine)
