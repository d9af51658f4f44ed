"""Conventions at kinks, ties and the edges of types: PyTorch's numbers, or worked out by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import special as scipy_special

import chainrule as cr
from chainrule.errors import DtypeError, ParameterError, ShapeError

NAN, INF = np.nan, np.inf


def derivatives(function: Any, *values: Any, order: int = 1) -> list[Any]:
    """The derivatives of the sum of a function's values by each argument, ``order`` times."""
    leaves = [cr.input(np.shape(value), np.float64) for value in values]
    output = cr.sum(function(*leaves))
    for _ in range(order):
        found = cr.gradient(output, leaves)
        output = cr.sum(found[0])
    feed = dict(zip(leaves, values, strict=True))
    return [value.tolist() for value in cr.evaluate(found, feed=feed)]


# torch.autograd.grad of the sum, PyTorch 2.13, float64
@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (cr.relu, [-1.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        (cr.abs, [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]),
        (cr.sign, [-2.0, 0.0, 2.0], [0.0, 0.0, 0.0]),
        (cr.hard_sigmoid, [-3.0, 0.0, 3.0], [0.0, 1 / 6, 0.0]),
        (cr.hard_tanh, [-1.5, -1.0, 0.0, 1.0, 1.5], [0.0, 0.0, 1.0, 0.0, 0.0]),
        (cr.leaky_relu, [-1.0, 0.0, 1.0], [0.01, 0.01, 1.0]),
        (cr.elu, [0.0, 1.0], [1.0, 1.0]),
        (cr.selu, [0.0, 1.0], [1.7580993408473766, 1.0507009873554805]),
        (cr.celu, [0.0, 1.0], [1.0, 1.0]),
        (cr.softsign, [0.0], [1.0]),
        (lambda x: cr.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 0.0]),
        (cr.max, [1.0, 3.0, 3.0, 2.0], [0.0, 0.5, 0.5, 0.0]),
        (cr.min, [1.0, 3.0, 1.0, 1.0], [1 / 3, 0.0, 1 / 3, 1 / 3]),
        (lambda x: x**2, [0.0, 3.0], [0.0, 6.0]),
        (lambda x: x**0, [0.0, 3.0], [0.0, 0.0]),
        (cr.prod, [2.0, 0.0, 5.0], [0.0, 10.0, 0.0]),
        (cr.prod, [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]),
        (cr.cumulative_prod, [2.0, 0.0, 5.0], [1.0, 12.0, 0.0]),
        (cr.floor, [0.5, 1.0], [0.0, 0.0]),
        (cr.round, [0.5, 1.0], [0.0, 0.0]),
    ],
)
def test_derivatives_at_kinks_are_those_of_pytorch(function: Any, x: Any, expected: Any) -> None:
    assert derivatives(function, x)[0] == pytest.approx(expected, abs=0)


def test_ties_share_the_derivative() -> None:
    a, b = [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]
    assert derivatives(cr.maximum, a, b) == [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]
    assert derivatives(cr.minimum, a, b) == [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]


def test_clip_passes_the_derivative_to_a_bound_that_is_beyond() -> None:
    x, low, high = [-2.0, 0.0, 2.0], [-1.0] * 3, [1.0] * 3
    assert derivatives(cr.ops.elementwise.clip, x, low, high) == [
        [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0],
    ]  # fmt: skip


def test_maximum_with_zero_is_not_relu() -> None:
    assert derivatives(lambda x: cr.maximum(x, 0), [0.0]) == [[0.5]]
    assert cr.transforms.simplify([cr.maximum(cr.input((3,)), 0)])[0].op.name == "maximum"


@pytest.mark.parametrize("order", [1, 2, 3])
def test_zero_to_the_zero_has_finite_derivatives(order: int) -> None:
    by_base, *_ = derivatives(cr.power, [0.0], [0.0], order=order)
    assert by_base == [0.0]


def test_powers_of_zero() -> None:
    assert derivatives(cr.power, [0.0] * 4, [0.0, 1.0, 2.0, 0.5]) == [
        [0.0, 1.0, 0.0, INF], [0.0, 0.0, 0.0, 0.0],
    ]  # fmt: skip
    assert cr.power([0.0, 2.0, 0.0], [0.0, -1.0, -1.0]).tolist() == [1.0, 0.5, INF]


def test_signs_of_zero_and_nan() -> None:
    signs = cr.sign([-0.0, NAN, -3.0])
    assert signs[0] == 0
    assert not np.signbit(signs[0])
    assert np.isnan(signs[1])


@pytest.mark.parametrize(
    "function",
    [cr.relu, cr.abs, cr.sign, cr.sigmoid, cr.softplus, cr.hard_sigmoid, cr.hard_tanh, cr.tanh,
     lambda x: cr.maximum(x, 0.0), lambda x: cr.minimum(0.0, x), lambda x: cr.clip(x, -1, 1),
     cr.max, cr.min, cr.logsumexp, cr.softmax, cr.sum],
)  # fmt: skip
def test_nan_goes_through(function: Any) -> None:
    assert np.isnan(function(np.array([1.0, NAN]))).any()
    assert np.isnan(function(np.array([NAN, 1.0], np.float32))).any()


