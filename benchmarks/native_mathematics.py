"""What the native engine's elementary functions cost, in nanoseconds and in cycles of a model.

Run ``python benchmarks/native_mathematics.py [target ...]``, in targets' names of
``chainrule.engines.native.target``; without any, for the processor at hand. 1,024 elements lie in
the first-level cache and are gone through many times. NumPy's function of the same name stands
beside, on 64 times as many, in turns with ours. A machine changes its clock with the width of its
instructions and with its neighbours, so that cycles by the clock mislead: where llvm-mca is found,
it says how many cycles LLVM's model of the target takes for a register, in the long run.
"""

from __future__ import annotations

import ctypes
import math
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.jit import Code, machine, to_object
from chainrule.engines.native.mathematics import FUNCTIONS
from chainrule.engines.native.target import TARGETS, Target, host
from chainrule.ops import special
from chainrule.shapes import Array, Dtype

ELEMENTS = 1024
NUMPY_ELEMENTS = 64 * ELEMENTS
ROUNDS = 31
TURNS = 200
REPEATS = 80
LOWEST, HIGHEST = -6.0, 6.0
NAMES = "exp expm1 log log1p log2 log10 tanh sigmoid softplus erf sin cos tan sqrt".split()
OF_POSITIVE = {"log", "log1p", "log2", "log10", "sqrt"}
FLOATS = (np.dtype("float32"), np.dtype("float64"))


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
        self.text = self.source(name, dtype, target, operands, self.lanes)
        self._code = Code([to_object(self.text, target)], target)
        signature = [ctypes.c_void_p] * (operands + 1) + [ctypes.c_int64] * 2
        self.call: Callable[..., None] = ctypes.CFUNCTYPE(None, *signature)(self._code.address("f"))

    @staticmethod
    def source(
        name: str, dtype: Dtype, target: Target, operands: int = 1, lanes: int | None = None
    ) -> str:
        """The module of ``f``: pointers to operands and result, their size, how often to do it."""
        type_ = Vector.of(dtype, lanes or target.lanes(dtype))
        emit = Emitter(target)
        sources = [f"%a{i}" for i in range(operands)]
        with emit.loop("0", "%repeats"), emit.loop("0", "%n", type_.lanes) as loop:
            at = [emit.pointer(source, loop.index, type_.element) for source in sources]
            value = FUNCTIONS[name](emit, type_, *(emit.load(type_, place) for place in at))
            emit.store(type_, value, emit.pointer("%result", loop.index, type_.element))
        emit.do("ret void")
        pointers = ", ".join(f"ptr {source}" for source in (*sources, "%result"))
        return module(
            target, [function("f", f"{pointers}, i64 %n, i64 %repeats", emit)], emit.declarations
        )

    def __call__(self, *arrays: Array) -> Array:
        """The function of arrays whose size is a multiple of the lanes."""
        result = np.empty_like(arrays[0])
        self.call(*(a.ctypes.data for a in (*arrays, result)), result.size, 1)
        return result


def modelled_cycles(compiled: Compiled, target: Target) -> float:
    """Cycles of one turn of the innermost loop by llvm-mca; NaN without it, or for branches."""
    tool = shutil.which("llvm-mca")
    assembly = machine(target).emit_assembly(llvm.parse_assembly(compiled.text))
    loops = re.findall(r"^(\.LBB\d+_\d+):[^\n]*\n((?:\t[^\n]*\n)*?)\tj\w+\t\1\n", assembly, re.M)
    bodies = [body for _, body in loops if "\tj" not in body]
    if tool is None or not bodies:
        return math.nan
    command = [tool, f"-mcpu={target.cpu}", f"-iterations={TURNS}"]
    report = subprocess.check_output(command, input=bodies[0], text=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", report)[1]) / TURNS


def _seconds(work: Callable[[], Any]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(compiled: Compiled, name: str, dtype: Dtype) -> tuple[float, float]:
    """Nanoseconds an element, ours and NumPy's: medians of turns."""
    low = 0.01 if name in OF_POSITIVE else LOWEST
    x = np.random.default_rng(0).uniform(low, HIGHEST, NUMPY_ELEMENTS).astype(dtype)
    result = np.empty_like(x)
    numpy = getattr(np, name, None) or getattr(special, name)
    addresses = (x.ctypes.data, result.ctypes.data, ELEMENTS, REPEATS)
    turns = [
        (
            _seconds(lambda: compiled.call(*addresses)) / (REPEATS * ELEMENTS),
            _seconds(lambda: numpy(x, result)) / NUMPY_ELEMENTS,
        )
        for _ in range(ROUNDS)
    ]
    ours, theirs = (statistics.median(column) * 1e9 for column in zip(*turns, strict=True))
    return ours, theirs


def main(names: list[str]) -> None:
    """Print a table for each target."""
    for target in [TARGETS[name] for name in names] or [host()]:
        print(f"{target.name}: ns an element, ns by NumPy, lanes, modelled cycles for them")
        for name in NAMES:
            columns = []
            for dtype in FLOATS:
                compiled = Compiled(name, dtype, target)
                ours, theirs = measure(compiled, name, dtype)
                cycles = modelled_cycles(compiled, target)
                columns.append(
                    f"{dtype.name} {ours:7.3f} {theirs:6.2f} {compiled.lanes:3} {cycles:5.1f}"
                )
            print(f"  {name:9} {'    '.join(columns)}")


if __name__ == "__main__":
    main(sys.argv[1:])
