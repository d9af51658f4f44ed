"""A compiled program of many phases, each of which reads what all chunks of the last one wrote."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

from chainrule.engines.native import jit, parallel, subnormals
from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.target import Target, host
from chainrule.engines.native.threads import Control, team

F64 = Vector("double", 1)
ADDRESS = ctypes.c_void_p
SPREAD = 8  # doubles from chunk to chunk: a cache line
BODY = parallel.BODY
NANOSLEEP = {"nanosleep": "declare i32 @nanosleep(ptr, ptr) nonlazybind"}


def text(target: Target, work: int, *, flush: bool = False, naps: bool = False) -> str:
    """``i64 run(ptr data, i64 chunks, i64 steps, ptr control)``: the steps done.

    In a step, data[1] becomes a function of data[0], and then data[0] of data[1]; element c is
    computed from elements c and c + 1, and has a chunk of its own. With ``naps``, each chunk sleeps
    for a millisecond: that leaves the processor to helpers, even on a busy machine, and is longer
    than a helper may be late.
    """
    bodies = [_body(target, name, work, naps) for name in ("forth", "back")]
    emit = Emitter(target)
    previous = subnormals.enter(emit) if flush else ""
    context = emit.let("alloca [2 x i64]")
    emit.do(f"store i64 %chunks, ptr {emit.pointer(context, '1', 'i64')}")
    emit.do(f"store ptr %data, ptr {context}")
    with emit.loop("0", "%steps"):
        for name in ("forth", "back"):
            parallel.emit_parallel(emit, "%control", "%chunks", name, context)
    if flush:
        subnormals.leave(emit, previous)
    emit.do("ret i64 %steps")
    parameters = "ptr %data, i64 %chunks, i64 %steps, ptr %control"
    run = function("run", parameters, emit, "i64")
    return module(
        target, [subnormals.definitions(target), *bodies, run], NANOSLEEP | emit.declarations
    )


def _body(target: Target, name: str, work: int, naps: bool) -> str:
    emit = Emitter(target)
    if naps:
        time = emit.let("alloca [2 x i64]")
        emit.do(f"store [2 x i64] [i64 0, i64 1000000], ptr {time}")
        emit.do(f"call i32 @nanosleep(ptr {time}, ptr null)")
    data = emit.let("load ptr, ptr %context")
    chunks = emit.let(f"load i64, ptr {emit.pointer('%context', '1', 'i64')}")
    after = emit.let("add i64 %chunk, 1")
    neighbour = emit.let(f"urem i64 {after}, {chunks}")
    first, second = ("0", chunks) if name == "forth" else (chunks, "0")

    def place(offset: str, index: str) -> str:
        row = emit.let(f"add i64 {offset}, {index}")
        return emit.pointer(data, row, f"[{SPREAD} x double]")

    own = emit.load(F64, place(first, "%chunk"))
    half = emit.let(f"fmul double {emit.load(F64, place(first, neighbour))}, {F64.constant(0.5)}")
    with emit.loop("0", str(work), carried=[(F64, own)]) as turn:
        scaled = emit.let(f"fmul double {turn.values[0]}, {F64.constant(0.25)}")
        turn.following = [emit.let(f"fadd double {scaled}, {half}")]
    emit.store(F64, turn.values[0], place(second, "%chunk"))
    emit.do("ret void")
    return function(name, BODY, emit, linkage="internal")


@cache
def program(work: int, flush: bool = False, naps: bool = False) -> Callable[..., int]:
    """The program for this processor."""
    target = host()
    code = jit.load(text(target, work, flush=flush, naps=naps), target)
    return code.function("run", ctypes.c_int64, ADDRESS, ctypes.c_int64, ctypes.c_int64, ADDRESS)


def run(
    control: Control, work: int, chunks: int, steps: int, start: float = 1.0, **options: bool
) -> bytes:
    """The bits that some steps lead to."""
    data = np.zeros((2, chunks, SPREAD))
    data[0, :, 0] = start * np.arange(1, chunks + 1)
    done = program(work, **options)(data.ctypes.data, chunks, steps, control.address)
    assert done == steps
    return data.tobytes()


def bits(threads: int, work: int = 100, chunks: int = 5, steps: int = 50) -> bytes:
    """The bits that some steps lead to on a number of threads."""
    with team(threads) as control:
        return run(control, work, chunks, steps)
