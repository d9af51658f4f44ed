"""Matrix products agree with float64, stay inside their buffers, and can be split anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.base import Program
from chainrule.engines.native import packing, products
from chainrule.engines.native.jit import to_object
from chainrule.engines.native.target import TARGETS
from chainrule.engines.native.tiling import BLOCK_INNER, ProductSpec, panel_count, plan
from chainrule.engines.native.writing import write_training
from chainrule.graph.graph import Graph
from tests.engines.native import multiply
from tests.engines.native.multiply import (
    Product,
    as_written,
    error_in_eps,
    product_text,
    random_operands,
    spec_of,
    target_named,
)

RUNNABLE = ("host", "avx2", "sse2", "scalar")
KINDS = ("NN", "NT", "TN", "TT")
LONG = BLOCK_INNER + 44  # an inner axis of two stretches
AWKWARD = (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)
sizes = st.one_of(st.integers(0, 70), st.sampled_from(AWKWARD))


def runnable(name: str) -> bool:
    wanted = {"avx2": {"avx2", "fma"}, "sse2": set(), "scalar": set()}
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    has = {flag for flag, present in llvm.get_host_cpu_features().items() if present}
    return name == "host" or (triple.startswith("x86_64") and wanted[name] <= has)


@pytest.fixture(params=RUNNABLE)
def target_name(request: pytest.FixtureRequest) -> str:
    if not runnable(request.param):
        pytest.skip(f"this processor does not run {request.param} code")
    return str(request.param)


def assert_right(spec: ProductSpec, target_name: str, m: int, k: int) -> None:
    """One run against float64; the bound is that of a sum in order, Higham (2002), eq. 3.5."""
    a, b = random_operands(spec, m, k)
    size = m if spec.m is None else k
    c = Product(spec, target_named(target_name))(a, b, size)
    assert error_in_eps(spec, a, b, c) <= max(1, k)


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(["float32", "float64"]),
    m=sizes,
    n=sizes,
    k=sizes,
    kind=st.sampled_from(KINDS),
    run_time=st.sampled_from([None, "m", "k"]),
)
def check_shapes(
    target_name: str, dtype: str, m: int, n: int, k: int, kind: str, run_time: str | None
) -> None:
    assert_right(spec_of(dtype, m, n, k, kind, run_time), target_name, m, k)


def test_agrees_with_float64_for_any_shape(target_name: str) -> None:
    check_shapes(target_name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(30, 200, LONG), (530, 101, LONG), (13, 130, 513)])
def test_agrees_across_blocks(
    target_name: str, dtype: str, kind: str, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    spec = spec_of(dtype, m, n, k, kind)
    assert not plan(spec, target_named(target_name)).small
    assert_right(spec, target_name, m, k)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "other"), [(10, 10), (45, 64), (200, LONG)])
@pytest.mark.parametrize("run_time", ["m", "k"])
def test_one_function_serves_every_run_time_size(
    target_name: str, run_time: str, n: int, other: int, kind: str
) -> None:
    spec = spec_of("float32", other, n, other, kind, run_time)
    product = Product(spec, target_named(target_name))
    for size in (0, 1, 2, 7, 8, 12, 13, 32, 100, 600):
        m, k = (size, other) if run_time == "m" else (other, size)
        a, b = random_operands(spec, m, k)
        assert error_in_eps(spec, a, b, product(a, b, size)) <= max(1, k)


@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions(target_name: str, kind: str) -> None:
    for n, k in ((20, 9), (200, LONG)):
        whole = spec_of("float32", 33, n, k, kind)
        a, b = random_operands(whole, 33, k)
        wide_a, wide_b = (np.pad(x, ((0, 0), (0, 5)), constant_values=np.nan) for x in (a, b))
        wide = ProductSpec(
            whole.dtype, 33, n, k, *(letter == "T" for letter in kind),
            lda=wide_a.shape[1], ldb=wide_b.shape[1],
        )  # fmt: skip
        target = target_named(target_name)
        expected = Product(whole, target)(a, b)
        flat_a, flat_b = (x.reshape(-1)[:-5] for x in (wide_a, wide_b))
        np.testing.assert_array_equal(Product(wide, target)(flat_a, flat_b), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(33, 45, 46), (530, 200, LONG)])
def test_any_split_gives_the_same_bits(
    target_name: str, kind: str, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    target, spec = target_named(target_name), spec_of("float32", m, n, k, kind)
    a, b = random_operands(spec, m, k)
    product = Product(spec, target, bounded=True, looped=True)
    count = panel_count(spec, target)
    parts = [(0, 0), (0, 1), (1, count - count // 3), (count - count // 3, count)]
    parts = [(min(p, count), min(q, count)) for p, q in parts if p < q or p == 0]
    total = np.zeros((m, n), np.float32)
    for rows in ((0, 5), (5, 5), (5, m)):
        for panels in parts:
            total += product(a, b, 0, rows, panels)
    np.testing.assert_array_equal(total, Product(spec, target)(a, b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "run_time"), [((40, 300, LONG), "m"), ((50, 133, LONG), "k")])
def test_panels_in_common_give_the_same_bits(
    target_name: str, kind: str, shape: tuple[int, int, int], run_time: str
) -> None:
    """B may be laid out before, by whom and in what order ever."""
    m, n, k = shape
    target, own = target_named(target_name), spec_of("float32", m, n, k, kind, run_time)
    a, b = random_operands(own, m, k)
    size = m if run_time == "m" else k
    found = Product(replace(own, common=True), target, bounded=True)
    rows = [found(a, b, size, part, (0, panel_count(own, target))) for part in ((0, 17), (17, m))]
    np.testing.assert_array_equal(sum(rows), Product(own, target)(a, b, size))


def test_a_panel_in_common_that_is_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(spec_of("float32", 40, 300, LONG, "NN"), common=True)
    a, b = random_operands(spec, 40, LONG)
    whole = Product(spec, target_named("host"))(a, b)
    write = multiply.write_common
    monkeypatch.setattr(
        multiply,
        "write_common",
        lambda emit, spec, b, size, common, panels: write(
            emit, spec, b, size, common, ("1" if panels[0] == "0" else panels[0], panels[1])
        ),
    )
    assert not np.array_equal(Product(spec, target_named("host"))(a, b), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_their_neighbours(target_name: str, kind: str) -> None:
    """A row alone has the bits that it has among others: what law 6 needs of the last batch."""
    for n, k in ((10, 10), (200, LONG)):
        spec = spec_of("float32", 40, n, k, kind, "m")
        a, b = random_operands(spec, 40, k)
        product = Product(spec, target_named(target_name))
        whole = product(a, b, 40)
        for row in (0, 17, 39):
            alone = a[:, row : row + 1] if kind[0] == "T" else a[row : row + 1]
            np.testing.assert_array_equal(product(alone, b, 1)[0], whole[row])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [33, 50, 100, 196])
def test_columns_do_not_depend_on_their_neighbours(n: int, dtype: str, kind: str) -> None:
    """The last ones, too few to fill a vector, are summed in the order of the others."""
    target, k = target_named("host"), LONG
    full = spec_of(dtype, 70, 208, k, kind)
    a, b = random_operands(full, 70, k)
    whole = Product(full, target)(a, b)
    few = np.ascontiguousarray(b[:n] if kind[1] == "T" else b[:, :n])
    part = Product(spec_of(dtype, 70, n, k, kind), target)(a, few)
    np.testing.assert_array_equal(part, whole[:, :n])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(17, 21, 9), (30, 200, LONG)])
def test_what_is_not_finite_goes_through(
    target_name: str, kind: str, shape: tuple[int, int, int]
) -> None:
    """0 * inf is NaN, and no multiplication by zero is left out."""
    m, n, k = shape
    spec = spec_of("float64", m, n, k, kind)
    a, b = random_operands(spec, m, k)
    x, y = as_written(spec, a, b)  # views: what is written here lies in a and b
    x[0, :] = 0
    y[k // 2, 3], x[5, 1], x[6, 2], y[2, n - 1] = np.inf, np.nan, -np.inf, 0
    with np.errstate(invalid="ignore"):
        expected = sum(np.multiply.outer(x[:, i], y[i]) for i in range(k))
    c = Product(spec, target_named(target_name))(a, b)
    assert np.isnan(c[0, 3]) and np.isnan(c[5]).all() and np.isinf(c[6, 0])
    np.testing.assert_array_equal(np.isnan(c), np.isnan(expected))
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(c[infinite], expected[infinite])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run_time", [None, "m", "k"])
def test_neon_code_is_generated_and_verified(kind: str, run_time: str | None) -> None:
    for n in (10, 200):
        spec = spec_of("float32", 100, n, LONG, kind, run_time)
        code = to_object(product_text(spec, TARGETS["neon"], False), TARGETS["neon"])
        assert code.startswith(b"\x7fELF")


def test_the_text_is_the_same_every_time() -> None:
    spec = spec_of("float32", 100, 200, LONG, "NT", "m")
    texts = {product_text(spec, TARGETS["avx2"], False) for _ in range(3)}
    assert len(texts) == 1


def test_products_of_a_module_share_their_kernels() -> None:
    forward, backward = (spec_of("float32", 64, 256, 256, kind, "m") for kind in ("NN", "NT"))
    names = [
        set(re.findall(r"define internal void @(\w+)", text))
        for text in (product_text(x, TARGETS["avx512"], False) for x in (forward, backward))
    ]
    assert names[0] & names[1] == {"kernel_v16f32_plain_6x4of4"}


# nothing outside the buffers: every test above runs on guarded buffers; here a crash is an answer

GUARDED = """
import itertools, sys
from tests.engines.native.multiply import *
from chainrule.engines.native.tiling import BLOCK_INNER
target = target_named(sys.argv[1])
for n, k in ((3, 5), (10, 10), (33, 17), (200, BLOCK_INNER + 44)):
    for kind in ("NN", "NT", "TN", "TT"):
        spec = spec_of("float32", 0, n, k, kind, "m")
        product = Product(spec, target)
        for m, at_end in itertools.product((1, 13, 24), (False, True)):
            a, b = random_operands(spec, m, k)
            c = product(a, b, m, place=Placed(at_end))
            assert error_in_eps(spec, a, b, c) <= max(1, k), (spec, m)
