"""The compiled side of `call`: a function with CPython's own calling convention.

Its self is a plan: the address of a compiled function, and what the entries of its table are. It
checks the arguments, fills the table, calls, and gives the arrays' buffers back.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf

from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.structured import I64, Part, Structured

ROW_STEP = 64  # work space grows by this many rows at a time
ALIGNMENT = 64  # of work space, in bytes
STACK_BYTES = 2**15  # more work space than this comes from the heap

_VIEW_WORDS = 10  # struct Py_buffer: buf, obj, len in words 0, 1, 2; the same from 3.11 to 3.14
_BUFFER, _LENGTH = 0, 2
FINITE = {4: 1 << 32, 8: 1 << 33}  # flags that CPython does not see, by the bytes of an element
WRITABLE = 1  # PyBUFWRITABLE; without PyBUF_STRIDES only C-contiguous memory is given
API = (
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


class Kind(IntEnum):
    """What an entry of the table is."""

    FIXED, NUMBER, WORK, ARRAY = range(4)


class Status(IntEnum):
    """What the shim returns in place of the function's own status, which is not negative."""

    RAISED = -1
    WRONG_COUNT = -2
    WRONG_ARRAY = -3  # in entry 0: its size, its address, its numbers; -4 in entry 1, and so on


class Shim(Structured):
    """Code that calls CPython."""

    def api(self, result: str, name: str, *arguments: str) -> str:
        """Call a function of CPython's; each argument with its type."""
        types = ", ".join(argument.split()[0] for argument in arguments)
        self.declare_foreign(name, result, types)
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


def _call(emit: Shim) -> None:
    """Check, gather, call, release."""
    plan = emit.api("ptr", "PyBytes_AsString", "ptr %self")
    wrong_count = emit.binary("icmp ne", "%count", emit.word(plan, Plan.ARGUMENTS))
    with emit.when(wrong_count):
        _return_code(emit, str(int(Status.WRONG_COUNT)))
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
    with emit.when(emit.binary("icmp eq", code, int(Status.RAISED))):
        emit.do("ret ptr null")
    _return_code(emit, emit.binary("or", code, emit.load(I64, status)))


def _return_code(emit: Shim, code: str) -> None:
    emit.do(f"ret ptr {emit.api('ptr', 'PyLong_FromLongLong', f'i64 {code}')}")


def _work_space(emit: Shim, plan: str, rows: str) -> tuple[str, str]:
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


def _call_function(emit: Shim, plan: str, arguments: str) -> None:
    releases = emit.binary("icmp ne", emit.word(plan, Plan.RELEASES), 0)
    thread = emit.let("alloca ptr")
    with emit.when(releases):
        emit.do(f"store ptr {emit.api('ptr', 'PyEval_SaveThread')}, ptr {thread}")
    place = emit.pointer(plan, str(int(Plan.FUNCTION)), "i64")
    emit.do(f"call void {emit.let(f'load ptr, ptr {place}')}({arguments})")
    with emit.when(releases):
        saved = emit.let(f"load ptr, ptr {thread}")
        emit.api("void", "PyEval_RestoreThread", f"ptr {saved}")


def _gather(emit: Shim) -> None:
    """Fill the table; 0, or what is wrong. ``held`` counts the buffers that are to be released."""
    passed = emit.variable("1")
    with emit.loop("0", emit.word("%plan", Plan.ENTRIES)) as entry:
        first = emit.binary("add", emit.binary("mul", entry.index, ENTRY_WORDS), PLAN_WORDS)
        words = emit.pointer("%plan", first, "i64")
        kind, size, row_size, flags, low = (emit.word(words, i) for i in range(ENTRY_WORDS))
        place = emit.pointer("%table", entry.index, "i64")
        emit.store(I64, size, place)
        with emit.when(emit.binary("icmp eq", kind, int(Kind.NUMBER))):
            failed = f"i64 {int(Status.RAISED)}"
            emit.store(I64, emit.number(_next(emit, passed), failed), place)
        with emit.when(emit.binary("icmp eq", kind, int(Kind.WORK))):
            offset = _extent_of(emit, size, row_size, "%rows")
            emit.store(I64, emit.binary("add", "%work", offset), place)
        with emit.when(emit.binary("icmp eq", kind, int(Kind.ARRAY))):
            view = _buffer(emit, _next(emit, passed), flags)
            needed = emit.let(f"call i64 @extent(i64 {size}, i64 {row_size}, i64 %rows)")
            address = emit.word(view, _BUFFER)
            length = emit.word(view, _LENGTH)
            off = emit.binary("mul", emit.binary("and", address, low), length)  # 0 if empty
            wrong = emit.binary("or", off, emit.binary("sub", length, needed))
            failed = emit.binary("sub", str(int(Status.WRONG_ARRAY)), entry.index)
            with emit.when(emit.binary("icmp ne", wrong, 0)):
                emit.do(f"ret i64 {failed}")
            with emit.when(emit.binary("icmp uge", flags, min(FINITE.values()))):
                known = f"i64 {address}, i64 {length}, i64 {flags}"
                finite = emit.let(f"call i1 @finite({known})")
                with emit.when(emit.let(f"xor i1 {finite}, true")):
                    emit.do(f"ret i64 {failed}")
            emit.store(I64, address, place)
    emit.do("ret i64 0")


