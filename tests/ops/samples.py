"""Operands for every registered operation, driven by the registry.

An elementwise operation is sampled on the domain that its record states. An operation of another
kind has a recipe here; one without makes every law about operations fail, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.errors import DtypeError
from chainrule.graph.node import Node
from chainrule.graph.op import REALS, Interval, Kind, Op, registered
from chainrule.ops.build import apply, input
from chainrule.shapes import BOOL, FLOAT32, FLOAT64, INT64, Array

Generator = np.random.Generator
MARGIN = 0.05  # around kinks, and between elements whose order matters


@dataclass(frozen=True)
class Sample:
    """An operation with operands that it takes, and attributes."""

    op: Op
    arrays: tuple[Array, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def on(self, operands: Sequence[Any]) -> Any:
        """The operation applied to other operands."""
        return apply(self.op, *operands, **self.attributes)

    @property
    def value(self) -> Array:
        return np.asarray(self.on(self.arrays))

    def leaves(self) -> tuple[Node, ...]:
        return tuple(input(array.shape, array.dtype) for array in self.arrays)


OPERATIONS = [name for name, op in registered().items() if op.kind is not Kind.LEAF]


def samples(name: str, dtype: Any = FLOAT64, seed: int = 0) -> list[Sample]:
    """Several samples of the operation called ``name``; its real operands are of type ``dtype``."""
    op, generator = registered()[name], np.random.default_rng(seed)
    recipe = RECIPES.get(name) or BY_KIND.get(op.kind)
    if recipe is None:
        raise AssertionError(f"operation {name!r} has no recipe in tests/ops/samples.py")
    found = [Sample(op, tuple(arrays), attributes) for arrays, attributes in recipe(op, generator)]
    return [
        Sample(op, tuple(_converted(array, dtype) for array in sample.arrays), sample.attributes)
        for sample in found
    ]


def _converted(array: Array, dtype: Any) -> Array:
    return array.astype(dtype) if array.dtype.kind == "f" else array


Recipe = Callable[[Op, Generator], "list[tuple[list[Array], dict[str, Any]]]"]

SHAPES: list[list[tuple[int, ...]]] = [
    [(), (), ()],
    [(3, 4), (3, 4), (3, 4)],
    [(3, 1), (4,), ()],
    [(), (2, 3), (2, 1)],
    [(0, 3), (1, 3), (3,)],
    [(1,), (5, 1), (1, 1)],
    [(5, 7), (5, 7), (7,)],
]


def needed_types(op: Op, count: int) -> list[Any]:
    """The operands' types: real ones if the operation takes them."""
    if op.coerce is None:
        return [FLOAT64] * count
    try:
        return list(op.coerce(*[FLOAT64] * count))
    except DtypeError:
        return list(op.coerce(*[INT64] * count))


def numbers(
    generator: Generator, shape: tuple[int, ...], dtype: Any, domain: Interval = REALS
) -> Array:
    """Random elements: of reals from the domain and not near its kinks, of integers 0 to 6."""
    if dtype == BOOL:
        return np.asarray(generator.integers(0, 2, shape), bool)
    if dtype.kind != "f":
        return np.asarray(generator.integers(0, 7, shape), dtype)
    found = generator.uniform(domain.low, domain.high, shape)
    for kink in domain.kinks:
        away = np.where(found >= kink, MARGIN, -MARGIN)
        found = np.where(np.abs(found - kink) < MARGIN, kink + 2 * away, found)
    return np.asarray(found, dtype)


def _elementwise(op: Op, generator: Generator) -> list[Any]:
    count = len(op.partials)
    types = needed_types(op, count)
    found = []
    for shapes in SHAPES:
        each = zip(shapes[:count], types, op.domain, strict=True)
        arrays = [numbers(generator, *particulars) for particulars in each]
        found.append((_apart(arrays) if count > 1 else arrays, {}))
    return found