print("inside")
"""

PLANTED = """
import sys
from dataclasses import replace
from tests.engines.native.multiply import *
spec = spec_of("float32", 8, 16, 8, "NN")
a, b = random_operands(spec, 8, 8)
wrong = replace(spec, {field}=getattr(spec, "{field}") + 1)
product = Product(wrong, target_named("host"))
print("begun", flush=True)
product(a, b)
print("inside")
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_nothing_outside_the_buffers_is_touched(target_name: str) -> None:
    done = run(GUARDED, target_name)
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages need mprotect")
@pytest.mark.parametrize("field", ["m", "k"])
def test_a_product_that_reads_too_far_is_caught(field: str) -> None:
    done = run(PLANTED.format(field=field))
    assert done.returncode < 0 and done.stdout == "begun\n"


@pytest.mark.parametrize("kind", ["NN", "NT", "TN"])
@pytest.mark.parametrize("few", [1, 3, 8])
def test_few_rows_read_large_matrices_as_they_lie(few: int, kind: str, target_name: str) -> None:
    """Right for any number of rows, and a row alone has the bits that it has among others."""
    target = target_named(target_name)
    for n, k in ((200, 300), (257, 129)):
        spec = replace(spec_of("float32", 0, n, k, kind, "m"), few=few)
        fits = (k if kind == "NT" else n) % target.lanes(spec.dtype) == 0
        assert plan(spec, target).streamed == (target.masks or fits)
        product = Product(spec, target, looped=few == 3)
        for m in (0, 1, few, 2 * few + 3):
            a, b = random_operands(spec, m, k)
            c = product(a, b, m)
            assert error_in_eps(spec, a, b, c) <= k
            if m and kind != "TN":
                np.testing.assert_array_equal(product(a[-1:].copy(), b, 1), c[-1:])