# What is undefined elsewhere


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_integer_division_by_zero_gives_zero(dtype: Any) -> None:
    x = np.array([7, 0], dtype)
    assert cr.floor_divide(x, np.zeros(2, dtype)).tolist() == [0, 0]
    assert cr.remainder(x, np.zeros(2, dtype)).tolist() == [0, 0]


def test_division_of_reals_by_zero_is_that_of_ieee() -> None:
    assert cr.divide([1.0, -1.0], [0.0, 0.0]).tolist() == [INF, -INF]
    assert cr.divide(1, 0) == INF


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_reals_saturate_at_the_ends_of_integers(dtype: str, source: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([1e30, -1e30, INF, -INF, NAN, 1.9, -1.9], source)
    inside = [1, -1 if limits.min < 0 else 0]
    expected = [limits.max, limits.min, limits.max, limits.min, 0, *inside]
    assert cr.astype(x, dtype).tolist() == expected
    assert cr.astype(cr.constant(x), dtype).value.tolist() == expected


def test_the_largest_integers_are_met_exactly() -> None:
    assert cr.astype([2.0**63, 2.0**62, -(2.0**63)], "int64").tolist() == [
        2**63 - 1, 2**62, -(2**63),
    ]  # fmt: skip
    assert cr.astype([2.0**64, 2.0**63], "uint64").tolist() == [2**64 - 1, 2**63]


@pytest.mark.parametrize(
    "read",
    [
        cr.take,
        lambda x, i: cr.scatter_add(x, i, axis=0, size=3),
        lambda x, i: cr.one_hot(i, 3),
        lambda x, i: cr.take_along_axis(x, i, axis=0),
        lambda x, i: x[i],
    ],
)
@pytest.mark.parametrize("index", [3, -4, 2**40])
def test_an_index_outside_is_an_error_that_says_where(read: Any, index: int) -> None:
    x, i = cr.input((3,)), cr.input((3,), np.int64)
    feed = {x: np.arange(3.0), i: [0, index, 1]}
    with pytest.raises(IndexError, match=f"index {index}.* is outside an axis of 3|index"):
        cr.evaluate(read(x, i), feed=feed)


def test_negative_indices_count_from_the_end() -> None:
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert cr.take(x, [-1, 0], axis=1).tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert cr.take_along_axis(x, [[-1], [1]]).tolist() == [[3.0], [5.0]]
    with pytest.raises(IndexError):
        cr.one_hot([-1], 3)


def test_shifts_by_all_bits_and_more() -> None:
    x = np.array([1, -1, -8], np.int8)
    assert cr.ops.bitwise_left_shift(x, np.int8(8)).tolist() == [0, 0, 0]
    assert cr.ops.bitwise_right_shift(x, np.int8(100)).tolist() == [0, -1, -1]
    assert cr.ops.bitwise_right_shift(x, np.int8(1)).tolist() == [0, -1, -4]


def test_integer_powers() -> None:
    assert cr.power([2, -1, 1, 0, 3], [-1, -3, -5, -1, 3]).tolist() == [0, -1, 1, 0, 27]


# Accuracy, against SciPy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("erf", scipy_special.erf),
        ("sigmoid", scipy_special.expit),
        ("softplus", lambda x: np.logaddexp(0, x)),
        ("log_sigmoid", scipy_special.log_expit),
        ("gelu", lambda x: x * scipy_special.ndtr(x)),
    ],
)
def test_functions_agree_with_scipy(name: str, reference: Any, dtype: Any) -> None:
    x = np.concatenate([np.linspace(-12, 12, 2001), [1e-8, -1e-8, 0.46875, 4.0]]).astype(dtype)
    if name == "gelu":
        x = x[x > -1]  # x (1 + erf) / 2 cancels in the tail, as PyTorch's does
    expected = reference(x.astype(np.float64))
    found = getattr(cr, name)(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=60 * np.finfo(dtype).eps, atol=1e-300)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("logsumexp", scipy_special.logsumexp), ("softmax", scipy_special.softmax),
     ("log_softmax", scipy_special.log_softmax)],
)  # fmt: skip
def test_reductions_agree_with_scipy(name: str, reference: Any) -> None:
    x = np.random.default_rng(0).normal(size=(5, 7)) * 30
    np.testing.assert_allclose(getattr(cr, name)(x, axis=1), reference(x, axis=1), 1e-12, 1e-13)


def test_logsumexp_of_infinities() -> None:
    assert cr.logsumexp([-INF, -INF]) == -INF
    assert cr.logsumexp([INF, 1.0]) == INF
    assert cr.logsumexp([-INF, 1.0]) == 1.0


