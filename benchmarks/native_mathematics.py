"""What the native engine's elementary functions cost, in nanoseconds and cycles an element.

Run ``python benchmarks/native_mathematics.py [target ...]``, in targets' names of
``chainrule.engines.native.target``; without any, for the processor at hand. 4,096 elements lie in
the first-level cache and are gone through many times. NumPy's function of the same name stands
beside, run in turns with ours. Cycles are those of a chain of integer products, each of which waits
for the one before, timed in the same turn, so that a change of clock changes both.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.mathematics import FUNCTIONS
from chainrule.engines.native.target import TARGETS, Target, host
from chainrule.ops import special
from chainrule.shapes import Array, Dtype

ELEMENTS = 4096
ROUNDS = 31
REPEATS = 20
LOWEST, HIGHEST = -6.0, 6.0
NAMES = "exp expm1 log log1p log2 log10 tanh sigmoid softplus erf sin cos tan sqrt".split()
OF_POSITIVE = {"log", "log1p", "log2", "log10", "sqrt"}
FLOATS = (np.dtype("float32"), np.dtype("float64"))
CHAIN = 8_000  # products of integers, each waiting for the one before
LATENCY = 3  # cycles of each, on every x86-64 and Arm core of the last fifteen years


class Compiled:
    """A function of ``FUNCTIONS`` over arrays: ``lanes`` elements at a time, without a rest.

    Parameters
    ----------
    name : str
    dtype : dtype
    target : Target
    operands : int
    lanes : int, optional
        Without it, what a register of the target holds.
    """

    def __init__(
        self, name: str, dtype: Dtype, target: Target, operands: int = 1, lanes: int | None = None
    ) -> None:
        self.lanes = lanes or target.lanes(dtype)
        self.text = self._text(name, Vector.of(dtype, self.lanes), target, operands)
        self._code = Code(to_object(self.text, target), target)
        signature = [ctypes.c_void_p] * (operands + 1) + [ctypes.c_int64]
        self.call: Callable[..., None] = ctypes.CFUNCTYPE(None, *signature)(self._code.address("f"))

    @staticmethod
    def _text(name: str, type_: Vector, target: Target, operands: int) -> str:
        emit = Emitter(target)
        sources = [f"%a{i}" for i in range(operands)]
        with emit.loop("0", "%n", type_.lanes) as loop:
            at = [emit.pointer(source, loop.index, type_.element) for source in sources]
            value = FUNCTIONS[name](emit, type_, *(emit.load(type_, place) for place in at))
            emit.store(type_, value, emit.pointer("%result", loop.index, type_.element))
        emit.do("ret void")
        pointers = ", ".join(f"ptr {source}" for source in (*sources, "%result"))
        return module(target, [function("f", f"{pointers}, i64 %n", emit)], emit.declarations)

    def __call__(self, *arrays: Array) -> Array:
        """The function of arrays whose size is a multiple of the lanes."""
        result = np.empty_like(arrays[0])
        self.call(*(a.ctypes.data for a in (*arrays, result)), result.size)
        return result


def _chain() -> Callable[[], Any]:
    """A call that takes CHAIN times LATENCY cycles."""
    target = host()
    emit = Emitter(target)
    with emit.loop("0", "%n", 8, [(Vector("i64", 1), "%n")]) as loop:
        value = loop.values[0]
        for _ in range(8):
            value = emit.let(f"mul i64 {value}, %n")
        loop.following = [value]
    emit.do(f"ret i64 {loop.values[0]}")
    text = module(target, [function("f", "i64 %n", emit, "i64")], {})
    code = Code(to_object(text, target), target)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.address("f"))
    return lambda: (run(CHAIN), code)  # the code lives as long as what calls it


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - start) / repeats


def measure(name: str, dtype: Dtype, target: Target, cycle: Callable[[], Any]) -> tuple[float, ...]:
    """Nanoseconds an element by us and by NumPy, cycles of ours; medians of turns."""
    compiled = Compiled(name, dtype, target)
    low = 0.01 if name in OF_POSITIVE else LOWEST
    x = np.random.default_rng(0).uniform(low, HIGHEST, ELEMENTS).astype(dtype)
    result = np.empty_like(x)
    numpy = getattr(np, name, None) or getattr(special, name)
    addresses = (x.ctypes.data, result.ctypes.data, ELEMENTS)
    turns = [
        (
            _seconds(lambda: compiled.call(*addresses), REPEATS),
            _seconds(lambda: numpy(x, result), 3),
            _seconds(cycle, 3) / (CHAIN * LATENCY),
        )
        for _ in range(ROUNDS)
    ]
    ours, theirs, _ = (statistics.median(column) for column in zip(*turns, strict=True))
    cycles = statistics.median(own / tick for own, _, tick in turns)
    return ours / ELEMENTS * 1e9, theirs / ELEMENTS * 1e9, cycles / ELEMENTS


def main(names: list[str]) -> None:
    """Print a table for each target."""
    cycle = _chain()
    for target in [TARGETS[name] for name in names] or [host()]:
        print(f"{target.name}: ns an element, cycles an element, ns by NumPy")
        for name in NAMES:
            columns = []
            for dtype in FLOATS:
                ours, theirs, cycles = measure(name, dtype, target, cycle)
                columns.append(f"{dtype.name} {ours:7.3f} {cycles:7.2f} {theirs:7.2f}")
            print(f"  {name:9} {'    '.join(columns)}")


if __name__ == "__main__":
    main(sys.argv[1:])
