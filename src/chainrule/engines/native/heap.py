"""Where the arrays come from that compiled code reads and writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chainrule.engines.native.call import CompiledFunction, Entry
from chainrule.engines.native.jit import Code
from chainrule.shapes import Array, Dtype, TensorType, bind_rows, fixed_shape

CACHE_LINE = 64


class Function(Protocol):
    """A compiled function as Python calls it; ``raw`` is the same without messages."""

    def __call__(self, rows: int, *arguments: object) -> int:
        """Its status."""

    def raw(self, rows: int, *arguments: object) -> int:
        """Its status, or a negative number where the arguments do not fit."""


class Heap:
    """Arrays that begin at a cache line."""

    def empty(self, size: int) -> Array:
        """So many bytes: (size,) uint8."""
        raw = np.empty(size + CACHE_LINE, np.uint8)
        start = -raw.ctypes.data % CACHE_LINE
        return raw[start : start + size]

    def array(self, type_: TensorType, rows: int | None = None) -> Array:
        """An array of a type, with its number of rows; what it holds is left over."""
        return self._shaped(fixed_shape(bind_rows(type_.shape, rows)), type_.dtype)

    def filled(self, value: float, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """An array of one number."""
        array = self._shaped(shape, dtype)
        array.fill(value)
        return array

    def given(self, array: Array, dtype: Dtype) -> Array:
        """The array itself if compiled code can read it as it lies, else a copy."""
        fits = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
        return array if fits else array.astype(dtype, "C")

    def copied(self, array: Array) -> Array:
        """A copy that compiled code may write to."""
        copy = self._shaped(array.shape, array.dtype)
        np.copyto(copy, array)
        return copy

    def _shaped(self, shape: tuple[int, ...], dtype: Dtype) -> Array:
        return self.empty(math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape)

    def function(
        self, code: Code, name: str, entries: Sequence[Entry], *, releases_gil: bool = False
    ) -> Function:
        """A compiled function as Python calls it: ``f(rows, *arguments)`` gives its status."""
        return CompiledFunction(code, name, entries, releases_gil=releases_gil)

    def check(self) -> None:
        """Raise if code wrote beside an array; an ordinary heap cannot tell."""
