"""The native engine's matrix products beside NumPy's, one thread each.

Run ``python benchmarks/native_products.py [rounds]``. Both take turns, some milliseconds each, and
the median of the ratios of neighbours is shown: a machine that changes its speed changes both. Time
is what the thread was given of the processor, not what passed on the wall. ``np.matmul`` writes
into an array that exists and works through the BLAS it came with, held to one thread. Compilation
is the time for the product alone, with the kernels that products of a larger module would share.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
from collections.abc import Callable
from time import thread_time

import numpy as np
from threadpoolctl import threadpool_limits

from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.products import write_product
from chainrule.engines.native.target import host
from chainrule.engines.native.tiling import ProductSpec, scratch_bytes
from chainrule.shapes import Array

SECONDS_PER_TURN = 0.005
LAYERS = ((256, 1024, 1024), (256, 1024, 784), (128, 256, 784), (64, 128, 64), (32, 10, 10))
REPEATED = """
define void @repeat(ptr %a, ptr %b, ptr %c, i64 %size, ptr %scratch, i64 %times) {
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  call void @product(ptr %a, ptr %b, ptr %c, i64 %size, ptr %scratch)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %times
  br i1 %more, label %body, label %end
end:
  ret void
}
"""


def product_text(spec: ProductSpec) -> str:
    """A module that stores the product, once or several times."""
    emit, element = Emitter(host()), Vector.of(spec.dtype, 1).element

    def store(
        emit: Emitter, type_: Vector, value: str, row: str, column: str, mask: str | None
    ) -> None:
        offset = emit.integer("add", emit.integer("mul", row, str(spec.n)), column)
        emit.masked_store(type_, value, emit.pointer("%c", offset, element), mask)

    write_product(emit, spec, "%a", "%b", "%size", "%scratch", store)
    emit.do("ret void")
    parameters = "ptr noalias %a, ptr noalias %b, ptr noalias %c, i64 %size, ptr noalias %scratch"
    return module(host(), [function("product", parameters, emit), REPEATED], emit.declarations)


def layer_products(rows: int, outputs: int, inputs: int) -> dict[str, tuple[int, int, int, str]]:
    """The three products of a dense layer: name to m, n, k, and what is known at run time."""
    return {
        "X W": (rows, outputs, inputs, "m"),
        "dY W'": (rows, inputs, outputs, "m"),
        "X' dY": (inputs, outputs, rows, "k"),
    }


def spec_of(dtype: str, name: str, m: int, n: int, k: int, run_time: str) -> ProductSpec:
    known = {"m": m, "k": k, run_time: None}
    return ProductSpec(
        np.dtype(dtype), known["m"], n, known["k"], name.startswith("X'"), name.endswith("W'")
    )


def aligned(count: int, dtype: str) -> Array:
    """An array of zeros that begins on a cache line."""
    memory = np.zeros(count * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : memory.size - 64 + start].view(dtype)


def prepare(
    spec: ProductSpec, m: int, k: int
) -> tuple[float, Callable[[int], None], Callable[[int], None]]:
    """Seconds of compilation; functions that do our product, and NumPy's, some times."""
    random = np.random.default_rng(0)
    shapes = [
        (k, m) if spec.transpose_a else (m, k),
        (spec.n, k) if spec.transpose_b else (k, spec.n),
    ]
    a, b, c = (aligned(x * y, spec.dtype.name).reshape(x, y) for x, y in [*shapes, (m, spec.n)])
    a[...], b[...] = random.standard_normal(a.shape), random.standard_normal(b.shape)
    size = m if spec.m is None else k
    scratch = aligned(scratch_bytes(spec, host(), size), "uint8")
    text = product_text(spec)
    start = thread_time()
    compiled = to_object(text, host())
    seconds = thread_time() - start
    kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    repeat = Code([compiled], host()).function("repeat", None, *kinds)
    x, y = a.T if spec.transpose_a else a, b.T if spec.transpose_b else b
    expected = np.matmul(x, y)

    def ours(times: int) -> None:
        repeat(a.ctypes.data, b.ctypes.data, c.ctypes.data, size, scratch.ctypes.data, times)

    def theirs(times: int) -> None:
        for _ in range(times):
            np.matmul(x, y, out=expected)

    ours(1)
    np.testing.assert_allclose(c, expected, rtol=1e-3, atol=1e-4 * k**0.5)
    return seconds, ours, theirs


def seconds_of(run: Callable[[int], None], times: int) -> float:
    start = thread_time()
    run(times)
    return (thread_time() - start) / times


def measure(
    ours: Callable[[int], None], theirs: Callable[[int], None], rounds: int
) -> tuple[float, float, float]:
    """Medians of both times, and of the ratio of neighbours."""
    once = min(seconds_of(theirs, 3) for _ in range(3))
    times = max(1, round(SECONDS_PER_TURN / once))
    pairs = [(seconds_of(ours, times), seconds_of(theirs, times)) for _ in range(rounds)]
    mine, other = zip(*pairs, strict=True)
    ratio = statistics.median(y / x for x, y in pairs)
    return statistics.median(mine), statistics.median(other), ratio


def main(rounds: int = 31) -> None:
    """Print a table: the three products of some layers, in both precisions."""
    print(f"{'product':24}{'dtype':9}{'ours, us':>10}{'NumPy, us':>11}{'ratio':>7}", end="")
    print(f"{'GFLOP/s':>9}{'compile, ms':>13}")
    with threadpool_limits(1):
        for dtype in ("float32", "float64"):
            for layer in LAYERS:
                for name, (m, n, k, run_time) in layer_products(*layer).items():
                    spec = spec_of(dtype, name, m, n, k, run_time)
                    compiling, ours, theirs = prepare(spec, m, k)
                    mine, other, ratio = measure(ours, theirs, rounds)
                    print(
                        f"{name:7}{f'{m}x{n}x{k}':17}{dtype:9}{mine * 1e6:10.2f}{other * 1e6:11.2f}"
                        f"{ratio:7.2f}{2e-9 * m * n * k / mine:9.0f}{compiling * 1e3:13.1f}"
                    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
