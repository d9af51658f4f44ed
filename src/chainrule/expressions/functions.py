"""Derivatives of functions of arrays.

Each of these takes a function that builds expressions, and returns a function of arrays. Given
nodes, it builds expressions itself, so that all of them nest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, index
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ParameterError, ShapeError
from chainrule.expressions.tracing import Function, as_tree, lifted
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, unflatten
from chainrule.ops.build import as_node, constant, placeholder
from chainrule.ops.movement import reshape, zeros_like
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import as_array, is_float, size_of
from chainrule.transforms import jvp as forward
from chainrule.transforms.batch import batch
from chainrule.transforms.gradient import Absence, adjoints, gradient
from chainrule.transforms.simplify import simplify


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
        (simple,) = simplify([value])
        gradients = unflatten(chosen, _slopes(value, simple, flatten(chosen)))
        return value, tuple(gradients) if np.ndim(argnums) else gradients[0]

    return _named(lambda *arguments: lifted(build, arguments), fn, "value and gradient")


def _slopes(
    written: Node, simple: Node, inputs: Sequence[Node], seed: Node | None = None
) -> list[Node]:
    """Derivatives of ``simple``, the stable form of ``written``, which has the stable ones.

    Whether there is a derivative is judged on the graph as written; it is 0 where simplification
    took away every path, as from x**0.
    """
    pairs = list(zip(inputs, adjoints(simple, inputs, seed), strict=True))
    if lost := [x for x, d in pairs if isinstance(d, Absence)]:
        gradient(written, lost, seed)  # an error where there was no path either
    return [zeros_like(x) if isinstance(d, Absence) else d for x, d in pairs]


def _places(argnums: int | Sequence[int], count: int) -> list[int]:
    try:
        places = [index(place) for place in np.atleast_1d(argnums)]
    except TypeError as reason:
        raise ParameterError(f"argnums {argnums!r} must be an integer or several") from reason
    if any(not -count <= place < count for place in places):
        raise ParameterError(
            f"argnums {argnums} asks for more than the {count} arguments that were given"
        )
    return places


def _need_floats(leaves: Sequence[Any]) -> None:
    for leaf in leaves:
        if not is_float(leaf.dtype):
            raise DtypeError(
                "derivatives need real arguments, got one with elements of type"
                f" {leaf.dtype.name}; convert it to a float type"
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
    value : array of any shape, or nested dicts, lists and tuples of them
    pull : callable
        ``pull(seed)``, with a seed of the value's form, gives a tuple with one derivative for
        each argument.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, pull = cr.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> value, pull(1.0)
    (array(6.), (array(3.), array(2.)))
    """

    def build(*arguments: Any) -> tuple[Any, ...]:
        *inputs, seed = arguments
        outputs = [as_node(leaf) for leaf in flatten(fn(*inputs))]
        written, simple = _paired(outputs, seed), _paired(simplify(outputs), seed)
        return tuple(unflatten(inputs, _slopes(written, simple, flatten(inputs))))

    value = lifted(fn, primals)

    def pull(seed: Any) -> Any:
        fitting = map_tree(_as_seed, value, as_tree(seed))
        return lifted(build, (*primals, fitting))

    return value, pull


def _paired(outputs: Sequence[Node], seed: Any) -> Node:
    """The sum of all products of an output's elements with those of its seed."""
    products = [reduce_sum(y * g) for y, g in zip(outputs, flatten(seed), strict=True)]
    return as_node(reduce(add, products))


def _as_seed(value: Any, seed: Any) -> Any:
    if seed.shape != value.shape:
        raise ShapeError(f"the seed has shape {seed.shape}, and the value {value.shape}")
    return seed if isinstance(seed, Node) else as_array(seed, value.dtype)


def jvp(fn: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``fn`` and its derivative along a direction.

    The derivative is 0 where the value does not depend on an argument, or only by operations
    without a derivative: the other arguments may still matter.

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

    points = [as_tree(primal) for primal in primals]
    _need_floats(flatten(points))
    directions = map_tree(_as_tangent, points, [as_tree(tangent) for tangent in tangents])
    value, derivative = lifted(build, (points, directions))
    return value, derivative


def _as_tangent(primal: Any, tangent: Any) -> Any:
    return tangent if isinstance(tangent, Node) else as_array(tangent, primal.dtype)


def jacobian(fn: Function, argnums: int = 0) -> Function:
    """A function that gives all derivatives of ``fn`` by one argument.

    The result has the shape of the value followed by the shape of the argument. The graph of one
    derivative is batched over all of them: over outputs (reverse mode) or over inputs (forward
    mode), whichever are fewer.

    Raises
    ------
    DisconnectedError, NotDifferentiableError
        If there is no derivative, in either mode.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.jacobian(lambda x: x * x)([1.0, 2.0])
    array([[2., 0.],
           [0., 4.]])
    """

    def build(*arguments: Any) -> Node:
        (place,) = _places(argnums, len(arguments))
        x = _single(arguments[place])
        y = as_node(fn(*arguments))
        result: Node = reshape(_all_derivatives(y, x), (*y.shape, *x.shape))
        return result

    return _named(lambda *arguments: lifted(build, arguments), fn, "jacobian")


def _single(argument: Any) -> Node:
    leaves = flatten(argument)
    if len(leaves) != 1:
        raise ParameterError(
            f"all derivatives are taken by one array, and the argument holds {len(leaves)}"
        )
    _need_floats(leaves)
    node: Node = leaves[0]
    return node


def _all_derivatives(y: Node, x: Node) -> Node:
    """(elements of y, elements of x), up to reshaping."""
    (simple,) = simplify([y])
    seed = placeholder(y.type)
    rows = _slopes(y, simple, [x], seed)  # an error where y does not depend on x
    if size_of(y.shape) > size_of(x.shape):
        return _by_columns(simple, x)
    return batch(rows, {seed: _basis(seed)})[0]


def _by_columns(y: Node, x: Node) -> Node:
    """As :func:`_all_derivatives`, by forward mode; zeros where ``y`` does not depend on ``x``."""
    tangent = placeholder(x.type)
    columns = batch(forward.jvp([y], {x: tangent}), {tangent: _basis(tangent)})[0]
    result: Node = reshape(columns, (size_of(x.shape), size_of(y.shape))).T
    return result


def _basis(like: Node) -> Node:
    """All arrays of the type of ``like`` with a single 1."""
    size = size_of(like.shape)
    return constant(np.eye(size, dtype=like.dtype).reshape(size, *like.shape))


def hessian(fn: Function, argnums: int = 0) -> Function:
    """A function that gives all second derivatives of a scalar ``fn`` by one argument.

    Forward over reverse mode: 0 where the gradient does not depend on the argument.

    Raises
    ------
    ShapeError
        If ``fn`` does not return a scalar.
    DisconnectedError, NotDifferentiableError
        If there is no first derivative.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hessian(lambda x: x[0] ** 2 - x[1] ** 2)([1.0, 1.0])
    array([[ 2.,  0.],
           [ 0., -2.]])
    """

    def build(*arguments: Any) -> Node:
        (place,) = _places(argnums, len(arguments))
        x = _single(arguments[place])
        value = as_node(fn(*arguments))
        (simple,) = simplify([value])
        (slope,) = simplify(_slopes(value, simple, [x]))
        result: Node = reshape(_by_columns(slope, x), (*x.shape, *x.shape))
        return result

    return _named(lambda *arguments: lifted(build, arguments), fn, "hessian")


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
