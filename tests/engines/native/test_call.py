"""Calls from Python: the right table, nothing outside the buffers, clear words for the rest."""

from __future__ import annotations

import dataclasses
import gc
import sys
import threading
from functools import cache

import numpy as np
import pytest

from chainrule.engines.native import jit
from chainrule.engines.native.call import (
    ArrayArgument,
    CompiledFunction,
    Fixed,
    Number,
    Work,
)
from chainrule.engines.native.calling import ALIGNMENT, STACK_BYTES, Status
from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.target import host
from chainrule.errors import DataError, ShapeError

F64, I64 = Vector("double", 1), Vector("i64", 1)
FACTOR = np.array([3.0])
PARAMETERS = "ptr %table, i64 %rows, ptr %status"
ENTRIES = (
    ArrayArgument("x", row_size=8),
    Fixed(FACTOR.ctypes.data),
    Work(size=8),
    Work(row_size=8),
    Number("status"),
    ArrayArgument("y", row_size=8, writable=True),
)


def _entry(emit, number):
    return emit.let(f"load ptr, ptr {emit.pointer('%table', str(number), 'ptr')}")


@cache
def code():
    """``y = factor * x`` through work space; the status is the number that was passed."""
    emit = Emitter(host())
    x, factor, scratch, work, _, y = (_entry(emit, number) for number in range(len(ENTRIES)))
    emit.store(F64, emit.load(F64, factor), scratch)
    for source, target in ((x, work), (work, y)):
        with emit.loop("0", "%rows") as row:
            value = emit.load(F64, emit.pointer(source, row.index, "double"))
            if source == x:
                value = emit.let(f"fmul double {value}, {emit.load(F64, scratch)}")
            emit.store(F64, value, emit.pointer(target, row.index, "double"))
    number = emit.load(I64, emit.pointer("%table", "4", "i64"))
    emit.store(I64, number, "%status")
    emit.do("ret void")
    return jit.load(
        module(host(), [function("scale", PARAMETERS, emit)], emit.declarations), host()
    )


@pytest.fixture(params=[False, True], ids=["holds the GIL", "releases it"])
def scale(request):
    return CompiledFunction(code(), "scale", ENTRIES, releases_gil=request.param)


