"""Compiled functions: traced once a shape, always right."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import DtypeError, ShapeError
from chainrule.expressions.compiled import KEPT_SHAPES
from chainrule.graph.node import Node
from chainrule.shapes import Array


class Counted:
    """A function that counts how often it is traced."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any, y: Any) -> Any:
        self.calls += 1
        return cr.tanh(x) * y + cr.sum(x * x)


@pytest.fixture
def counted() -> tuple[Counted, Any]:
    fn = Counted()
    return fn, cr.compile(fn, engine="reference")


def expected(x: Any, y: Any) -> Array:
    return np.asarray(np.tanh(x) * y + np.sum(np.multiply(x, x)))


def test_one_trace_for_each_combination_of_types(counted: Any) -> None:
    fn, f = counted
    for x, y, calls in [
        ([1.0, 2.0], 3.0, 1),
        ([5.0, 2.0], 1.0, 1),
        (np.array([1.0, 2.0]), np.array(3.0), 1),
        ([1.0, 2.0, 3.0], 3.0, 2),
        (np.float32([1, 2]), 3.0, 3),
        ([1, 2], 4, 3),
    ]:
        np.testing.assert_allclose(f(x, y), expected(x, y), rtol=1e-6)
        assert fn.calls == calls, (x, y)


def test_specialisations_are_bounded(counted: Any) -> None:
    fn, f = counted
    for size in range(1, KEPT_SHAPES + 10):
        f(np.ones(size), 1.0)
    assert len(f._kept) == KEPT_SHAPES
    before = fn.calls
    f(np.ones(KEPT_SHAPES + 9), 1.0)
    assert fn.calls == before