# Composed functions, against NumPy


def test_indexing_agrees_with_numpy() -> None:
    x = np.arange(60.0).reshape(3, 4, 5)
    keys: list[Any] = [
        0, -1, slice(1, 3), slice(None, None, -1), slice(None, None, 2), slice(3, 0, -2),
        slice(5, 9), ..., None, (0, 1), (..., 0), (slice(None), 1, slice(1, 4, 2)), (None, 1, ...),
        [0, 2], ([0, 2], [1, 3]), (0, [1, 3]), (slice(None), [0, 1], [[2], [3]]),
        (..., [4, -1]), ([0, -1], slice(None), slice(0, 2)), np.array([[0, 1], [2, 2]]),
        (slice(2, 2),), (1, 2, 3), np.int64(2),
    ]  # fmt: skip
    for key in keys:
        node = cr.input(x.shape)
        found = cr.evaluate(node[key], feed={node: x})
        assert found.tolist() == x[key].tolist(), key
        assert cr.ops.getitem(x, key).tolist() == x[key].tolist(), key


@pytest.mark.parametrize(
    ("key", "error"),
    [(5, IndexError), ((0, 0, 0, 0), ShapeError), (True, DtypeError), ("a", DtypeError),
     (([0], slice(None), [0]), ShapeError), ([0.5], DtypeError), ([True, False, True], DtypeError)],
)  # fmt: skip
def test_what_is_no_index_is_refused(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        cr.input((3, 4, 5))[key]


def test_statistics_agree_with_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    for axis, keepdims in itertools.product([None, 0, 1, (0, 1)], [False, True]):
        chosen = {"axis": axis, "keepdims": keepdims}
        np.testing.assert_allclose(cr.mean(x, **chosen), np.mean(x, **chosen))
        np.testing.assert_allclose(cr.var(x, **chosen), np.var(x, **chosen))
        np.testing.assert_allclose(cr.std(x, correction=1, **chosen), np.std(x, ddof=1, **chosen))
        np.testing.assert_allclose(cr.prod(x, **chosen), np.prod(x, **chosen))
    assert np.isnan(cr.mean(np.zeros(0)))


def test_tensordot_agrees_with_numpy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 3, 4)), generator.normal(size=(4, 3, 5))
    for axes in [1, ([2], [0]), ([1, 2], [1, 0]), ([-1], [-3]), 0]:
        np.testing.assert_allclose(cr.tensordot(a, b, axes), np.tensordot(a, b, axes))
    empty = np.zeros((2, 0))
    assert cr.tensordot(empty, np.zeros((0, 3)), 1).tolist() == np.zeros((2, 3)).tolist()
    with pytest.raises(ShapeError, match="paired axes"):
        cr.tensordot(np.zeros((2, 3)), np.zeros((3, 2)), axes=([0, 1], [0, 1]))
    x = cr.input((cr.ROWS, 3))
    assert cr.tensordot(x, cr.input((3, 2)), 1).shape == (cr.ROWS, 2)
    assert cr.tensordot(x, x, ([0], [0])).shape == (3, 3)


def test_joining_and_taking_apart_agree_with_numpy() -> None:
    x = np.arange(24.0).reshape(4, 6)
    assert [part.tolist() for part in cr.split(x, 2)] == [p.tolist() for p in np.split(x, 2)]
    assert [p.tolist() for p in cr.split(x, [1, -1, 9], axis=1)] == [
        p.tolist() for p in np.split(x, [1, -1, 9], axis=1)
    ]
    for shift, axis in [(1, 0), (-2, 1), (7, 0)]:
        assert cr.roll(x, shift, axis).tolist() == np.roll(x, shift, axis).tolist()
    assert cr.ops.moveaxis(x, 0, 1).tolist() == np.moveaxis(x, 0, 1).tolist()
    assert cr.stack([x, x], axis=1).tolist() == np.stack([x, x], axis=1).tolist()
    assert cr.outer([1.0, 2.0], [3.0, 4.0]).tolist() == np.outer([1, 2], [3, 4]).tolist()
    for function in (cr.split, cr.roll):
        with pytest.raises(ShapeError, match="rows"):
            function(cr.input((cr.ROWS, 2)), [1] if function is cr.split else 1)


def test_clip_takes_one_bound_or_none() -> None:
    assert cr.clip([-5, 5], max=3).dtype == np.int64
    assert cr.clip(np.array([250, 3], np.uint8), min=7).tolist() == [250, 7]
    assert cr.clip([-5.0, 5.0]).tolist() == [-5.0, 5.0]
    assert cr.clip(cr.input((2,), np.float32), 0.0).dtype == np.float32


def test_parameters_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ParameterError):
        cr.celu(1.0, alpha=0)
    with pytest.raises(ParameterError):
        cr.gelu(1.0, approximate="tan")
    with pytest.raises(ShapeError, match="no elements"):
        cr.max(np.zeros((0, 2)), axis=0)