@pytest.mark.parametrize("rows", [0, 1, 7, 64, STACK_BYTES // 8 - 200, STACK_BYTES, 100_000])
def test_calls(scale, rows):
    x = np.arange(float(rows))
    y = np.full(rows + 2, -1.0)
    assert scale(rows, x, 0, y[1:-1]) == 0
    assert np.array_equal(y[1:-1], 3 * x)
    assert y[0] == y[-1] == -1


def test_the_status_comes_back(scale):
    assert scale(1, np.ones(1), 5, np.zeros(1)) == 5


def test_numbers_have_all_64_bits(scale):
    for number in (2**63 - 1, 0):
        assert scale.raw(1, np.ones(1), number, np.zeros(1)) == number


def test_work_space_is_aligned_and_apart():
    """Where each part of the work space lies, written down by the compiled function itself."""
    emit = Emitter(host())
    places = _entry(emit, 3)
    for number in range(3):
        word = emit.load(I64, emit.pointer("%table", str(number), "i64"))
        emit.store(I64, word, emit.pointer(places, str(number), "i64"))
    emit.do("ret void")
    text = module(host(), [function("where", PARAMETERS, emit)], emit.declarations)
    entries = (Work(100), Work(10, 3), Work(5, 1), ArrayArgument("places", 24, 0, True))
    where = CompiledFunction(jit.load(text, host()), "where", entries)
    for rows in (0, 1, 64, 65, 100_000):
        found = np.zeros(3, np.int64)
        assert where(rows, found) == 0
        steps = -(-rows // 64) * 64
        assert not (found % ALIGNMENT).any()
        assert found[1] - found[0] >= 100
        assert found[2] - found[1] >= 10 + 3 * steps


def test_arrays_begin_at_multiples_of_their_alignment():
    entries = [
        dataclasses.replace(entry, alignment=8) if isinstance(entry, ArrayArgument) else entry
        for entry in ENTRIES
    ]
    scale = CompiledFunction(code(), "scale", entries)
    off = np.zeros(25, np.uint8)[1:].view(np.float64)
    for arguments in ((off, 0, np.zeros(3)), (np.zeros(3), 0, off)):
        with pytest.raises(DataError, match="to begin at a multiple of 8 bytes: pass a copy"):
            scale(3, *arguments)
    assert scale(3, np.ones(4)[1:], 0, np.zeros(4)[1:]) == 0
    assert scale(0, off[:0], 0, off[:0]) == 0  # nothing is read there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_not_finite_are_refused_where_that_is_asked_for(dtype, value):
    size = np.dtype(dtype).itemsize
    entries = [dataclasses.replace(ENTRIES[0], finite=size), *ENTRIES[1:]]
    scale = CompiledFunction(code(), "scale", entries)
    bits = np.full(48 // size, np.finfo(dtype).max, dtype)
    assert scale.raw(6, bits, 0, np.zeros(6)) == 0
    for place in range(len(bits)):
        wrong = bits.copy()
        wrong[place] = value
        assert scale.raw(6, wrong, 0, np.zeros(6)) == Status.WRONG_ARRAY
    with pytest.raises(DataError, match="bytes and be finite: pass a copy"):
        scale(6, wrong, 0, np.zeros(6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, np.zeros(4), 0, np.zeros(3)), "24 bytes in x for 3 rows, not 32"),
        ((3, np.zeros(3), 0, np.zeros(2)), "24 bytes in y for 3 rows, not 16"),
        ((3, np.zeros(3, np.float32), 0, np.zeros(3)), "24 bytes in x for 3 rows, not 12"),
        ((-1, np.zeros(3), 0, np.zeros(3)), "-8 bytes in x"),
        ((2**62, np.zeros(0), 0, np.zeros(0)), "bytes in x"),
        ((3, np.zeros(3), 0), "takes 3 arguments after rows, not 2"),
        ((3, np.zeros(3), 0, np.zeros(3), 0), "takes 3 arguments after rows, not 4"),
    ],
)
def test_wrong_sizes(scale, arguments, message):
    if arguments[0] == 2**62:  # there is no work space for so many rows either
        with pytest.raises(MemoryError, match="has no memory for its work on"):
            scale(*arguments)
    else:
        with pytest.raises(ShapeError, match=message):
            scale(*arguments)


def read_only():
    array = np.zeros(3)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, np.zeros(6)[::2], 0, np.zeros(3)), "a C-contiguous array as x"),
        ((3, np.zeros(3), 0, np.zeros(6)[::2]), "a writable, C-contiguous array as y"),
        ((3, np.zeros(3), 0, read_only()), "a writable, C-contiguous array as y"),
        ((3, np.zeros(3), 0, bytes(24)), "a writable, C-contiguous array as y"),
        ((3, [1.0, 2.0, 3.0], 0, np.zeros(3)), "a C-contiguous array as x"),
        ((3, np.zeros(3), "0", np.zeros(3)), "a whole number of 64 bits"),
        ((3, np.zeros(3), 2**64, np.zeros(3)), "a whole number of 64 bits"),
        (("3", np.zeros(3), 0, np.zeros(3)), "a whole number of 64 bits"),
    ],
)
def test_wrong_arguments(scale, arguments, message):
    with pytest.raises(DataError, match=f"^scale needs {message}"):
        scale(*arguments)


def test_read_only_input_is_read(scale):
    y = np.ones(3)
    assert scale(3, read_only(), 0, y) == 0
    assert not y.any()


def test_a_refused_call_writes_nothing_and_keeps_nothing(scale):
    x, y = np.ones(3), np.full(3, 7.0)
    counts = sys.getrefcount(x), sys.getrefcount(y)
    for _ in range(100):
        with pytest.raises(DataError):
            scale(3, x, 0, read_only())
        with pytest.raises(ShapeError):
            scale(3, x, 0, np.zeros(2))
        with pytest.raises(DataError):
            scale(3, x, "0", y)
    gc.collect()
    assert (sys.getrefcount(x), sys.getrefcount(y)) == counts
    assert (y == 7).all()
    x.resize(5)  # refused while somebody holds the buffer


def test_the_function_keeps_its_code(scale):
    raw = CompiledFunction(code(), "scale", ENTRIES).raw
    gc.collect()
    y = np.zeros(2)
    assert raw(2, np.ones(2), 0, y) == 0
    assert (y == 3).all()


def test_many_threads_call_one_function(scale):
    wrong = []

    def work(factor):
        x = np.full(5000, float(factor))
        y = np.empty(5000)
        for _ in range(200):
            scale(5000, x, 0, y)
            if not (y == 3 * factor).all():
                wrong.append(factor)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
