"""What a call of compiled code costs: ``python benchmarks/native_call.py``.

A function of one row that does next to nothing, called in several ways, interleaved; medians over
rounds, in microseconds. Then a barrier between two running threads, and loading an object.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable

import numpy as np

from chainrule.engines.native import jit, parallel, runtime
from chainrule.engines.native.call import ArrayArgument, CompiledFunction
from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.target import host
from chainrule.engines.native.threads import team

F32 = Vector("float", 1)
ADDRESS, NUMBER = ctypes.c_void_p, ctypes.c_int64
ARRAYS = 6  # such as a row, weights and biases of two layers, and the result
ROUNDS, CALLS = 25, 2000
STEPS = 20_000


def touch() -> jit.Code:
    """Code that writes the sum of the first elements of all arrays but the last into that one."""
    emit = Emitter(host())
    places = [
        emit.let(f"load ptr, ptr {emit.pointer('%table', str(i), 'ptr')}") for i in range(ARRAYS)
    ]
    total = F32.constant(0)
    for place in places[:-1]:
        total = emit.let(f"fadd float {total}, {emit.load(F32, place)}")
    emit.store(F32, total, places[-1])
    emit.do("ret void")
    text = function("touch", "ptr %table, i64 %rows, ptr %status", emit)
    return jit.load(module(host(), [text], emit.declarations), host())


def ways() -> dict[str, Callable[[], object]]:
    """The same call in several ways."""
    code = touch()
    arrays = [np.ones((1, 10), np.float32) for _ in range(ARRAYS)]
    entries = [ArrayArgument(f"a{i}", 40, 0, i == ARRAYS - 1) for i in range(ARRAYS)]
    short = CompiledFunction(code, "touch", entries)
    long = CompiledFunction(code, "touch", entries, releases_gil=True)
    by_ctypes = code.function("touch", None, ADDRESS, NUMBER, ADDRESS)
    table, status = np.zeros(ARRAYS, np.uint64), np.zeros(4, np.int64)
    table[:] = [array.ctypes.data for array in arrays]
    places = table.ctypes.data, 1, status.ctypes.data

    def gather() -> None:
        for i, array in enumerate(arrays):
            table[i] = array.ctypes.data
        by_ctypes(*places)

    return {
        "compiled shim, raw": lambda: short.raw(1, *arrays),
        "compiled shim": lambda: short(1, *arrays),
        "compiled shim, GIL released": lambda: long(1, *arrays),
        "ctypes, table filled before": lambda: by_ctypes(*places),
        "ctypes, array.ctypes.data": gather,
        "np.empty of a row": lambda: np.empty((1, 10), np.float32),
        "nothing": lambda: None,
    }


def calls() -> None:
    """Print the medians of interleaved rounds."""
    known = ways()
    spent: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(ROUNDS):
        for name, way in known.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                way()
            spent[name].append((time.perf_counter() - start) / CALLS * 1e6)
    for name, times in spent.items():
        print(f"{name:32} {statistics.median(times):7.2f} us   (least {min(times):.2f})")


def phases(work: int) -> Callable[..., int]:
    """A program of phases whose chunks multiply and add ``work`` times."""
    body, main = Emitter(host()), Emitter(host())
    place = body.pointer("%context", "%chunk", "[32 x float]")
    with body.loop("0", str(work), carried=[(F32, body.load(F32, place))]) as turn:
        half, one = F32.constant(0.5), F32.constant(1)
        turn.following = [body.multiply_add(F32, turn.values[0], half, one)]
    body.store(F32, turn.values[0], place)
    body.do("ret void")
    with main.loop("0", "%steps"):
        parallel.emit_parallel(main, "%control", 2, "body", "%data")
    main.do("ret i64 0")
    functions = [
        function("body", "ptr %context, i64 %chunk", body, linkage="internal"),
        function("main", "ptr %data, i64 %steps, ptr %control", main, "i64"),
    ]
    code = jit.load(module(host(), functions, body.declarations | main.declarations), host())
    return code.function("main", NUMBER, ADDRESS, NUMBER, ADDRESS)


def threads() -> None:
    """Print microseconds a phase of two chunks, on one thread and on two."""
    for work in (0, 200, 2000, 20_000):
        program, data = phases(work), np.zeros((2, 32), np.float32)
        steps = max(100, STEPS // (1 + work // 200))
        spent: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(ROUNDS):
            for count, times in spent.items():
                with team(count) as control:
                    program(data.ctypes.data, steps // 10, control.address)
                    start = time.perf_counter()
                    program(data.ctypes.data, steps, control.address)
                    times.append((time.perf_counter() - start) / steps * 1e6)
        one, two = (statistics.median(spent[count]) for count in (1, 2))
        print(
            f"two chunks of {work:6} turns          {one:7.2f} us on one thread, {two:.2f} on two"
        )


def loading() -> None:
    """Print milliseconds to compile each of the engine's own modules and to load its object."""
    for name in runtime.NAMES:
        text = runtime.text(name, host())
        spent: dict[str, list[float]] = {"compile": [], "load": []}
        for _ in range(ROUNDS):
            start = time.perf_counter()
            code = jit.to_object(text, host())
            middle = time.perf_counter()
            jit.Code([code], host())
            spent["compile"].append((middle - start) * 1e3)
            spent["load"].append((time.perf_counter() - middle) * 1e3)
        for what, times in spent.items():
            print(f"{f'{what} {name}':32} {statistics.median(times):7.2f} ms")


if __name__ == "__main__":
    calls()
    threads()
    loading()
