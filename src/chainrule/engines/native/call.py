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
from enum import IntEnum
from functools import cache
from typing import Any

from chainrule.engines.native.emitter import module
from chainrule.engines.native.jit import Code, load_own, provide
from chainrule.engines.native.structured import I64, Part, Structured, functions
from chainrule.engines.native.target import Target, host
from chainrule.errors import ChainruleError, DataError, ShapeError
from chainrule.records import dataclass

ROW_STEP = 64  # work space grows by this many rows at a time
ALIGNMENT = 64  # of work space, in bytes
STACK_BYTES = 2**15  # more work space than this comes from the heap

_VIEW_WORDS = 10  # struct Py_buffer: buf, obj, len in words 0, 1, 2; the same from 3.11 to 3.14
_BUFFER, _LENGTH = 0, 2
_WRITABLE = 1  # PyBUF_WRITABLE; without PyBUF_STRIDES only C-contiguous memory is given
_FASTCALL = 0x80
_API = (
    "PyBytes_AsString",
    "PyErr_NoMemory",
    "PyErr_Occurred",
    "PyBuffer_Release",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyLong_AsLongLong",
    "PyLong_FromLongLong",
    "PyMem_RawFree",
    "PyMem_RawMalloc",
    "PyObject_GetBuffer",
)


class Plan(IntEnum):
    """The words that say how a function is called; its table's entries follow, five words each."""

    FUNCTION = 0
    ARGUMENTS = 1  # that Python passes, the rows included
    ARRAYS = 2
    ENTRIES = 3
    RELEASES = 4  # whether the GIL is released
    WORK = 5  # bytes of work space
    WORK_PER_ROW = 6


PLAN_WORDS, ENTRY_WORDS = 7, 5


class _Kind(IntEnum):
    FIXED, NUMBER, WORK, ARRAY = range(4)


class _Code(IntEnum):
    """What the shim returns in place of the function's own status, which is not negative."""

    RAISED = -1
    WRONG_COUNT = -2
    WRONG_ARRAY = -3  # in entry 0, by its size or its address; -4 in entry 1, and so on


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
    """

    name: str
    size: int = 0
    row_size: int = 0
    writable: bool = False
    alignment: int = 1


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
    """An entry of the table that is the same in each call, such as the address of constants."""

    value: int


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
        self.raw = _builtin(plan, name, (code, _shim()))

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
        if status == _Code.WRONG_COUNT:
            wanted, given = len(self.arguments), len(arguments)
            return ShapeError(f"{self.name} takes {wanted} arguments after rows, not {given}")
        entry = self.entries[_Code.WRONG_ARRAY - status]
        assert isinstance(entry, ArrayArgument)
        given = memoryview(arguments[self.arguments.index(entry)]).nbytes  # type: ignore[arg-type]
        wanted = entry.size + rows * entry.row_size
        if given == wanted:
            multiple = f"a multiple of {entry.alignment} bytes"
            return DataError(f"{self.name} needs {entry.name} to begin at {multiple}: pass a copy")
        return ShapeError(
            f"{self.name} needs {wanted} bytes in {entry.name} for {rows} rows, not {given}: pass"
            " an array of the shape and type it was compiled for"
        )


def text(target: Target) -> str:
    """The module with ``@call``, which Python calls with a plan as its self."""
    known = "ptr %plan, ptr %arguments, i64 %rows"
    places = "ptr %table, ptr %views, ptr %held, i64 %work"
    parts = (
        Part("call", "ptr %self, ptr %arguments, i64 %count", _call, "ptr", "external"),
        Part("gather", f"{known}, {places}", _gather, "i64"),
        Part("extent", "i64 %size, i64 %row_size, i64 %rows", _extent, "i64"),
    )
    texts, declarations = functions(target, parts, _Shim)
    return module(target, texts, declarations)


class _Shim(Structured):
    """Code that calls CPython."""

    def api(self, result: str, name: str, *arguments: str) -> str:
        """Call a function of CPython's; each argument with its type."""
        types = ", ".join(argument.split()[0] for argument in arguments)
        self.declare(name, f"declare {result} @{name}({types})")
        call = f"call {result} @{name}({', '.join(arguments)})"
        if result == "void":
            self.do(call)
            return ""
        return self.let(call)

    def word(self, base: str, index: str | int) -> str:
        return self.load(I64, self.pointer(base, str(index), "i64"))

    def object(self, index: str | int) -> str:
        """An argument that Python passed."""
        return self.let(f"load ptr, ptr {self.pointer('%arguments', str(index), 'ptr')}")

    def number(self, index: str | int, failed: str) -> str:
        """An argument as a number; returns ``failed`` from the function if it is none."""
        value = self.api("i64", "PyLong_AsLongLong", f"ptr {self.object(index)}")
        with self.when(self.binary("icmp eq", value, -1)):
            error = self.api("ptr", "PyErr_Occurred")
            with self.when(self.let(f"icmp ne ptr {error}, null")):
                self.do(f"ret {failed}")
        return value


