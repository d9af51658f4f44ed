"""Where a node's elements lie: an address, and a stride for each axis. Views cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.sizes import (
    ZERO,
    Size,
    extent_size,
    is_contiguous,
    natural_strides,
    scaled,
)
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import Dtype, Shape


@dataclass(frozen=True)
class Access:
    """How to reach the elements of one array.

    Attributes
    ----------
    pointer : str
        The name of its address in the function.
    dtype : numpy.dtype
    shape : tuple
    strides : tuple of Size
        In elements; 0 along an axis that is repeated.
    offset : tuple of Size
        What to add to the address, in elements: the sum of these.
    """

    pointer: str
    dtype: Dtype
    shape: Shape
    strides: tuple[Size, ...]
    offset: tuple[Size, ...] = ()

    @classmethod
    def contiguous(cls, pointer: str, node: Node) -> Access:
        """The access of a node whose elements lie one after the other."""
        return cls(pointer, node.dtype, node.shape, natural_strides(node.shape))

    def broadcast(self, shape: Shape) -> tuple[Size, ...]:
        """The strides along the axes of a larger shape."""
        new = len(shape) - len(self.shape)
        own = [
            ZERO if extent == 1 else stride
            for extent, stride in zip(self.shape, self.strides, strict=True)
        ]
        return (*[ZERO] * new, *own)

    def address(self, emit: Emitter, terms: list[tuple[str, Size]]) -> str:
        """The address of the element at the sum of ``index * stride``."""
        element = Vector.of(self.dtype, 1).element
        pointer = self.pointer
        for size in self.offset:
            pointer = emit.pointer(pointer, size.emit(emit), element)
        for index, stride in terms:
            if stride != ZERO and index != "0":
                step = emit.integer("mul", index, stride.emit(emit))
                pointer = emit.pointer(pointer, step, element)
        return pointer


def view(node: Node, of: Access) -> Access | None:
    """The access of a view of an array; None if its elements must be copied first."""
    found: Access | None = _VIEWS[node.op.name](node, of)
    return found


def _reshape(node: Node, of: Access) -> Access | None:
    if is_contiguous(of.shape, of.strides):
        return replace(of, shape=node.shape, strides=natural_strides(node.shape))
    kept = [
        (extent, stride) for extent, stride in zip(of.shape, of.strides, strict=True) if extent != 1
    ]
    if [extent for extent, _ in kept] == [extent for extent in node.shape if extent != 1]:
        strides = iter([stride for _, stride in kept])
        return replace(
            of,
            shape=node.shape,
            strides=tuple([ZERO if e == 1 else next(strides) for e in node.shape]),
        )
    if all(stride == ZERO for _, stride in kept):
        return replace(of, shape=node.shape, strides=(ZERO,) * node.ndim)
    return None


def _permute(node: Node, of: Access) -> Access:
    return replace(
        of, shape=node.shape, strides=tuple([of.strides[axis] for axis in node.attributes["axes"]])
    )


def _broadcast(node: Node, of: Access) -> Access:
    return replace(of, shape=node.shape, strides=of.broadcast(node.shape))


def _slice(node: Node, of: Access) -> Access:
    attributes = node.attributes
    starts = attributes["starts"]
    offset = tuple(
        [scaled(stride, start) for start, stride in zip(starts, of.strides, strict=True) if start]
    )
    strides = tuple(
        [scaled(stride, step) for stride, step in zip(of.strides, attributes["steps"], strict=True)]
    )
    return replace(of, shape=node.shape, strides=strides, offset=(*of.offset, *offset))


def _flip(node: Node, of: Access) -> Access:
    strides, offset = list(of.strides), list(of.offset)
    for axis in node.attributes["axes"]:
        last = extent_size(of.shape[axis])
        whole = last.times(strides[axis])  # extent * stride, then one step back
        offset += [whole, scaled(strides[axis], -1)]
        strides[axis] = scaled(strides[axis], -1)
    return replace(of, strides=tuple(strides), offset=tuple(offset))


_VIEWS: dict[str, Callable[[Node, Access], Any]] = {
    "reshape": _reshape,
    "permute_dims": _permute,
    "broadcast_to": _broadcast,
    "slice": _slice,
    "flip": _flip,
}
