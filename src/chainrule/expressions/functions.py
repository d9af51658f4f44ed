"""Derivatives of functions of arrays.

Each of these takes a function that builds expressions, and returns a function of arrays. Given
nodes, it builds expressions itself, so that all of them nest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ParameterError, ShapeError
from chainrule.expressions.values import evaluate
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, unflatten
from chainrule.ops.build import as_node, constant, input
from chainrule.ops.movement import reshape
from chainrule.shapes import FLOAT64, Array, as_array, is_float, size_of
from chainrule.transforms import jvp as forward
from chainrule.transforms.batch import batch
from chainrule.transforms.gradient import gradient
from chainrule.transforms.simplify import simplify

Function = Callable[..., Any]


def lifted(build: Function, arguments: Any) -> Any:
    """``build(*arguments)``, which builds nodes: as nodes if any argument is one, else as arrays."""
    arguments = [as_tree(argument) for argument in arguments]
    leaves = flatten(arguments)
    if any(isinstance(leaf, Node) for leaf in leaves):
        return build(*map_tree(as_node, arguments))
    arrays = [as_argument(leaf) for leaf in leaves]
    placeholders = [input(array.shape, array.dtype) for array in arrays]
    result = build(*unflatten(arguments, placeholders))
    nodes = [as_node(leaf) for leaf in flatten(result)]
    return unflatten(result, evaluate(nodes, feed=dict(zip(placeholders, arrays, strict=True))))


def as_tree(argument: Any) -> Any:
    """An argument with its lists of plain numbers made arrays; other lists are left as trees."""
    if isinstance(argument, dict):
        return {key: as_tree(branch) for key, branch in argument.items()}
    if not isinstance(argument, (list, tuple)):
        return argument
    leaves = flatten(argument)
    if leaves and all(isinstance(leaf, (bool, int, float)) for leaf in leaves):
        return as_array(argument)
    return type(argument)([as_tree(branch) for branch in argument])


def as_argument(value: Any) -> Array:
    """An argument as an array; Python integers count as real numbers."""
    return as_array(
        value, FLOAT64 if isinstance(value, int) and not isinstance(value, bool) else None
    )


def value_and_grad(fn: Function, argnums: int | Sequence[int] = 0) -> Function:
    """A function that gives ``(fn(*args), gradient)``.

    Parameters
    ----------
    fn : callable
        Takes expressions (or nested dicts, lists and tuples of them) and returns a scalar one.
    argnums : int or sequence of int
        Which arguments to differentiate by. The gradient has the argument's form, or is a tuple
        of such if several were asked for.

    Raises
    ------
    ShapeError
        If ``fn`` does not return a scalar.
    DisconnectedError, NotDifferentiableError
        If there is no derivative.
    """

    def build(*arguments: Any) -> tuple[Node, Any]:
        value, places = as_node(fn(*arguments)), _places(argnums, len(arguments))
        chosen = [arguments[place] for place in places]
        _need_floats(flatten(chosen))
        # simplified first: the stable form of a loss has the stable derivative
        (simple,) = simplify([value])
        gradients = unflatten(chosen, gradient(simple, flatten(chosen)))
        return value, gradients[0] if isinstance(argnums, int) else tuple(gradients)

    return _named(lambda *arguments: lifted(build, arguments), fn, "value and gradient")


def _places(argnums: int | Sequence[int], count: int) -> list[int]:
    places = [argnums] if isinstance(argnums, int) else list(argnums)
    if any(not -count <= place < count for place in places):
        raise ParameterError(
            f"argnums {argnums} asks for more than the {count} arguments that were given"
        )
    return places


def _need_floats(nodes: Sequence[Node]) -> None:
    for node in nodes:
        if not is_float(node.dtype):
            raise DtypeError(
                f"derivatives need real arguments, got {node.type}; convert it to a float type"
            )


def _named(function: Function, fn: Function, what: str) -> Function:
    function.__name__ = f"{what.replace(' ', '_')}_of_{getattr(fn, '__name__', 'function')}"
    function.__doc__ = f"The {what} of {getattr(fn, '__name__', 'a function')}."
    return function


def grad(fn: Function, argnums: int | Sequence[int] = 0) -> Function:
    """A function that gives the gradient of a scalar ``fn``; see :func:`value_and_grad`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.grad(lambda x: cr.sin(x**2))(0.0)
    array(0.)
    >>> cr.grad(cr.grad(lambda x: x**3))(2.0)
    array(12.)
    """
    both = value_and_grad(fn, argnums)
    return _named(lambda *arguments: both(*arguments)[1], fn, "gradient")


def vjp(fn: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of ``fn``, and the function that pulls a derivative of it back to its arguments.

    Returns
    -------
    value : array of any shape
    pull : callable
        ``pull(seed)`` gives a tuple with one derivative for each argument.
    """

    def build(*arguments: Any) -> tuple[Any, ...]:
        *inputs, seed = arguments
        (simple,) = simplify([as_node(fn(*inputs))])
        return tuple(unflatten(inputs, gradient(simple, flatten(inputs), seed)))

    value = lifted(lambda *arguments: as_node(fn(*arguments)), primals)

    def pull(seed: Any) -> Any:
        fitting = seed if isinstance(seed, Node) else as_array(seed, value.dtype)
        if fitting.shape != value.shape:
            raise ShapeError(f"the seed has shape {fitting.shape}, and the value {value.shape}")
        return lifted(build, (*primals, fitting))

    return value, pull