@given(st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_what_is_compiled_is_what_is_written(rows: int, columns: int, turned: bool) -> None:
    generator = np.random.default_rng(rows * 5 + columns)
    x = (
        generator.normal(size=(columns, rows)).T
        if turned
        else generator.normal(size=(rows, columns))
    )

    def fn(x: Any) -> Any:
        return (
            cr.softmax(x, axis=0),
            cr.sum(cr.exp(x), axis=1),
            x.T,
            cr.mean(x) if x.shape[0] else x,
        )

    for found, raw in zip(cr.compile(fn, engine="reference")(x), fn(cr.constant(x)), strict=True):
        np.testing.assert_allclose(found, raw.value, rtol=1e-12, strict=True)


def test_caught_variables_are_inputs_and_caught_arrays_are_constants() -> None:
    w, a = cr.variable([1.0, 2.0]), np.array([10.0, 20.0])
    f = cr.compile(lambda x: cr.sum(w * x) + cr.sum(a * w), engine="reference")
    assert float(f([1.0, 1.0])) == 53.0
    w.value = [0.0, 1.0]
    assert float(f([1.0, 1.0])) == 21.0
    a[:] = 0.0
    assert float(f([1.0, 1.0])) == 21.0


def test_keywords_and_trees() -> None:
    f = cr.compile(
        lambda p, *, scale: {"sum": p["a"] + p["b"][0], "rest": [p["b"][1] * scale, None]},
        engine="reference",
    )
    found = f({"a": 1.0, "b": (2.0, [3.0, 4.0])}, scale=10)
    assert (float(found["sum"]), found["rest"][0].tolist(), found["rest"][1]) == (
        3.0, [30.0, 40.0], None,
    )  # fmt: skip
    g = cr.compile(lambda x, y: x - y, engine="reference")
    assert float(g(5.0, y=2.0)) == float(g(y=2.0, x=5.0)) == 3.0
    with pytest.raises(TypeError, match="missing 1 required"):
        g(5.0)


def test_trees_of_one_shape_but_another_form_are_traced_anew() -> None:
    f = cr.compile(lambda p: p[0] - p[1] if isinstance(p, tuple) else p["x"] + p["y"],
                   engine="reference")  # fmt: skip
    assert float(f((5.0, 2.0))) == 3.0
    assert float(f({"x": 5.0, "y": 2.0})) == 7.0
    assert float(f({"y": 5.0, "x": 2.0})) == 7.0


def test_derivatives_of_compiled_functions_and_compiled_derivatives() -> None:
    f = cr.compile(lambda x: cr.sum(x**3), engine="reference")
    point = np.array([1.0, -2.0])
    for slope in (cr.grad(f), cr.compile(cr.grad(f), engine="reference")):
        np.testing.assert_allclose(slope(point), 3 * point**2)
    np.testing.assert_allclose(cr.compile(cr.hessian(f))(point), np.diag(6 * point), rtol=1e-12)
    assert isinstance(f(cr.variable(point)), Node)


def test_a_compiled_function_within_another_function() -> None:
    """It catches the placeholder of the function around it, in every call another one."""

    def outer(x: Any) -> Any:
        inner = cr.compile(lambda y: x * y * y, engine="reference")
        return inner(2.0) + inner(3.0)

    np.testing.assert_allclose(cr.grad(outer)(5.0), 13.0)
    caught: list[Any] = [cr.variable(1.0)]
    f = cr.compile(lambda y: caught[0] * y, engine="reference")
    assert float(f(2.0)) == 2.0

    def late(x: Any) -> Any:
        g = cr.compile(lambda y: cr.grad(lambda z: z * x * y)(1.0), engine="reference")
        return g(4.0)

    assert float(cr.grad(late)(3.0)) == 4.0


def test_the_type_of_results() -> None:
    f = cr.compile(lambda x: (x, x[0], x * 0 + 1.0, 7.0), engine="reference")
    value = np.array([1.0, 2.0])
    found = f(value)
    assert all(isinstance(each, np.ndarray) and each.flags.writeable for each in found)
    found[0][0] = 9.0
    assert value[0] == 1.0
    assert [each.tolist() for each in f(value)] == [[1.0, 2.0], 1.0, [1.0, 1.0], 7.0]


def test_it_keeps_the_functions_name() -> None:
    def loss(x: Any) -> Any:
        """The loss."""
        return x

    f = cr.compile(loss)
    assert (f.__name__, f.__doc__, f.__wrapped__) == ("loss", "The loss.", loss)


def test_errors_name_the_operation_and_the_line() -> None:
    f = cr.compile(lambda x, y: x @ y, engine="reference")
    with pytest.raises(ShapeError, match=r"matmul of .* built at .*test_compiled\.py"):
        f(np.ones((2, 3)), np.ones((2, 3)))
    assert f(np.ones((2, 3)), np.ones((3, 2))).shape == (2, 2)
    with pytest.raises(DtypeError, match="not supported"):
        f("text", 1.0)
    g = cr.compile(lambda x, i: x[i], engine="reference")
    with pytest.raises(IndexError, match=r"take built at .*test_compiled\.py.*index 7"):
        g([1.0, 2.0], np.array([0, 7]))


def test_from_many_threads() -> None:
    f = cr.compile(lambda x: cr.sum(cr.tanh(x @ x.T)), engine="reference")
    values = [np.random.default_rng(i).normal(size=(20 + i % 3, 20)) for i in range(30)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(f, values))
    for value, mine in zip(values, found, strict=True):
        np.testing.assert_allclose(mine, np.tanh(value @ value.T).sum(), rtol=1e-10)


# ---------------------------------------------------------------------------- the short way

ENGINES = ("native", "reference")
POINTS = np.arange(12.0).reshape(4, 3) / 5


class Labelled(np.ndarray):
    """An array of someone's own."""


def misaligned(array: Array) -> Array:
    """The same numbers at an address that is no multiple of eight."""
    found = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def read_only(array: Array) -> Array:
    found = array.copy()
    found.flags.writeable = False
    return found


VARIANTS = {
    "contiguous": lambda array: array,
    "by columns": np.asfortranarray,
    "every second": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[:, ::-1].copy()[:, ::-1],
    "read-only": read_only,
    "the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "misaligned": misaligned,
    "a subclass": lambda array: array.view(Labelled),
    "a list": lambda array: array.tolist(),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_array_after_a_plain_one(engine: str, variant: Any) -> None:
    f = cr.compile(lambda x, y: x * 2 + cr.sum(y), engine=engine)
    for _ in range(2):
        f(POINTS, POINTS)
    for x, y in ((variant(POINTS), POINTS), (POINTS, variant(POINTS))):
        for _ in range(2):
            found = f(x, y)
            assert type(found) is np.ndarray
            np.testing.assert_allclose(found, POINTS * 2 + POINTS.sum(), rtol=1e-14, strict=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_repeated_calls_do_not_look_at_types_again(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = cr.variable([1.0, 2.0, 3.0])
    f = cr.compile(lambda x: {"scaled": x * w, "sums": (cr.sum(x), [])}, engine=engine)
    f(POINTS)
    monkeypatch.setattr(f, "_traced", lambda *_: pytest.fail("the long way was taken"))
    for value in ([1.0, 2.0, 3.0], [0.0, -1.0, 5.0]):
        w.value = value
        found = f(POINTS)
        np.testing.assert_allclose(found["scaled"], POINTS * value, rtol=1e-14)
        assert (float(found["sums"][0]), found["sums"][1]) == (pytest.approx(POINTS.sum()), [])
    again = f(POINTS)
    assert not np.may_share_memory(again["scaled"], found["scaled"])


@pytest.mark.parametrize("engine", ENGINES)
def test_other_types_and_shapes_between(engine: str) -> None:
    f = cr.compile(lambda x: x + x.shape[0], engine=engine)
    given = [POINTS, POINTS.astype(np.float32), POINTS[:2], np.arange(3), POINTS[0], 1.5 * POINTS]
    for _ in range(3):
        for x in given:
            wanted = x + x.shape[0]
            np.testing.assert_allclose(f(x), wanted, rtol=1e-6)
            assert f(x).dtype == wanted.dtype


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_index_is_found_in_every_call(engine: str) -> None:
    f = cr.compile(lambda x, i: x[i], engine=engine)
    x, good, bad = np.array([1.0, 2.0]), np.array([0, 1]), np.array([0, 7])
    for _ in range(3):
        np.testing.assert_array_equal(f(x, good), x)
        with pytest.raises(IndexError, match=r"take built at .*test_compiled\.py.*index 7"):
            f(x, bad)


def test_no_results_and_no_arguments() -> None:
    w = cr.variable(2.0)
    none, constant = cr.compile(lambda x: ()), cr.compile(lambda: w * 3)
    for value in (2.0, 5.0):
        w.value = value
        assert none(POINTS) == ()
        assert float(constant()) == 3 * value


def test_repeated_calls_from_many_threads() -> None:
    w = cr.variable(np.zeros(300))
    f = cr.compile(lambda x: cr.sum(x + w) - cr.sum(w))
    x, ended = np.ones(300), threading.Event()
    f(x)

    def assign() -> None:
        for number in itertools.cycle(range(10)):
            if ended.is_set():
                return
            w.value = np.full(300, float(number))

    other = threading.Thread(target=assign)
    other.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(f, [x] * 1000))
    finally:
        ended.set()
        other.join()
    assert {float(each) for each in found} == {300.0}
