"""The record of one operation, and the registry of all of them.

Everything known about an operation stands in its record: how its type follows from its
operands' types, what it means (in NumPy), how it is differentiated (in chainrule's own
operations, so that every order of derivative exists), its algebra, and where tests may sample it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Flag, StrEnum, auto
from typing import Any, Final, TypeAlias

from chainrule.errors import GraphError
from chainrule.records import dataclass
from chainrule.shapes import Dtype, TensorType


class Kind(StrEnum):
    """Classes of operations; transforms and engines have one rule for each class."""

    LEAF = auto()
    ELEMENTWISE = auto()
    REDUCTION = auto()
    SCAN = auto()
    CONTRACTION = auto()
    MOVEMENT = auto()
    INDEXING = auto()
    RANDOM = auto()


class Algebra(Flag):
    """Laws that an operation obeys; each is checked by sampling."""

    NONE = 0
    COMMUTATIVE = auto()
    ASSOCIATIVE = auto()
    IDEMPOTENT = auto()
    ODD = auto()
    EVEN = auto()
    LINEAR = auto()  # jointly linear in all its operands
    MULTILINEAR = auto()  # linear in each operand while the others stand still


@dataclass(frozen=True)
class Interval:
    """Where tests may sample an operand: between two bounds, away from ``kinks``."""

    low: float
    high: float
    kinks: tuple[float, ...] = ()


REALS: Final = Interval(-3.0, 3.0)
POSITIVE: Final = Interval(0.3, 3.0)
NONZERO: Final = Interval(-3.0, 3.0, kinks=(0.0,))

Partial: TypeAlias = "Callable[..., Any] | float | None"
"""A local partial derivative: of ``(y, *operands)``, or a number, or None where there is none."""


@dataclass(frozen=True, eq=False)
class Op:
    """One operation of the language.

    Attributes
    ----------
    name : str
        As in the printed graph.
    kind : Kind
        Its class; transforms and engines have one rule a class.
    infer : callable
        ``infer(*operand_types, **attributes) -> TensorType``.
    numpy : callable
        The meaning: ``numpy(*arrays, **attributes) -> array``.
    partials : tuple, optional
        Elementwise operations: the local partial derivative for each operand.
    vjp : callable, optional
        Others: ``vjp(g, y, *operands, **attributes)`` gives one contribution (or None) an operand.
    coerce : callable, optional
        The element types that operands of given element types are converted to.
    into : callable, optional
        ``into(*arrays, out, **attributes)`` writes the same bits into the array ``out``, which is
        contiguous, and for an elementwise operation may be one of the operands.
    view : bool
        Whether the result may share memory with the first operand.
    domain : tuple of Interval
        Where tests may sample each operand.
    symbol : str
        How drawings show it.
    """

    name: str
    kind: Kind
    infer: Callable[..., TensorType]
    numpy: Callable[..., Any]
    partials: tuple[Partial, ...] = ()
    vjp: Callable[..., tuple[Any, ...]] | None = None
    coerce: Callable[..., tuple[Dtype, ...]] | None = None
    into: Callable[..., Any] | None = None
    view: bool = False
    algebra: Algebra = Algebra.NONE
    domain: tuple[Interval, ...] = ()
    symbol: str = ""
    summary: str = ""

    def __repr__(self) -> str:
        return f"<op {self.name}>"


_REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Enter ``op`` under its name; names are unique."""
    if op.name in _REGISTRY:
        raise GraphError(f"there is an operation named {op.name!r} already")
    _REGISTRY[op.name] = op
    return op


def registered() -> Mapping[str, Op]:
    """All operations by name, in the order of their registration."""
    return _REGISTRY