def _apart(arrays: list[Array]) -> list[Array]:
    """Reals moved by a little, so that no element of one array is near one of another."""
    return [
        np.round(array, 1) + 0.033 * place if array.dtype.kind == "f" else array
        for place, array in enumerate(arrays)
    ]


def distinct(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Reals of which no two are close, in random order."""
    size = int(np.prod(shape))
    order = generator.permutation(size)
    return np.asarray((order - size / 2) * 2 * MARGIN + 0.01).reshape(shape)


def _reduction(op: Op, generator: Generator) -> list[Any]:
    (dtype,) = needed_types(op, 1)
    found = []
    for shape, axes in [((3, 4), (1,)), ((2, 3, 4), (0, 2)), ((5,), (0,)), ((2, 3), ()),
                        ((2, 1), (1,)), ((0, 3), (1,)), ((6, 7), (0, 1))]:  # fmt: skip
        combined = axes[-1:] if op.name in ("prod", "argmax", "argmin") else axes
        if op.name in ("argmax", "argmin") and not axes:
            continue
        x = distinct(generator, shape) if dtype == FLOAT64 else numbers(generator, shape, dtype)
        found += [([x], {"axes": combined, "keepdims": keepdims}) for keepdims in (False, True)]
    return found


def _scan(op: Op, generator: Generator) -> list[Any]:
    cases = [((3, 4), 1), ((3, 4), 0), ((5,), 0), ((2, 3, 4), 1), ((1, 1), 0), ((0, 3), 1)]
    return [([distinct(generator, shape)], {"axis": axis}) for shape, axis in cases]


def _matmul(op: Op, generator: Generator) -> list[Any]:
    cases = [
        ((2, 3), (3, 4), False, False),
        ((3, 2), (3, 4), True, False),
        ((2, 3), (4, 3), False, True),
        ((3, 2), (4, 3), True, True),
        ((5, 2, 3), (3, 4), False, False),
        ((5, 1, 2, 3), (6, 3, 4), False, False),
        ((3, 2), (2, 4, 3), True, True),
        ((0, 3), (3, 4), False, False),
        ((2, 0), (0, 4), False, False),
        ((9, 8), (8, 7), False, False),
    ]
    return [
        (
            [generator.uniform(-2, 2, a), generator.uniform(-2, 2, b)],
            {"transpose_a": transpose_a, "transpose_b": transpose_b},
        )
        for a, b, transpose_a, transpose_b in cases
    ]


def _movement(*cases: tuple[tuple[int, ...], dict[str, Any]]) -> Recipe:
    return lambda op, generator: [
        ([generator.uniform(-2, 2, shape)], attributes) for shape, attributes in cases
    ]


def _concat(op: Op, generator: Generator) -> list[Any]:
    cases = [([(2, 3), (4, 3)], 0), ([(2, 1), (2, 3), (2, 0)], 1), ([(3,)], 0)]
    return [
        ([generator.uniform(-2, 2, shape) for shape in shapes], {"axis": axis})
        for shapes, axis in cases
    ]


def _astype(op: Op, generator: Generator) -> list[Any]:
    whole = generator.integers(-5, 6, (3, 4))
    real = generator.uniform(-3, 3, (3, 4))
    return [
        ([real], {"dtype": FLOAT32}),
        ([real], {"dtype": FLOAT64}),
        ([real], {"dtype": INT64}),
        ([real], {"dtype": BOOL}),
        ([whole], {"dtype": FLOAT64}),
        ([whole], {"dtype": np.dtype(np.uint8)}),
        ([whole > 0], {"dtype": FLOAT32}),
        ([real[:0]], {"dtype": FLOAT32}),
    ]


def _take(op: Op, generator: Generator) -> list[Any]:
    cases: list[tuple[tuple[int, ...], Any, int]] = [
        ((5, 3), [0, 2, 2, -1], 0),
        ((2, 5), [[1, 4], [0, 0]], 1),
        ((5,), 3, 0),
        ((5, 2), np.zeros(0, int), 0),
        ((20, 3), [4] * 6, 0),
    ]
    return [
        ([generator.uniform(-2, 2, shape), np.asarray(indices)], {"axis": axis})
        for shape, indices, axis in cases
    ]


def _scatter_add(op: Op, generator: Generator) -> list[Any]:
    cases: list[tuple[tuple[int, ...], Any, int, int]] = [
        ((4, 3), [0, 2, 2, -1], 0, 5),
        ((2, 2, 2), [[1, 4], [0, 0]], 1, 6),
        ((3,), 1, 0, 4),
        ((0, 2), np.zeros(0, int), 0, 3),
    ]
    return [
        (
            [generator.uniform(-2, 2, shape), np.asarray(indices)],
            {"axis": axis, "size": size},
        )
        for shape, indices, axis, size in cases
    ]


def _one_hot(op: Op, generator: Generator) -> list[Any]:
    labels = [np.array([0, 2, 1, 2]), np.array(1), np.zeros((0, 2), int), np.array([[2], [0]])]
    return [
        ([each], {"classes": 3, "dtype": dtype}) for each in labels for dtype in (FLOAT64, BOOL)
    ]


def _random_bits(op: Op, generator: Generator) -> list[Any]:
    keys = [generator.integers(0, 2**32, shape, np.uint32) for shape in [(2,), (3, 2)]]
    return [
        ([key], {"shape": shape, "width": width})
        for key in keys
        for shape in [(), (3, 5), (0,)]
        for width in (8, 16, 32, 64)
    ]


def _fold_in(op: Op, generator: Generator) -> list[Any]:
    one, many = (generator.integers(0, 2**32, shape, np.uint32) for shape in [(2,), (3, 2)])
    return [
        ([one, np.array(7)], {}),
        ([many, np.array([1, 2, 2**40])], {}),
        ([many, np.array(0)], {}),
    ]


RECIPES: dict[str, Recipe] = {
    "astype": _astype,
    "reshape": _movement(
        ((2, 3), {"shape": (3, 2)}), ((2, 3), {"shape": (6,)}), ((), {"shape": (1, 1)}),
        ((0, 3), {"shape": (3, 0, 2)}),
    ),
    "permute_dims": _movement(
        ((2, 3, 4), {"axes": (2, 0, 1)}), ((5, 6), {"axes": (1, 0)}), ((), {"axes": ()}),
    ),
    "broadcast_to": _movement(
        ((3,), {"shape": (2, 3)}), ((2, 1), {"shape": (4, 2, 3)}), ((), {"shape": (5,)}),
        ((1, 3), {"shape": (0, 3)}),
    ),
    "slice": _movement(
        ((5, 4), {"starts": (1, 0), "stops": (5, 4), "steps": (2, 1)}),
        ((6,), {"starts": (1,), "stops": (6,), "steps": (3,)}),
        ((6,), {"starts": (2,), "stops": (2,), "steps": (1,)}),
    ),
    "flip": _movement(((3, 4), {"axes": (1,)}), ((3, 4), {"axes": (0, 1)}), ((3,), {"axes": ()})),
    "pad": _movement(
        ((2, 3), {"edges": ((1, 0), (2, 1)), "interior": (0, 0)}),
        ((3,), {"edges": ((0, 1),), "interior": (2,)}),
        ((0,), {"edges": ((1, 1),), "interior": (1,)}),
    ),
    "concat": _concat,
    "take": _take,
    "scatter_add": _scatter_add,
    "one_hot": _one_hot,
    "random_bits": _random_bits,
    "fold_in": _fold_in,
}  # fmt: skip

BY_KIND: dict[Kind, Recipe] = {
    Kind.ELEMENTWISE: _elementwise,
    Kind.REDUCTION: _reduction,
    Kind.SCAN: _scan,
    Kind.CONTRACTION: _matmul,
}
