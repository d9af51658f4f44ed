"""Calling compiled functions from Python in about a microsecond.

A compiled function takes a table of addresses. To fill it in Python costs more than a small
network takes to run (``array.ctypes.data`` alone is a microsecond each), so compiled code does it:
a function with CPython's own calling convention (``METH_FASTCALL``) asks each array for its buffer
(PEP 3118), checks writability, contiguity, size and alignment, sets work space aside, calls, and
gives the buffers back. Only functions of CPython's stable ABI are used, and no address is in the
object.

While the buffers are held, no thread can resize or free the arrays.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any

from chainrule.engines.native.calling import ALIGNMENT, FINITE, WRITABLE, Kind, Status
from chainrule.engines.native.jit import Code
from chainrule.engines.native.runtime import BASIS, runtime
from chainrule.errors import ChainruleError, DataError, ShapeError
from chainrule.records import dataclass

_FASTCALL = 0x80  # METH_FASTCALL


@dataclass(frozen=True)
class ArrayArgument:
    """An entry of the table: the address of an array that Python passes.

    Attributes
    ----------
    name : str
        For messages.
    size, row_size : int
        Its bytes: ``size + row_size * rows``, exactly.
    writable : bool
        Whether the function writes to it.
    alignment : int
        Its address is a multiple of so many bytes, a power of two.
    finite : int
        Bytes of its elements, 4 or 8, where NaN and infinity are refused; 0 where they are not.
    """

    name: str
    size: int = 0
    row_size: int = 0
    writable: bool = False
    alignment: int = 1
    finite: int = 0


@dataclass(frozen=True)
class Number:
    """An entry of the table: a 64-bit integer that Python passes, such as an address.

    Attributes
    ----------
    name : str
        For messages.
    """

    name: str


@dataclass(frozen=True)
class Fixed:
    """An entry of the table that is the same in each call, such as the address of constants.

    Attributes
    ----------
    value : int
    owner : object, optional
        What lies at that address: it stays alive with the function.
    """

    value: int
    owner: object = None


@dataclass(frozen=True)
class Work:
    """An entry of the table: the address of work space, this call's alone.

    Attributes
    ----------
    size, row_size : int
        Bytes; rows are rounded up to a multiple of ROW_STEP.
    """

    size: int = 0
    row_size: int = 0


Entry = ArrayArgument | Number | Fixed | Work


class CompiledFunction:
    """A compiled ``void name(ptr table, i64 rows, ptr status)`` as a Python function.

    Parameters
    ----------
    code : Code
    name : str
    entries : sequence of Entry
        What its table holds, in order.
    releases_gil : bool
        Whether other Python threads run in the meantime: costs 0.1 us, right for long work.

    Attributes
    ----------
    raw : callable
        ``raw(rows, *arguments)`` without messages: the status word, or a negative number where
        the arguments do not fit, or a plain BufferError, ValueError, TypeError or OverflowError.
    """

    def __init__(
        self, code: Code, name: str, entries: Sequence[Entry], *, releases_gil: bool = False
    ) -> None:
        self.name = name
        self.entries = tuple(entries)
        self.arguments = [x for x in self.entries if isinstance(x, (ArrayArgument, Number))]
        plan = _plan(code.address(name), self.entries, releases_gil)
        owners = [entry.owner for entry in self.entries if isinstance(entry, Fixed)]
        self.raw = _builtin(plan, name, (code, runtime(BASIS)), owners)

    def __call__(self, rows: int, *arguments: object) -> int:
        """Call it: the first of its status words, 0 if all went well.

        Parameters
        ----------
        rows : int
        *arguments
            An array for each ArrayArgument and an int for each Number, in their order.

        Raises
        ------
        ShapeError
            If an array has another size than the function was compiled for.
        DataError
            If an argument is no C-contiguous array, begins at no multiple of its alignment, or is
            read-only and the function writes to it.
        MemoryError
            If there is not enough memory for work space.
        """
        try:
            status: int = self.raw(rows, *arguments)
        except (BufferError, OverflowError, TypeError, ValueError) as reason:
            raise DataError(self._refusal(arguments, reason)) from reason
        except MemoryError as reason:
            message = f"{self.name} has no memory for its work on {rows} rows: pass fewer at a time"
            raise MemoryError(message) from reason
        if status < 0:
            raise self._mismatch(status, rows, arguments)
        return status

    def _refusal(self, arguments: Sequence[object], reason: Exception) -> str:
        for entry, argument in zip(self.arguments, arguments, strict=True):
            if isinstance(entry, ArrayArgument) and not _is_buffer(argument, entry.writable):
                kind = "writable, C-contiguous" if entry.writable else "C-contiguous"
                return f"{self.name} needs a {kind} array as {entry.name} ({reason})"
        return f"{self.name} needs a whole number of 64 bits ({reason})"

    def _mismatch(self, status: int, rows: int, arguments: Sequence[object]) -> ChainruleError:
        if status == Status.WRONG_COUNT:
            wanted, given = len(self.arguments), len(arguments)
            return ShapeError(f"{self.name} takes {wanted} arguments after rows, not {given}")
        entry = self.entries[Status.WRONG_ARRAY - status]
        assert isinstance(entry, ArrayArgument)
        given = memoryview(arguments[self.arguments.index(entry)]).nbytes  # type: ignore[arg-type]
        wanted = entry.size + rows * entry.row_size
        if given == wanted:
            kind = f"begin at a multiple of {entry.alignment} bytes" + " and be finite" * bool(
                entry.finite
            )
            return DataError(f"{self.name} needs {entry.name} to {kind}: pass a copy")
        return ShapeError(
            f"{self.name} needs {wanted} bytes in {entry.name} for {rows} rows, not {given}: pass"
            " an array of the shape and type it was compiled for"
        )


def _plan(address: int, entries: Sequence[Entry], releases_gil: bool) -> bytes:
    records: list[tuple[int, int, int, int, int]] = []
    work = row_work = 0
    for entry in entries:
        match entry:
            case ArrayArgument():
                flags = WRITABLE * entry.writable | FINITE.get(entry.finite, 0)
                low = entry.alignment - 1
                records.append((Kind.ARRAY, entry.size, entry.row_size, flags, low))
            case Number():
                records.append((Kind.NUMBER, 0, 0, 0, 0))
            case Fixed():
                records.append((Kind.FIXED, entry.value, 0, 0, 0))
            case Work():
                records.append((Kind.WORK, work, row_work, 0, 0))
                work += -(-entry.size // ALIGNMENT) * ALIGNMENT
                row_work += entry.row_size  # times a multiple of ROW_STEP: aligned as well
    arrays = sum(isinstance(entry, ArrayArgument) for entry in entries)
    passed = 1 + sum(isinstance(entry, (ArrayArgument, Number)) for entry in entries)
    header = (address, passed, arrays, len(entries), releases_gil, work + ALIGNMENT, row_work)
    words = [*header, *(word for record in records for word in record)]
    return struct.pack(f"={len(words)}q", *words)


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _builtin(plan: bytes, name: str, codes: tuple[Code, Code], owners: Sequence[object]) -> Any:
    """A Python function whose code is the shim; its self is the plan, and owns all the rest."""
    method = _Method(name.encode(), codes[1].address("call"), _FASTCALL, None)
    owner = _Owner(plan)
    owner.needs = (method, codes, owners)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(method), owner, None)


class _Owner(bytes):
    """A plan that keeps alive what its function needs."""

    needs: tuple[object, ...]


def _is_buffer(value: object, writable: bool) -> bool:
    try:
        view = memoryview(value)  # type: ignore[arg-type]
    except (BufferError, TypeError, ValueError):
        return False
    return view.c_contiguous and not (writable and view.readonly)
