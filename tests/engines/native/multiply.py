"""One matrix product, compiled and run on buffers that end at memory nobody may touch."""

from __future__ import annotations

import ctypes
import mmap
import sys
from dataclasses import dataclass

import numpy as np

from chainrule.engines.native.emitter import Emitter, Vector, function, module
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.products import write_common, write_product
from chainrule.engines.native.target import TARGETS, Target, host
from chainrule.engines.native.tiling import ProductSpec, common_bytes, panel_count, scratch_bytes
from chainrule.shapes import Array, Dtype

PARAMETERS = (
    "ptr noalias %a, ptr noalias %b, ptr noalias %c, i64 %size, ptr noalias %scratch, "
    "ptr %common, i64 %row0, i64 %row1, i64 %panel0, i64 %panel1"
)


def target_named(name: str) -> Target:
    return host() if name == "host" else TARGETS[name]


def product_text(spec: ProductSpec, target: Target, bounded: bool, looped: bool = False) -> str:
    """A module whose function `f` adds the product to C: what is stored twice is seen."""
    emit, element = Emitter(target), Vector.of(spec.dtype, 1).element

    def add(
        emit: Emitter, type_: Vector, value: str, row: str, column: str, mask: str | None
    ) -> None:
        offset = emit.integer("add", emit.integer("mul", row, str(spec.n)), column)
        place = emit.pointer("%c", offset, element)
        before = emit.masked_load(type_, place, mask)
        emit.masked_store(type_, emit.let(f"fadd {type_} {before}, {value}"), place, mask)

    bounds = (("%row0", "%row1"), ("%panel0", "%panel1")) if bounded else (None, None)
    if spec.common:
        cut = str(panel_count(spec, target) // 3)
        for panels in ((cut, str(panel_count(spec, target))), ("0", cut)):
            write_common(emit, spec, "%b", "%size", "%common", panels)
    given, common = ("%a", "%b", "%size", "%scratch"), "%common" if spec.common else None
    write_product(emit, spec, *given, add, *bounds, looped=looped, common=common)
    emit.do("ret void")
    return module(target, [function("f", PARAMETERS, emit)], emit.declarations)


class Product:
    """A compiled product: call it with A and B as they lie in memory."""

    def __init__(
        self, spec: ProductSpec, target: Target, bounded: bool = False, looped: bool = False
    ) -> None:
        self.spec, self.target = spec, target
        code = Code([to_object(product_text(spec, target, bounded, looped), target)], target)
        pointer, word = ctypes.c_void_p, ctypes.c_int64
        kinds = [*[pointer] * 3, word, *[pointer] * 2, *[word] * 4]
        self._function = code.function("f", None, *kinds)

    def __call__(
        self,
        a: Array,
        b: Array,
        size: int = 0,
        rows: tuple[int, int] = (0, 0),
        panels: tuple[int, int] = (0, 0),
        place: Placed | None = None,
    ) -> Array:
        placed = place or Placed(at_end=True)
        m = size if self.spec.m is None else self.spec.m
        a, b = placed.copy(a), placed.copy(b)
        c = placed.copy(np.zeros((m, self.spec.n), self.spec.dtype))
        spaces = [
            placed.copy(np.zeros(count(self.spec, self.target, size), np.uint8))
            for count in (scratch_bytes, common_bytes)
        ]
        pointers = [x.ctypes.data for x in (a, b, c, *spaces)]
        self._function(*pointers[:3], size, *pointers[3:], *rows, *panels)
        return c.copy()


@dataclass
class Placed:
    """Where arrays are put: flush with the end of a page, or with its beginning."""

    at_end: bool

    def copy(self, array: Array) -> Array:
        """A copy between two pages that may not be touched."""
        page = mmap.PAGESIZE
        inside = -(-max(array.nbytes, 1) // page) * page
        region = mmap.mmap(-1, inside + 2 * page)
        everything = np.frombuffer(region, np.uint8)
        start = page + (inside - array.nbytes if self.at_end else 0)
        result = everything[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        result[...] = array
        protect(everything.ctypes.data, page)
        protect(everything.ctypes.data + page + inside, page)
        return result


def protect(address: int, length: int) -> None:
    """Take every right to some pages away; where the system has no mprotect, leave them."""
    if sys.platform == "win32":
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect failed")


def stored_shapes(spec: ProductSpec, m: int, k: int) -> tuple[tuple[int, int], tuple[int, int]]:
    a = (k, m) if spec.transpose_a else (m, k)
    b = (spec.n, k) if spec.transpose_b else (k, spec.n)
    return a, b


def as_written(spec: ProductSpec, a: Array, b: Array) -> tuple[Array, Array]:
    """The operands as (m, k) and (k, n)."""
    return (a.T if spec.transpose_a else a), (b.T if spec.transpose_b else b)


def random_operands(spec: ProductSpec, m: int, k: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal(shape) for shape in stored_shapes(spec, m, k))
    return a.astype(spec.dtype), b.astype(spec.dtype)


def error_in_eps(spec: ProductSpec, a: Array, b: Array, c: Array) -> float:
    """The largest error against float64 (long double for it), in eps of |A| |B|."""
    wide = np.float64 if spec.dtype == np.float32 else np.longdouble
    x, y = (operand.astype(wide) for operand in as_written(spec, a, b))
    scale = np.abs(x) @ np.abs(y)
    error = np.abs(c - x @ y) / np.where(scale == 0, 1, scale)
    return float(np.max(error, initial=0)) / float(np.finfo(spec.dtype).eps)


def spec_of(
    dtype: Dtype | str, m: int, n: int, k: int, kind: str, run_time: str | None = None
) -> ProductSpec:
    """``kind`` names how A and B lie, as in BLAS: NN, NT, TN, TT."""
    return ProductSpec(
        np.dtype(dtype),
        None if run_time == "m" else m,
        n,
        None if run_time == "k" else k,
        kind[0] == "T",
        kind[1] == "T",
    )
