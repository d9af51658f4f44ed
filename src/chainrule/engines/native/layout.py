"""What a compiled function's table must hold: kept beside object code, rebuilt without lowering."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import numpy as np

from chainrule.engines.native.calling import ROW_STEP
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ProductSpec, common_bytes, scratch_bytes
from chainrule.graph.graph import Graph
from chainrule.records import dataclass
from chainrule.shapes import Array

FUNCTION, RUNNER = "compute", "run"  # names of what is called: of a graph, of a program
SHUFFLED, DRAWN = "shuffled", "drawn"  # of the functions that order an epoch's rows
LENGTH_BYTES = 8  # of the description, before it
SIZES = "sizes"  # of the objects behind it
DIGIT_BITS = 8  # of a radix sort: with more, what it writes to outgrows the first-level cache
FEW_BITS = 12  # of a number of rows that are sorted by one digit
BUCKETS = 1 << max(DIGIT_BITS, FEW_BITS)
COUNTER_BYTES, PAIR_BYTES = 4, 8
SPARE_PAIRS = 16  # behind the last: two of the widest vectors


@dataclass(frozen=True)
class Layout:
    """The part of a function's table that no caller passes.

    Attributes
    ----------
    constants : list of arrays
    fixed_bytes, row_bytes : int
        Sizes of the arena's two parts: fixed, and for each row (rounded up to ROW_STEP).
    products : list of ProductSpec
        The matrix products, which share scratch memory.
    shared_from : int or None
        From how many rows on threads share some of the work; None if they never do.
    fields : list of str
        What a program's ``run`` reads at its start, in order.
    """

    constants: list[Array]
    fixed_bytes: int
    row_bytes: int
    products: list[ProductSpec]
    shared_from: int | None
    fields: list[str]

    def scratch(self, target: Target, rows: int) -> int:
        """Bytes of scratch memory that one thread needs, for up to so many rows."""
        return max([scratch_bytes(spec, target, rows) for spec in self.products], default=0)

    def common(self, target: Target, rows: int) -> int:
        """Bytes of memory that threads have in common, for up to so many rows."""
        return max([common_bytes(spec, target, rows) for spec in self.products], default=0)

    def arena(self, rows: int) -> list[int]:
        """Bytes of the arena's two parts, for up to so many rows."""
        steps = -(-rows // ROW_STEP) * ROW_STEP
        return [self.fixed_bytes, steps * self.row_bytes]


def sorting_bytes(rows: int) -> int:
    """The work space that shuffling so many rows takes: counters, and two arrays of pairs."""
    return BUCKETS * COUNTER_BYTES + 2 * PAIR_BYTES * (rows + SPARE_PAIRS)


def packed(layout: Layout, graph: Graph, objects: Sequence[bytes]) -> bytes:
    """A layout and objects' code as one string; constants of the graph are not copied into it."""
    numbers = {id(array): number for number, array in enumerate(_payloads(graph))}
    fields = {
        **asdict(layout),
        "constants": [numbers.get(id(array), _written(array)) for array in layout.constants],
        "products": [{**asdict(x), "dtype": x.dtype.name} for x in layout.products],
        SIZES: [len(code) for code in objects],
    }
    text = json.dumps(fields).encode()
    return b"".join([len(text).to_bytes(LENGTH_BYTES, "little"), text, *objects])


def object_codes(content: bytes) -> list[bytes]:
    """What follows the layout, object by object."""
    sizes = _fields(content)[SIZES]
    ends = list(accumulate(sizes, initial=_end(content)))
    return [content[end - size : end] for end, size in zip(ends[1:], sizes, strict=True)]


def unpacked(content: bytes, graph: Graph) -> Layout:
    """The layout, with the graph's constants in it."""
    fields = _fields(content)
    del fields[SIZES]
    given = _payloads(graph)
    constants = [given[x] if isinstance(x, int) else _read(*x) for x in fields.pop("constants")]
    products = [
        ProductSpec(**{**each, "dtype": np.dtype(each["dtype"])}) for each in fields.pop("products")
    ]
    return Layout(constants, products=products, **fields)


def _fields(content: bytes) -> dict[str, Any]:
    """All that is written before the code."""
    fields: dict[str, Any] = json.loads(content[LENGTH_BYTES : _end(content)])
    return fields


def _end(content: bytes) -> int:
    """Where the layout ends."""
    return LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")


def _payloads(graph: Graph) -> list[Array]:
    return [node.payload for node in graph.nodes if node.payload is not None]


def _written(array: Array) -> tuple[str, Sequence[int], str]:
    """An array that lowering made, such as the numbers of classes."""
    return array.dtype.str, array.shape, array.tobytes().hex()


def _read(dtype: str, shape: Any, content: str) -> Array:
    return np.frombuffer(bytes.fromhex(content), dtype).reshape(shape)
