"""How operations are applied: to nodes they give nodes, to arrays they give arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ChainruleError, DtypeError, ShapeError
from chainrule.graph.node import Node, calling_site, intern, intern_constant
from chainrule.graph.op import Algebra, Kind, Op, register
from chainrule.shapes import (
    BOOL,
    INT64,
    ROWS,
    Array,
    Dtype,
    TensorType,
    as_array,
    as_dtype,
    as_float,
    as_shape,
    promote,
)


class Operation:
    """The function of one elementwise operation: nodes in, a node out; arrays in, an array out.

    Attributes
    ----------
    op : Op
        The operation's record.
    """

    def __init__(self, op: Op) -> None:
        self.op = op
        self.__name__ = op.name
        self.__doc__ = op.summary

    def __call__(self, *operands: Any) -> Any:
        if len(operands) != len(self.op.partials):
            raise TypeError(
                f"{self.op.name} takes {len(self.op.partials)} operands, got {len(operands)}"
            )
        return apply(self.op, *operands)

    def __repr__(self) -> str:
        return f"<function chainrule.{self.op.name}>"


def _leaf_type(**attributes: Any) -> TensorType:
    raise DtypeError("the type of a leaf is given, not inferred")


def _leaf_value(**attributes: Any) -> Array:
    raise DtypeError("the value of a leaf is given, not computed")


CONSTANT = register(Op("constant", Kind.LEAF, _leaf_type, _leaf_value, summary="A fixed array."))
INPUT = register(Op("input", Kind.LEAF, _leaf_type, _leaf_value, summary="A placeholder."))
VARIABLE = register(
    Op("variable", Kind.LEAF, _leaf_type, _leaf_value, summary="A leaf whose value can change.")
)


ROW_COUNT = register(
    Op(
        "rows",
        Kind.LEAF,
        _leaf_type,
        _leaf_value,
        summary="The number of rows of the batch at hand.",
    )
)


def constant(
    value: npt.ArrayLike, dtype: npt.DTypeLike | None = None, name: str | None = None
) -> Node:
    """A leaf that holds a fixed array, and takes no gradient.

    Examples
    --------
    >>> import chainrule as cr
    >>> (cr.constant([1.0, 2.0]) * 3).value
    array([3., 6.])
    """
    node = intern_constant(CONSTANT, as_array(value, dtype))
    return node if name is None else node.named(name)


def input(shape: Any = (), dtype: npt.DTypeLike = np.float64, name: str | None = None) -> Node:
    """A placeholder: a leaf whose value comes with ``feed``. One can differentiate by it.

    Parameters
    ----------
    shape : tuple
        Extents; the first may be ``cr.ROWS``, the number of rows of the batch at hand. Operations
        such as a transpose may move it to another axis.

    Raises
    ------
    ShapeError
        If ``cr.ROWS`` stands anywhere but first.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.input((cr.ROWS, 2), name="x")
    >>> cr.evaluate([cr.sum(x)], feed={x: [[1.0, 2.0], [3.0, 4.0]]})
    [array(10.)]
    """
    extents = as_shape(shape)
    if ROWS in extents[1:]:
        raise ShapeError(
            f"an input of shape {extents} was asked for, and ROWS can only be the first axis;"
            " put it there, and transpose the node"
        )
    return placeholder(TensorType(as_dtype(dtype), extents), name)


def placeholder(type_: TensorType, name: str | None = None) -> Node:
    """An input in the place of a node of this type, which may have moved ROWS to any axis."""
    return Node(INPUT, (), {}, type_, name=name)


def row_count() -> Node:
    """The number of rows of the batch at hand, as a scalar integer."""
    return intern(ROW_COUNT, (), {}, TensorType(INT64, ()))


def as_node(value: Any, like: Dtype | None = None) -> Node:
    """``value`` as a node; a Python scalar takes after the type ``like``, if there is one."""
    if isinstance(value, Node):
        return value
    if like is None or not isinstance(value, (bool, int, float)):
        return constant(value)
    # 0.0 == -0.0, but the two are not one constant
    return _number(value, like) if value else constant(value, _weak_dtype(value, like))


@lru_cache(maxsize=1024, typed=True)
def _number(value: bool | int | float, like: Dtype) -> Node:
    """A number in an expression: the same ones come again and again, and are found in 0.1 us."""
    return constant(value, _weak_dtype(value, like))


def _weak_dtype(value: bool | int | float, like: Dtype) -> Dtype:
    """NumPy 2's rule: a Python scalar never widens, but it can turn bool to int, int to float."""
    if isinstance(value, bool):
        return like
    if isinstance(value, float):
        return as_float(like)
    return INT64 if like == BOOL else like