def _next(emit: Shim, passed: str) -> str:
    """The number of the next argument."""
    return emit.binary("sub", emit.increase(passed), 1)


def _buffer(emit: Shim, argument: str, flags: str) -> str:
    """Where the description of an argument's buffer is; leaves the function if it gives none."""
    view = emit.pointer("%views", emit.load(I64, "%held"), f"[{_VIEW_WORDS} x i64]")
    array, narrow = emit.object(argument), emit.let(f"trunc i64 {flags} to i32")
    got = emit.api("i32", "PyObject_GetBuffer", f"ptr {array}", f"ptr {view}", f"i32 {narrow}")
    with emit.when(emit.let(f"icmp ne i32 {got}, 0")):
        emit.do(f"ret i64 {int(Status.RAISED)}")
    emit.increase("%held")
    return view


def _extent_of(emit: Shim, size: str, row_size: str, rows: str) -> str:
    """Bytes of work space: the rows are rounded up."""
    raised = emit.binary("add", rows, ROW_STEP - 1)
    rounded = emit.binary("and", raised, -ROW_STEP)
    return emit.let(f"call i64 @extent(i64 {size}, i64 {row_size}, i64 {rounded})")


def _extent(emit: Shim) -> None:
    """size + row_size * rows; where that is negative or more than 63 bits, the largest number."""
    wide = [emit.let(f"sext i64 {x} to i128") for x in ("%size", "%row_size", "%rows")]
    product = emit.let(f"mul i128 {wide[1]}, {wide[2]}")
    total = emit.let(f"add i128 {product}, {wide[0]}")
    fits = emit.let(f"icmp ule i128 {total}, {2**63 - 1}")
    narrow = emit.let(f"trunc i128 {total} to i64")
    emit.do(f"ret i64 {emit.let(f'select i1 {fits}, i64 {narrow}, i64 {2**63 - 1}')}")


def _finite(emit: Shim) -> None:
    """Whether no element is NaN or infinite."""
    start = emit.let("inttoptr i64 %address to ptr")
    for size, flag in FINITE.items():
        type_ = Vector({4: "float", 8: "double"}[size], 1)
        with emit.when(emit.binary("icmp eq", "%flags", flag)):
            count = emit.binary("udiv", "%length", size)
            with emit.loop("0", count, carried=[(Vector("i1", 1), "true")]) as loop:
                value = emit.load(type_, emit.pointer(start, loop.index, type_.element))
                magnitude = emit.intrinsic("llvm.fabs", type_, value)
                bounded = emit.let(f"fcmp olt {type_} {magnitude}, {type_.constant(inf)}")
                loop.following = [emit.let(f"and i1 {loop.values[0]}, {bounded}")]
            emit.do(f"ret i1 {loop.values[0]}")
    emit.do("ret i1 true")


_KNOWN = "ptr %plan, ptr %arguments, i64 %rows"
_PLACES = "ptr %table, ptr %views, ptr %held, i64 %work"
PARTS = (  # ``@call`` is what Python calls
    Part("call", "ptr %self, ptr %arguments, i64 %count", _call, "ptr", "external"),
    Part("gather", f"{_KNOWN}, {_PLACES}", _gather, "i64"),
    Part("finite", "i64 %address, i64 %length, i64 %flags", _finite, "i1"),
    Part("extent", "i64 %size, i64 %row_size, i64 %rows", _extent, "i64"),
)
