"""Sizes that are numbers, or numbers times the rows of the batch at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.engines.native.emitter import Emitter
from chainrule.errors import ShapeError
from chainrule.shapes import Extent, Shape


class Size(NamedTuple):
    """``number``, or ``number * rows`` if ``of_rows``.

    >>> Size(10, True).times(Size(4))
    Size(number=40, of_rows=True)
    """

    number: int
    of_rows: bool = False

    def times(self, other: Size) -> Size:
        """The product; rows occur at most once in a shape."""
        if self.number == 0 or other.number == 0:
            return Size(0)
        if self.of_rows and other.of_rows:
            raise ShapeError("the number of rows occurs twice in one shape")
        return Size(self.number * other.number, self.of_rows or other.of_rows)

    def emit(self, emit: Emitter) -> str:
        """The size as an i64 operand; ``%rows`` is the function's parameter."""
        if not self.of_rows:
            return str(self.number)
        return "%rows" if self.number == 1 else emit.let(f"mul i64 %rows, {self.number}")


ZERO, ONE = Size(0), Size(1)


def extent_size(extent: Extent) -> Size:
    """The size of one axis."""
    return Size(extent) if isinstance(extent, int) else Size(1, True)


def shape_size(shape: Shape) -> Size:
    """The number of elements."""
    total = ONE
    for extent in shape:
        total = total.times(extent_size(extent))
    return total


def natural_strides(shape: Shape) -> tuple[Size, ...]:
    """The strides of a contiguous array, in elements."""
    strides, step = [], ONE
    for extent in reversed(shape):
        strides.append(step)
        step = step.times(extent_size(extent))
    return tuple(reversed(strides))


def scaled(stride: Size, factor: int) -> Size:
    """A stride times a number."""
    return Size(stride.number * factor, stride.of_rows)


def is_contiguous(shape: Shape, strides: Sequence[Size]) -> bool:
    """Whether elements lie one after the other; axes of size 1 do not matter."""
    pairs = zip(shape, strides, natural_strides(shape), strict=True)
    return all(extent == 1 or stride == natural for extent, stride, natural in pairs)