def apply(op: Op, *operands: Any, **attributes: Any) -> Any:
    """``op`` applied: a node if any operand is one, else an array.

    Raises
    ------
    ShapeError, DtypeError
        Naming the operation, its operands' types and the user's line.
    """
    try:
        for operand in operands:
            if isinstance(operand, Node):
                return intern(op, _as_nodes(op, operands), attributes)
        return _compute(op, _as_arrays(op, operands), attributes)
    except ChainruleError as reason:
        types = " and ".join(_type_name(operand) for operand in operands)
        raise type(reason)(f"{op.name} of {types}, built at {calling_site()}: {reason}") from None


def _type_name(operand: Any) -> str:
    if isinstance(operand, (bool, int, float)):
        return repr(operand)
    return str(getattr(operand, "type", None) or type(operand).__name__ + str(np.shape(operand)))


def _as_nodes(op: Op, operands: tuple[Any, ...]) -> tuple[Node, ...]:
    nodes: tuple[Node, ...] = operands
    for operand in operands:
        if not isinstance(operand, Node):
            like = _strong_dtype(operands)
            nodes = tuple([as_node(each, like) for each in operands])
            break
    if op.coerce is None:
        return nodes
    given = tuple([node.dtype for node in nodes])
    dtypes = _coerced(op.coerce, given)
    if dtypes == given:
        return nodes
    return tuple([cast(node, dtype) for node, dtype in zip(nodes, dtypes, strict=True)])


@lru_cache(maxsize=1024)
def _coerced(coerce: Callable[..., tuple[Dtype, ...]], given: tuple[Dtype, ...]) -> Any:
    """What ``coerce`` makes of element types; it is asked again and again for a few of them."""
    return coerce(*given)


def _as_arrays(op: Op, operands: tuple[Any, ...]) -> list[Array]:
    like = _strong_dtype(operands)
    arrays = [_as_weak_array(operand, like) for operand in operands]
    if op.coerce is None:
        return arrays
    dtypes = op.coerce(*[as_dtype(array.dtype) for array in arrays])
    return [array.astype(dtype, copy=False) for array, dtype in zip(arrays, dtypes, strict=True)]


def _as_weak_array(operand: Any, like: Dtype | None) -> Array:
    if like is not None and isinstance(operand, (bool, int, float)):
        return as_array(operand, _weak_dtype(operand, like))
    return as_array(operand)


def _strong_dtype(operands: tuple[Any, ...]) -> Dtype | None:
    """The common type of the operands that are not Python scalars."""
    dtypes = [
        operand.dtype if isinstance(operand, Node) else as_array(operand).dtype
        for operand in operands
        if not isinstance(operand, (bool, int, float)) or isinstance(operand, np.generic)
    ]
    return promote(*dtypes) if dtypes else None


def _compute(op: Op, arrays: list[Array], attributes: dict[str, Any]) -> Any:
    op.infer(*[TensorType(array.dtype, array.shape) for array in arrays], **attributes)
    with np.errstate(all="ignore"):
        return op.numpy(*arrays, **attributes)


def _cast_type(x: TensorType, dtype: Dtype) -> TensorType:
    return TensorType(dtype, x.shape)


def _cast_array(x: Array, dtype: Dtype) -> Array:
    """Float to integer saturates; NaN becomes 0."""
    if x.dtype.kind == "f" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = np.nan_to_num(np.trunc(x), nan=0.0)
        inside = (whole > float(limits.min)) & (whole < float(limits.max))
        safe = np.where(inside, whole, 0).astype(dtype)
        return np.where(inside, safe, np.where(whole > 0, limits.max, limits.min)).astype(dtype)
    return x.astype(dtype)


def _cast_into(x: Array, out: Array, dtype: Dtype) -> Array:
    saturating = x.dtype.kind == "f" and dtype.kind in "iu"
    out[...] = _cast_array(x, dtype) if saturating else x
    return out


ASTYPE = register(
    Op(
        "astype",
        Kind.ELEMENTWISE,
        _cast_type,
        _cast_array,
        vjp=lambda g, y, x, dtype: (cast(g, x.dtype),),
        into=_cast_into,
        algebra=Algebra.LINEAR,
        symbol="astype",
        summary="The same values as another element type.",
    )
)


def cast(x: Any, dtype: Dtype) -> Any:
    """``x`` as ``dtype``; ``x`` itself if it has that type."""
    return x if x.dtype == dtype else apply(ASTYPE, x, dtype=dtype)


def astype(x: Any, dtype: npt.DTypeLike) -> Any:
    """``x`` with elements of type ``dtype``. Float to integer truncates and saturates; NaN gives 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.astype([1.7, -300.0], "int8")
    array([   1, -128], dtype=int8)
    """
    return cast(x if isinstance(x, Node) else as_array(x), as_dtype(dtype))


def shape_of(x: Any) -> tuple[Any, ...]:
    """The shape of a node, or of anything NumPy takes as an array."""
    return x.shape if isinstance(x, Node) else np.shape(x)


def dtype_of(x: Any) -> Dtype:
    """The element type of a node, or of anything NumPy takes as an array."""
    return x.dtype if isinstance(x, Node) else as_array(x).dtype