def _call(emit: _Shim) -> None:
    """Check, gather, call, release."""
    plan = emit.api("ptr", "PyBytes_AsString", "ptr %self")
    wrong_count = emit.binary("icmp ne", "%count", emit.word(plan, Plan.ARGUMENTS))
    with emit.when(wrong_count):
        _return_code(emit, str(int(_Code.WRONG_COUNT)))
    rows = emit.number(0, "ptr null")
    table = emit.let(f"alloca i64, i64 {emit.word(plan, Plan.ENTRIES)}")
    views = emit.let(f"alloca [{_VIEW_WORDS} x i64], i64 {emit.word(plan, Plan.ARRAYS)}")
    held, status = emit.variable(), emit.let("alloca [4 x i64]")
    emit.do(f"store [4 x i64] zeroinitializer, ptr {status}")
    heap, work = _work_space(emit, plan, rows)
    code = emit.let(
        f"call i64 @gather(ptr {plan}, ptr %arguments, i64 {rows}, "
        f"ptr {table}, ptr {views}, ptr {held}, i64 {work})"
    )
    with emit.when(emit.binary("icmp eq", code, 0)):
        _call_function(emit, plan, f"ptr {table}, i64 {rows}, ptr {status}")
    with emit.loop("0", emit.load(I64, held)) as view:
        place = emit.pointer(views, view.index, f"[{_VIEW_WORDS} x i64]")
        emit.api("void", "PyBuffer_Release", f"ptr {place}")
    emit.api("void", "PyMem_RawFree", f"ptr {heap}")
    with emit.when(emit.binary("icmp eq", code, int(_Code.RAISED))):
        emit.do("ret ptr null")
    _return_code(emit, emit.binary("or", code, emit.load(I64, status)))


def _return_code(emit: _Shim, code: str) -> None:
    emit.do(f"ret ptr {emit.api('ptr', 'PyLong_FromLongLong', f'i64 {code}')}")


def _work_space(emit: _Shim, plan: str, rows: str) -> tuple[str, str]:
    """What is to be freed (a null pointer if nothing), and the aligned address of work space."""
    total = _extent_of(emit, emit.word(plan, Plan.WORK), emit.word(plan, Plan.WORK_PER_ROW), rows)
    is_large = emit.binary("icmp ugt", total, STACK_BYTES)
    on_stack = emit.let(f"select i1 {is_large}, i64 0, i64 {total}")
    stack = emit.let(f"alloca i8, i64 {on_stack}, align {ALIGNMENT}")
    heap, start = emit.let("alloca ptr"), emit.let("alloca ptr")
    emit.do(f"store ptr null, ptr {heap}")
    emit.do(f"store ptr {stack}, ptr {start}")
    with emit.when(is_large):
        padded = emit.intrinsic("llvm.uadd.sat", I64, total, str(ALIGNMENT))
        memory = emit.api("ptr", "PyMem_RawMalloc", f"i64 {padded}")
        with emit.when(emit.let(f"icmp eq ptr {memory}, null")):
            emit.do(f"ret ptr {emit.api('ptr', 'PyErr_NoMemory')}")
        emit.do(f"store ptr {memory}, ptr {heap}")
        emit.do(f"store ptr {memory}, ptr {start}")
    address = emit.let(f"ptrtoint ptr {emit.let(f'load ptr, ptr {start}')} to i64")
    raised = emit.binary("add", address, ALIGNMENT - 1)
    return emit.let(f"load ptr, ptr {heap}"), emit.binary("and", raised, -ALIGNMENT)


def _call_function(emit: _Shim, plan: str, arguments: str) -> None:
    releases = emit.binary("icmp ne", emit.word(plan, Plan.RELEASES), 0)
    thread = emit.let("alloca ptr")
    with emit.when(releases):
        emit.do(f"store ptr {emit.api('ptr', 'PyEval_SaveThread')}, ptr {thread}")
    place = emit.pointer(plan, str(int(Plan.FUNCTION)), "i64")
    emit.do(f"call void {emit.let(f'load ptr, ptr {place}')}({arguments})")
    with emit.when(releases):
        saved = emit.let(f"load ptr, ptr {thread}")
        emit.api("void", "PyEval_RestoreThread", f"ptr {saved}")


