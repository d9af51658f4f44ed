"""Nodes: immutable, interned values-to-be.

A node is an operation applied to operands, with attributes. Two nodes of the same operation,
operands and attributes are one object, so common subexpressions are shared from the start and
equality is identity. The name and the user's line that built a node are notes on it, not part of
its identity. Nothing is rewritten at construction: what was written is what is drawn.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import FrameType
from typing import Any, ClassVar, NamedTuple, Protocol
from weakref import WeakValueDictionary

import numpy as np

from chainrule.errors import DtypeError, ShapeError
from chainrule.graph.op import Op
from chainrule.shapes import Array, Dtype, Shape, TensorType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
SHARED_CONSTANT_SIZE = 64
_serials = itertools.count()
_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()


class Site(NamedTuple):
    """The line of the user's program that built a node."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@lru_cache(maxsize=4096)
def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE)


def calling_site() -> Site | None:
    """The nearest line on the stack that is outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


class FrontEnd(Protocol):
    """What a node asks of the layers further down: its value, and derivatives."""

    def value(self, node: Node) -> Array:
        """The node's value as a read-only array."""

    def backward(self, node: Node, seed: Any) -> None:
        """Add derivatives into the leaves' ``grad``."""


def _unary(name: str) -> Callable[[Node], Node]:
    return lambda self: self._call(name, self)


def _binary(name: str) -> tuple[Callable[[Node, Any], Node], Callable[[Node, Any], Node]]:
    """The operator called ``name`` and its reflection."""
    return (
        lambda self, other: self._call(name, self, other),
        lambda self, other: self._call(name, other, self),
    )


class Node:
    """A value-to-be: an operation, its operands and its attributes.

    Attributes
    ----------
    op : Op
        The operation's record.
    operands : tuple of Node
    attributes : dict
        What besides operands determines the result, such as ``axis``. Never change it.
    shape : tuple
        Extents: ints, or ROWS.
    dtype : numpy.dtype
    type : TensorType
        Element type and shape.
    payload : numpy.ndarray or None
        The value of a constant.
    name : str or None
    site : Site or None
        The user's line that built it.
    """

    __slots__ = (
        "__weakref__",
        "attributes",
        "dtype",
        "name",
        "op",
        "operands",
        "payload",
        "serial",
        "shape",
        "site",
        "type",
    )
    __array_ufunc__: ClassVar[None] = None  # numpy_array + node asks the node
    functions: ClassVar[dict[str, Callable[..., Any]]] = {}  # the operators' meanings, from ops
    front_end: ClassVar[FrontEnd]

    op: Op
    operands: tuple[Node, ...]
    attributes: dict[str, Any]
    dtype: Dtype
    shape: Shape
    payload: Array | None
    name: str | None
    site: Site | None
    serial: int
    type: TensorType

    def __init__(
        self,
        op: Op,
        operands: tuple[Node, ...],
        attributes: dict[str, Any],
        type_: TensorType,
        payload: Array | None = None,
        name: str | None = None,
        site: Site | None = None,
    ) -> None:
        self.op = op
        self.operands = operands
        self.attributes = attributes
        self.type = type_
        self.dtype, self.shape = type_
        self.payload = payload
        self.name = name
        self.site = site or calling_site()
        self.serial = next(_serials)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def value(self) -> Array:
        """What the graph as written computes, as a read-only array."""
        return self.front_end.value(self)

    def backward(self, seed: Any = None) -> None:
        """Reverse mode: ADD the derivative of this node into every leaf's ``grad``.

        Parameters
        ----------
        seed : array_like, optional
            The derivative of the final result by this node, of this node's shape. A scalar
            needs none.
        """
        self.front_end.backward(self, seed)

    def named(self, name: str) -> Node:
        """This node, with a name for printing and drawing."""
        self.name = name
        return self

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        return f"<{self.op.name}{label} {self.type}>"

    def __bool__(self) -> bool:
        raise DtypeError(
            f"{self!r} has no truth value before it is computed;"
            " use cr.where to choose, or test its .value"
        )

    def __reduce__(self) -> Any:
        raise DtypeError(
            "a graph node cannot be pickled; save a model, or the arrays of .value, instead"
        )

    def __len__(self) -> int:
        if not self.shape or not isinstance(self.shape[0], int):
            raise ShapeError(f"{self!r} has no fixed length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Node]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, key: Any) -> Node:
        return self._call("getitem", self, key)

    def _call(self, name: str, *operands: Any, **attributes: Any) -> Node:
        result: Node = self.functions[name](*operands, **attributes)
        return result

    def sum(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The sum over ``axis``; see ``chainrule.sum``."""
        return self._call("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Node:
        """The mean over ``axis``; see ``chainrule.mean``."""
        return self._call("mean", self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Node:
        """The same elements in another shape; see ``chainrule.reshape``."""
        return self._call("reshape", self, shape[0] if len(shape) == 1 else shape)

    def astype(self, dtype: Any) -> Node:
        """The same values as another element type; see ``chainrule.astype``."""
        return self._call("astype", self, dtype)

    @property
    def T(self) -> Node:
        """The transpose: all axes in reverse order."""
        return self._call("permute_dims", self, tuple(reversed(range(self.ndim))))

    __neg__ = _unary("negative")
    __abs__ = _unary("abs")
    __invert__ = _unary("logical_not")
    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("remainder")
    __pow__, __rpow__ = _binary("power")
    __matmul__, __rmatmul__ = _binary("matmul")
    __and__, __rand__ = _binary("logical_and")
    __or__, __ror__ = _binary("logical_or")
    __xor__, __rxor__ = _binary("logical_xor")
    # == and != stay identity: nodes are interned, and are used as keys; cr.equal compares values
    __lt__, __gt__ = _binary("less")[0], _binary("greater")[0]
    __le__, __ge__ = _binary("less_equal")[0], _binary("greater_equal")[0]


def intern(
    op: Op,
    operands: tuple[Node, ...],
    attributes: dict[str, Any],
    type_: TensorType | None = None,
    note: Node | None = None,
) -> Node:
    """The one node that applies ``op`` to these operands with these attributes.

    If it has to be made, its name and site are those of ``note``, the node that it stands for; a
    node that is there already keeps its own.
    """
    key = (op.name, tuple([operand.serial for operand in operands]), tuple(attributes.items()))
    found = _interned.get(key)
    if found is not None:
        return found
    if type_ is None:
        type_ = op.infer(*[operand.type for operand in operands], **attributes)
    made = Node(op, operands, attributes, type_, site=None if note is None else note.site)
    made.name = None if note is None else note.name
    return _interned.setdefault(key, made)


def intern_constant(op: Op, array: Array) -> Node:
    """The node of a constant: shared by type and bytes up to 64 elements, else new each time."""
    type_ = TensorType(array.dtype, array.shape)
    if array.size > SHARED_CONSTANT_SIZE:
        return Node(op, (), {}, type_, payload=_frozen(array))
    key = (op.name, type_, array.tobytes())
    found = _interned.get(key)
    if found is not None:
        return found
    return _interned.setdefault(key, Node(op, (), {}, type_, payload=_frozen(array)))


def _frozen(array: Array) -> Array:
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
