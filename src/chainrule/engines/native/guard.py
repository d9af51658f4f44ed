"""A test mode: arrays between pages that nobody may touch.

With CHAINRULE_GUARD=end in the environment (or ``start``) every array that compiled code reads or
writes ends (or begins) where such a page lies, so that the first access outside stops the process;
on the other side, and on systems without such pages, stand canaries, looked at after every call.
What nobody has written yet is NaN.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.engines.native.call import ArrayArgument, Entry, Fixed, Number, Work
from chainrule.engines.native.calling import ROW_STEP, Status
from chainrule.engines.native.heap import Function, Heap
from chainrule.engines.native.jit import Code
from chainrule.errors import ParameterError
from chainrule.shapes import INT64, Array, Dtype

PAGE = mmap.PAGESIZE
CLOSED = 0 if sys.platform == "win32" else PAGE  # bytes at either end of a region
VARIABLE = "CHAINRULE_GUARD"
SIDES = ("end", "start")
UNWRITTEN, CANARY = 0xFF, 0xA5  # bytes; four or eight of the first are a NaN
NO_ACCESS = 0  # PROT_NONE


class GuardedHeap(Heap):
    """Arrays between pages that nobody may touch.

    Parameters
    ----------
    side : str
        Where the page is that an array touches: at its ``end``, or at its ``start``.
    """

    def __init__(self, side: str = "end") -> None:
        if side not in SIDES:
            raise ParameterError(f"arrays are guarded at their 'end' or 'start', not {side!r}")
        self.side = side
        self._regions: list[tuple[weakref.ref[Array], int, int]] = []

    def empty(self, size: int) -> Array:
        """So many bytes, none of them written."""
        inner = max(1, -(-size // PAGE)) * PAGE
        region = np.frombuffer(mmap.mmap(-1, inner + 2 * PAGE), np.uint8)
        _open_part(region)[...] = CANARY
        for place in (0, inner + PAGE):
            _close(region.ctypes.data + place)
        start = PAGE + (inner - size if self.side == "end" else 0)
        self._regions.append((weakref.ref(region), start, start + size))
        array: Array = region[start : start + size]
        array.fill(UNWRITTEN)
        return array

    def given(self, array: Array, dtype: Dtype) -> Array:
        """A copy between guards."""
        copy = self.empty(array.size * dtype.itemsize).view(dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def function(
        self, code: Code, name: str, entries: Sequence[Entry], *, releases_gil: bool = True
    ) -> Function:
        """A compiled function whose results and work space are between guards as well."""
        return GuardedFunction(self, code, name, entries)

    def check(self) -> None:
        """Raise if a canary is gone.

        Raises
        ------
        AssertionError
            With the place of the byte that was written.
        """
        self._regions = [kept for kept in self._regions if kept[0]() is not None]
        for reference, start, end in self._regions:
            region = reference()
            if region is not None:
                touched = np.flatnonzero(_open_part(region) != CANARY) + CLOSED
                outside = touched[(touched < start) | (touched >= end)]
                if outside.size:
                    raise AssertionError(
                        f"compiled code wrote byte {outside[0] - start} of {end - start} bytes"
                    )


def _open_part(region: Array) -> Array:
    """What can be looked at."""
    return region[CLOSED : len(region) - CLOSED]


def _close(address: int) -> None:
    """Make a page one that nobody may touch."""
    if sys.platform == "win32":
        return
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    if protect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), NO_ACCESS):
        raise OSError(ctypes.get_errno(), "a page could not be closed to access")


class GuardedFunction:
    """A compiled ``void name(ptr table, i64 rows, ptr status)``, called between guards.

    Parameters
    ----------
    heap : GuardedHeap
    code, name, entries
        As for :class:`~chainrule.engines.native.call.CompiledFunction`.
    """

    def __init__(self, heap: GuardedHeap, code: Code, name: str, entries: Sequence[Entry]) -> None:
        self.heap, self.entries = heap, tuple(entries)
        address, count = ctypes.c_void_p, ctypes.c_int64
        self._function = code.function(name, None, address, count, address)

    def __call__(self, rows: int, *arguments: Any) -> int:
        """Call it with an array for each ArrayArgument and an int for each Number: its status."""
        given = iter(arguments)
        kept: list[Array] = []
        results: list[tuple[Array, Array]] = []
        words: list[int] = []
        for entry in self.entries:
            match entry:
                case Fixed():
                    words.append(entry.value)
                case Number():
                    words.append(next(given))
                case Work():
                    kept.append(self._work(entry, rows))
                    words.append(kept[-1].ctypes.data)
                case ArrayArgument():
                    array = next(given)
                    if entry.finite and not np.isfinite(array).all():
                        return Status.WRONG_ARRAY - len(words)
                    kept.append(self._copied(entry, array, rows))
                    words.append(kept[-1].ctypes.data)
                    results += [(array, kept[-1])] * entry.writable
        table = self.heap.given(np.array(words, np.uint64), np.dtype(np.uint64))
        status = self.heap.filled(0, (4,), INT64)
        self._function(table.ctypes.data, rows, status.ctypes.data)
        self.heap.check()
        for array, own in results:
            array.reshape(-1).view(np.uint8)[...] = own
        return int(status[0])

    raw = __call__

    def _copied(self, entry: ArrayArgument, array: Array, rows: int) -> Array:
        """The bytes of an array that is read, or unwritten ones."""
        own = self.heap.empty(entry.size + rows * entry.row_size)
        if not entry.writable:
            own[...] = array.reshape(-1).view(np.uint8)
        return own

    def _work(self, entry: Work, rows: int) -> Array:
        steps = -(-rows // ROW_STEP) * ROW_STEP
        return self.heap.empty(entry.size + steps * entry.row_size)


def default_heap() -> Heap:
    """An ordinary heap, or one with guards where the environment asks for it."""
    side = os.environ.get(VARIABLE)
    return GuardedHeap(side) if side else Heap()