def jvp(fn: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``fn`` and its derivative along a direction.

    Parameters
    ----------
    fn : callable
    primals : sequence
        The arguments.
    tangents : sequence
        The direction: of the arguments' form and shapes.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jvp(cr.sin, (0.0,), (1.0,))
    (array(0.), array(1.))
    """

    def build(arguments: Any, directions: Any) -> tuple[Any, Any]:
        result = fn(*arguments)
        outputs = simplify([as_node(leaf) for leaf in flatten(result)])
        along = dict(zip(flatten(arguments), flatten(directions), strict=True))
        return result, unflatten(result, forward.jvp(outputs, along))

    points = [map_tree(_as_primal, as_tree(primal)) for primal in primals]
    directions = map_tree(_as_tangent, points, [as_tree(tangent) for tangent in tangents])
    value, derivative = lifted(build, (points, directions))
    return value, derivative


def _as_primal(primal: Any) -> Any:
    return primal if isinstance(primal, Node) else as_argument(primal)


def _as_tangent(primal: Any, tangent: Any) -> Any:
    return tangent if isinstance(tangent, Node) else as_array(tangent, primal.dtype)


def jacobian(fn: Function, argnums: int = 0) -> Function:
    """A function that gives all derivatives of ``fn`` by one argument.

    The result has the shape of the value followed by the shape of the argument. The graph of one
    derivative is batched over all of them: over outputs (reverse mode) or over inputs (forward
    mode), whichever are fewer.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jacobian(lambda x: x * x)([1.0, 2.0])
    array([[2., 0.],
           [0., 4.]])
    """

    def build(*arguments: Any) -> Node:
        (place,) = _places(argnums, len(arguments))
        x = arguments[place]
        _need_floats([x])
        (y,) = simplify([as_node(fn(*arguments))])
        result: Node = reshape(_all_derivatives(y, x), (*y.shape, *x.shape))
        return result

    return _named(lambda *arguments: lifted(build, arguments), fn, "jacobian")


def _all_derivatives(y: Node, x: Node) -> Node:
    """(elements of y, elements of x), up to reshaping."""
    outputs, inputs = size_of(y.shape), size_of(x.shape)
    if outputs <= inputs:
        seed = input(y.shape, y.dtype)
        return batch(gradient(y, [x], seed), {seed: _basis(seed)})[0]
    tangent = input(x.shape, x.dtype)
    columns = batch(forward.jvp([y], {x: tangent}), {tangent: _basis(tangent)})[0]
    result: Node = reshape(columns, (inputs, outputs)).T
    return result


def _basis(like: Node) -> Node:
    """All arrays of the type of ``like`` with a single 1."""
    size = size_of(like.shape)
    return constant(np.eye(size, dtype=like.dtype).reshape(size, *like.shape))


def hessian(fn: Function, argnums: int = 0) -> Function:
    """A function that gives all second derivatives of a scalar ``fn`` by one argument.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hessian(lambda x: x[0] ** 2 - x[1] ** 2)([1.0, 1.0])
    array([[ 2.,  0.],
           [ 0., -2.]])
    """
    return _named(jacobian(grad(fn, argnums), argnums), fn, "hessian")


def hvp(fn: Function) -> Function:
    """A function of ``(x, v)`` that gives the Hessian of a scalar ``fn`` at x times v.

    Forward over reverse: costs a few gradients, and never makes the Hessian (Pearlmutter 1994).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hvp(lambda x: cr.sum(x**3))([1.0, 2.0], [1.0, 1.0])
    array([ 6., 12.])
    """

    def product(x: Any, v: Any) -> Any:
        return jvp(grad(fn), (x,), (v,))[1]

    return _named(product, fn, "hessian-vector product")