def test_few_rows_can_be_split_by_columns(target_name: str) -> None:
    target = target_named(target_name)
    for kind in ("NN", "NT"):
        spec = replace(spec_of("float32", 0, 300, 200, kind, "m"), few=4)
        a, b = random_operands(spec, 4, 200)
        product, count = Product(spec, target, bounded=True), panel_count(spec, target)
        parts = [(0, count // 2), (count // 2, count)]
        total = sum(product(a, b, 4, (0, 4), part) for part in parts)
        np.testing.assert_array_equal(total, Product(spec, target)(a, b, 4))


def test_products_of_other_rows_than_the_batch_s_are_as_always() -> None:
    """In a step of four rows the product of two weights would read each element again and again."""
    type_ = np.dtype("float32")
    w, v, x = (cr.input(shape, type_) for shape in ((300, 200), (200, 250), (cr.ROWS, 300)))
    loss = cr.mean(cr.tanh(cr.matmul(x, w))) + cr.mean(cr.matmul(w, v))
    step = Graph((w, v, x, cr.input((2,), "uint32")), (w, v, loss))
    written = write_training(Program(step, carried=2, batch=4), target_named("avx2"))
    assert {spec.m: spec.few for spec in written.layout.products} == {None: 4, 300: 0}


DEFECTS = {
    "panels are written over each other": (packing, "panel_stride", lambda *_: "8"),
    "every stretch begins anew": (products._Blocked, "_whether", lambda *_: "0"),
    "narrow columns are nothing": (products, "narrow_line", lambda _, tile, *__: tile.zeros()[0]),
    "rows are left out": (products, "row_blocks", lambda emit, *_: [("0", "8", 8)]),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_wrong_product_is_caught(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, wrong = DEFECTS[defect]
    if name == "narrow_line" and target_named("host").vector_bytes < 16:
        pytest.skip("no column is left where vectors hold one element")
    monkeypatch.setattr(place, name, wrong)
    m, n, k = (12, 10, 10) if name == "row_blocks" else (24, 209, LONG)
    with pytest.raises(AssertionError):
        assert_right(spec_of("float32", m, n, k, "TN"), "host", m, k)