def _gather(emit: _Shim) -> None:
    """Fill the table; 0, or what is wrong. ``held`` counts the buffers that are to be released."""
    passed = emit.variable("1")
    with emit.loop("0", emit.word("%plan", Plan.ENTRIES)) as entry:
        first = emit.binary("add", emit.binary("mul", entry.index, ENTRY_WORDS), PLAN_WORDS)
        words = emit.pointer("%plan", first, "i64")
        kind, size, row_size, flags, low = (emit.word(words, i) for i in range(ENTRY_WORDS))
        place = emit.pointer("%table", entry.index, "i64")
        emit.store(I64, size, place)
        with emit.when(emit.binary("icmp eq", kind, int(_Kind.NUMBER))):
            failed = f"i64 {int(_Code.RAISED)}"
            emit.store(I64, emit.number(_next(emit, passed), failed), place)
        with emit.when(emit.binary("icmp eq", kind, int(_Kind.WORK))):
            offset = _extent_of(emit, size, row_size, "%rows")
            emit.store(I64, emit.binary("add", "%work", offset), place)
        with emit.when(emit.binary("icmp eq", kind, int(_Kind.ARRAY))):
            view = _buffer(emit, _next(emit, passed), flags)
            needed = emit.let(f"call i64 @extent(i64 {size}, i64 {row_size}, i64 %rows)")
            address = emit.word(view, _BUFFER)
            length = emit.word(view, _LENGTH)
            off = emit.binary("mul", emit.binary("and", address, low), length)  # 0 if empty
            wrong = emit.binary("or", off, emit.binary("sub", length, needed))
            with emit.when(emit.binary("icmp ne", wrong, 0)):
                emit.do(f"ret i64 {emit.binary('sub', str(int(_Code.WRONG_ARRAY)), entry.index)}")
            emit.store(I64, address, place)
    emit.do("ret i64 0")


def _next(emit: _Shim, passed: str) -> str:
    """The number of the next argument."""
    return emit.binary("sub", emit.increase(passed), 1)


def _buffer(emit: _Shim, argument: str, flags: str) -> str:
    """Where the description of an argument's buffer is; leaves the function if it gives none."""
    view = emit.pointer("%views", emit.load(I64, "%held"), f"[{_VIEW_WORDS} x i64]")
    array, narrow = emit.object(argument), emit.let(f"trunc i64 {flags} to i32")
    got = emit.api("i32", "PyObject_GetBuffer", f"ptr {array}", f"ptr {view}", f"i32 {narrow}")
    with emit.when(emit.let(f"icmp ne i32 {got}, 0")):
        emit.do(f"ret i64 {int(_Code.RAISED)}")
    emit.increase("%held")
    return view


def _extent_of(emit: _Shim, size: str, row_size: str, rows: str) -> str:
    """Bytes of work space: the rows are rounded up."""
    raised = emit.binary("add", rows, ROW_STEP - 1)
    rounded = emit.binary("and", raised, -ROW_STEP)
    return emit.let(f"call i64 @extent(i64 {size}, i64 {row_size}, i64 {rounded})")


def _extent(emit: _Shim) -> None:
    """size + row_size * rows; where that is negative or more than 63 bits, the largest number."""
    wide = [emit.let(f"sext i64 {x} to i128") for x in ("%size", "%row_size", "%rows")]
    product = emit.let(f"mul i128 {wide[1]}, {wide[2]}")
    total = emit.let(f"add i128 {product}, {wide[0]}")
    fits = emit.let(f"icmp ule i128 {total}, {2**63 - 1}")
    narrow = emit.let(f"trunc i128 {total} to i64")
    emit.do(f"ret i64 {emit.let(f'select i1 {fits}, i64 {narrow}, i64 {2**63 - 1}')}")


def _plan(address: int, entries: Sequence[Entry], releases_gil: bool) -> bytes:
    records: list[tuple[int, int, int, int, int]] = []
    work = row_work = 0
    for entry in entries:
        match entry:
            case ArrayArgument():
                flags, low = _WRITABLE * entry.writable, entry.alignment - 1
                records.append((_Kind.ARRAY, entry.size, entry.row_size, flags, low))
            case Number():
                records.append((_Kind.NUMBER, 0, 0, 0, 0))
            case Fixed():
                records.append((_Kind.FIXED, entry.value, 0, 0, 0))
            case Work():
                records.append((_Kind.WORK, work, row_work, 0, 0))
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


def _builtin(plan: bytes, name: str, codes: tuple[Code, Code]) -> Any:
    """A Python function whose code is the shim; its self is the plan, and owns all the rest."""
    method = _Method(name.encode(), codes[1].address("call"), _FASTCALL, None)
    owner = _Owner(plan)
    owner.needs = (method, codes)
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


@cache
def _shim() -> Code:
    for name in _API:
        provide(name, getattr(ctypes.pythonapi, name))
    return load_own("call", host(), text)
