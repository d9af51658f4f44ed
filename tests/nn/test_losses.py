"""Losses: against scikit-learn, in the form that simplification finds, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from chainrule import ops
from chainrule.errors import DataError, DtypeError, ParameterError, ShapeError, UnknownNameError
from chainrule.graph.node import Node
from chainrule.nn import (
    BinaryCrossEntropy,
    CrossEntropy,
    Exp,
    Gamma,
    GaussianNLL,
    Hinge,
    Huber,
    Linear,
    Loss,
    Mode,
    Poisson,
    Quantile,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    SquaredError,
    Tanh,
    losses,
)
from chainrule.nn.losses import LOSSES, Custom
from chainrule.ops.contraction import product
from chainrule.shapes import ROWS
from chainrule.testing import check_gradients
from chainrule.transforms import gradient, simplify
from tests.nn.problem import wave
from tests.nn.running import run, value_and_gradient

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
Y, P = np.exp(2 * wave(30)), np.exp(2 * wave(30, phase=1.0))
COUNTS = np.floor(3 * Y)
W = 1.0 + wave(30, phase=2.0) ** 2
SIGNS = np.where(wave(30, phase=4.0) > 0, 1, -1)

SCIKIT_LEARNS: list[tuple[Loss, Any, Any, Any]] = [
    (SquaredError(), theirs.mean_squared_error, Y, P),
    (losses.AbsoluteError(), theirs.mean_absolute_error, Y, P),
    (Quantile(0.2), lambda y, p, **k: theirs.mean_pinball_loss(y, p, alpha=0.2, **k), Y, P),
    (Quantile(0.9), lambda y, p, **k: theirs.mean_pinball_loss(y, p, alpha=0.9, **k), Y, P),
    (Poisson(), lambda y, p, **k: theirs.mean_poisson_deviance(y, p, **k) / 2, COUNTS, P),
    (Gamma(), lambda y, p, **k: theirs.mean_gamma_deviance(y, p, **k) / 2, Y, P),
    (Hinge(), theirs.hinge_loss, SIGNS, wave(30)),
]


@pytest.mark.parametrize(
    ("loss", "definition", "y", "p"), SCIKIT_LEARNS, ids=[str(loss) for loss, *_ in SCIKIT_LEARNS]
)
def test_loss_is_scikit_learns(loss: Loss, definition: Any, y: Any, p: Any) -> None:
    target = loss.prepare(y, 1, FLOAT64)
    np.testing.assert_allclose(loss(p[:, None], target), definition(y, p), rtol=1e-12)
    weighted = loss(p[:, None], target, W)
    np.testing.assert_allclose(weighted, definition(y, p, sample_weight=W), rtol=1e-12)


def test_poisson_is_the_loss_of_scikit_learns_networks() -> None:
    from sklearn.neural_network._base import poisson_loss

    expected = poisson_loss(COUNTS[:, None], P[:, None])
    np.testing.assert_allclose(Poisson()(P[:, None], COUNTS[:, None]), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [LOSSES[name]() for name in LOSSES], ids=lambda each: each.name)
def test_derivatives_are_right_to_second_order(loss: Loss) -> None:
    prediction = np.exp(wave(6, 2)) if loss.positive else 0.7 * wave(6, 2) + 0.1
    y = {"hinge": SIGNS[:6], "poisson": COUNTS[:6], "gamma": Y[:6]}.get(loss.name, P[:6] % 1)
    if isinstance(loss, CrossEntropy):
        target: Any = np.array([0, 1, 1, 0, 1, 0])
    else:
        width = loss.target_width(2)
        target = loss.prepare(np.stack([y, y[::-1]], axis=1)[:, :width], 2, FLOAT64)
    check_gradients(lambda p: loss(p, target, W[:6]), prediction)
    if loss.activation:
        shares = loss.activation()(prediction)
        check_gradients(lambda p: loss(p, target, probabilities=True), shares)


def classifier(loss: Loss, activation: Any, classes: int, target: Node) -> tuple[Any, ...]:
    """The loss of a linear layer and an activation; its inputs; the logits."""
    x = ops.input((ROWS, 4), FLOAT32, "x")
    layer = Linear(4, classes)
    values = {
        name: ops.input(each.shape, FLOAT32, name) for name, each in layer.parameters().items()
    }
    z, _ = layer.forward(x, values, {}, Mode(True))
    return loss(activation(z), target, probabilities=True), x, values, z


def by_hand(x: Any, error: Any, per_row: int) -> list[Any]:
    """The lectures' backward pass of a linear layer: dW = X' error / n, db = sum of error / n."""
    share = 1 / (ops.astype(ops.row_count(), FLOAT32) * per_row)
    return [product(x, error * share, True, False), ops.sum(error, axis=0) * share]


@pytest.mark.parametrize(
    ("loss", "activation", "classes", "labels"),
    [
        (CrossEntropy(), Softmax(), 3, True),
        (BinaryCrossEntropy(), Sigmoid(), 1, False),
        (BinaryCrossEntropy(), Sigmoid(), 3, False),
    ],
)
def test_the_gradient_is_p_minus_y(loss: Loss, activation: Any, classes: int, labels: bool) -> None:
    target = (
        ops.input((ROWS,), np.int64, "y") if labels else ops.input((ROWS, classes), FLOAT32, "y")
    )
    written, x, values, z = classifier(loss, activation, classes, target)
    (simple,) = simplify([written])
    found = simplify(gradient(simple, [*values.values()]))
    y = ops.one_hot(target, classes, FLOAT32) if labels else target
    expected = simplify(by_hand(x, activation(z) - y, 1 if labels else classes))
    assert all(ours is hand for ours, hand in zip(found, expected, strict=True))


def test_the_loss_on_logits_is_the_loss_on_probabilities() -> None:
    target = ops.input((ROWS,), np.int64, "y")
    written, _, _, z = classifier(CrossEntropy(), Softmax(), 3, target)
    on_probabilities, on_logits = simplify([written, CrossEntropy()(z, target)])
    assert on_probabilities is on_logits


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize(
    ("loss", "activation", "target"),
    [
        (CrossEntropy(), Softmax(), np.array([0, 1, 2, 0])),
        (BinaryCrossEntropy(), Sigmoid(), np.array([[0, 1, 0]] * 4, np.float32)),
    ],
)
def test_huge_logits_give_finite_losses_and_gradients(
    loss: Loss, activation: Any, target: Any, probabilities: bool
) -> None:
    logits = 1e4 * np.array([[1, -1, 0], [1, -1, 0], [-1, 1, 1], [0, 0, 0]], np.float32)
    z = ops.input((ROWS, 3), FLOAT32)
    y = ops.input((ROWS, *target.shape[1:]), target.dtype)
    output = loss(activation(z) if probabilities else z, y, probabilities=probabilities)
    value, slope = value_and_gradient(output, {z: logits}, fixed={y: target})
    assert value.dtype == slope.dtype == FLOAT32
    assert np.isfinite(slope).all()
    assert 1e3 < value < 1e4  # wrong by 20,000 in some places: large, not infinite
    if probabilities:
        written = run([output], {z: logits, y: target}, simplified=False)
        assert not np.isfinite(written).all()  # as written it overflows: simplification found it


def test_arrays_of_certain_probabilities_give_finite_losses() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert CrossEntropy()(certain, np.array([0, 1]), probabilities=True) == 0
    assert 300 < CrossEntropy()(certain, np.array([1, 1]), probabilities=True) < 400
    assert BinaryCrossEntropy()(certain, certain, probabilities=True) == 0


def test_gaussian_with_the_right_variance_is_best() -> None:
    y = 2.0 + 3.0 * np.random.default_rng(0).standard_normal((20_000, 1))
    ones = np.ones_like(y)
    found = {
        (mean, std): GaussianNLL()(np.concatenate([mean * ones, 2 * np.log(std) * ones], axis=1), y)
        for mean in (1.0, 2.0, 3.0)
        for std in (2.0, 3.0, 4.0)
    }
    assert min(found, key=found.__getitem__) == (2.0, 3.0)


def test_weights_count_rows() -> None:
    p, y = wave(6, 2), wave(6, 2, phase=1.0)
    weights = np.array([0.0, 1.0, 2.0, 0.0, 3.0, 1.0])
    repeated = np.repeat(np.arange(6), weights.astype(int))
    expected = SquaredError()(p[repeated], y[repeated])
    np.testing.assert_allclose(SquaredError()(p, y, weights), expected, rtol=1e-14)


def test_a_batch_without_weight_costs_nothing() -> None:
    p = ops.input((ROWS, 1))
    output = SquaredError()(p, ops.zeros_like(p), np.zeros(1) * ops.reshape(p, (ROWS,)))
    value, slope = value_and_gradient(output, {p: np.ones((3, 1))})
    assert value == 0
    np.testing.assert_array_equal(slope, 0.0)


@pytest.mark.parametrize("loss", [LOSSES[name]() for name in LOSSES], ids=lambda each: each.name)
def test_nothing_is_broadcast(loss: Loss) -> None:
    prediction = np.full((4, 2), 0.5)
    for wrong in ((4, 3), (1, 4), (2,), (4, 1, 1), ()):
        with pytest.raises(ShapeError, match=rf"{loss.name} of these predictions needs targets"):
            loss(prediction, np.ones(wrong))
    if loss.name not in ("cross_entropy", "gaussian_nll"):
        assert loss.per_row(np.full((4, 1), 0.5), np.ones(4)).shape == (4,)


# Targets


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("cross_entropy", "gaussian_nll")])
def test_targets_take_the_outputs_shape(name: str) -> None:
    loss = losses.get(name)
    y = np.array([1, 1, 1])
    for fitting in (y, y[:, None], y.astype(np.float32), y.astype(bool)):
        found = loss.prepare(fitting, 1, FLOAT32)
        assert (found.shape, found.dtype) == ((3, 1), FLOAT32)
    for wrong in (np.ones((3, 2)), np.ones((3, 1, 1)), np.ones(())):
        with pytest.raises(ShapeError, match=rf"{name} needs targets of shape \(n, 1\) or \(n,\)"):
            loss.prepare(wrong, 1, FLOAT32)
    with pytest.raises(ShapeError, match=rf"{name} needs targets of shape \(n, 2\), got \(3,\)"):
        loss.prepare(y, 2, FLOAT32)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_targets_are_finite(name: str, bad: float) -> None:
    y = np.array([1.0, bad])
    loss = losses.get(name)
    with pytest.raises(DataError, match=rf"{name}.*y\[1\] is {str(bad).replace('-', '-')}"):
        loss.prepare(y, 2 if name in ("cross_entropy", "gaussian_nll") else 1, FLOAT32)


@pytest.mark.parametrize(
    ("name", "y", "n_out", "message"),
    [
        ("poisson", [1.0, -0.5], 1, r"poisson needs targets >= 0, but y\[1\] is -0.5"),
        ("gamma", [1.0, 0.0], 1, r"gamma needs targets > 0, but y\[1\] is 0.0"),
        ("binary_cross_entropy", [[0, 1], [1, 2]], 2, r"targets in \[0, 1\], but y\[1, 1\] is 2"),
        ("hinge", [1, 0, 2], 1, r"hinge needs targets -1 and 1, or 0 and 1, but y\[2\] is 2"),
        ("hinge", [1, 0, -1], 1, r"hinge needs targets -1 and 1, or 0 and 1, but y\[1\] is 0"),
        ("cross_entropy", [0, 3], 3, r"of 3 classes needs targets in \[0, 2\], but y\[1\] is 3"),
        ("cross_entropy", [0, -1], 3, r"needs targets in \[0, 2\], but y\[1\] is -1"),
        ("cross_entropy", [0, 0.5], 3, r"whole numbers as labels, but y\[1\] is 0.5"),
        ("cross_entropy", [[0.5, 0.2, 0.2]], 3, r"rows that sum to 1, but y\[0\] sums to 0.8999"),
        ("cross_entropy", [[1.5, -0.5, 0.0]], 3, r"in \[0, 1\], but y\[0, 0\] is 1.5"),
        ("squared_error", [1e300], 1, r"the target has 1e\+300 in row 0, more than float"),
    ],
)
def test_targets_outside_their_domain(name: str, y: Any, n_out: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        losses.get(name).prepare(np.array(y), n_out, FLOAT32)


@pytest.mark.parametrize("y", [np.array(["a", "b"]), np.array([None, 1]), np.array([1j, 2])])
def test_targets_are_numbers(y: Any) -> None:
    for name in LOSSES:
        with pytest.raises(DtypeError):
            losses.get(name).prepare(y, 2, FLOAT32)


def test_labels_and_rows_of_classes() -> None:
    loss, labels = CrossEntropy(), [2, 0, 1]
    for dtype in (np.int8, np.uint8, np.int64, np.float32, np.float64):
        found = loss.prepare(np.array(labels, dtype), 3, FLOAT32)
        assert found.dtype == np.int64
        assert found.tolist() == labels
    one_hot = np.eye(3)[labels]
    rows = loss.prepare(one_hot, 3, FLOAT32)
    assert rows.dtype == FLOAT32
    p = wave(3, 3)
    np.testing.assert_allclose(loss(p, np.array(labels)), loss(p, one_hot), rtol=1e-14)
    with pytest.raises(ShapeError, match=r"labels of shape \(n,\) or rows of shape \(n, 3\)"):
        loss.prepare(np.eye(2), 3, FLOAT32)


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=20))
def test_two_classes_in_either_notation(labels: list[int]) -> None:
    zeros_and_ones = np.array(labels)
    signs = 2 * zeros_and_ones - 1
    found = [Hinge().prepare(y, 1, FLOAT64)[:, 0] for y in (zeros_and_ones, signs)]
    np.testing.assert_array_equal(found[0], signs)
    np.testing.assert_array_equal(found[1], signs)


# Outputs


@pytest.mark.parametrize(
    ("loss", "n_out", "activation", "probabilities"),
    [
        (SquaredError(), 3, None, False),
        (SquaredError(), 3, Sigmoid(), False),
        (BinaryCrossEntropy(), 1, Sigmoid(), True),
        (BinaryCrossEntropy(), 2, None, False),
        (BinaryCrossEntropy(), 2, Tanh(), False),
        (CrossEntropy(), 2, Softmax(), True),
        (CrossEntropy(), 2, np.cos, False),
        (Poisson(), 1, Exp(), False),
        (Gamma(), 1, Softplus(), False),
        (Poisson(), 1, np.square, False),
        (GaussianNLL(), 2, None, False),
    ],
)
def test_outputs_that_fit(loss: Loss, n_out: int, activation: Any, probabilities: bool) -> None:
    assert loss.check_output(n_out, activation) is probabilities


@pytest.mark.parametrize(
    ("loss", "n_out", "activation", "error", "message"),
    [
        (CrossEntropy(), 1, Softmax(), ShapeError, "an output for each of two or more classes"),
        (CrossEntropy(), 3, Sigmoid(), ParameterError, "needs logits or Softmax, and .* Sigmoid"),
        (BinaryCrossEntropy(), 1, Softmax(), ParameterError, "needs logits or Sigmoid"),
        (Poisson(), 1, None, ParameterError, "poisson needs predictions above 0"),
        (Gamma(), 1, ReLU(), ParameterError, "gamma needs predictions above 0"),
        (GaussianNLL(), 3, None, ShapeError, "an even number of outputs, and the network gives 3"),
    ],
)
def test_outputs_that_do_not_fit(
    loss: Loss, n_out: int, activation: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        loss.check_output(n_out, activation)


# Losses of one's own, and by name


def test_a_loss_of_ones_own() -> None:
    def cubed(prediction: Any, target: Any) -> Any:
        return ops.abs(prediction - target) ** 3

    loss = losses.get(cubed)
    p, y = wave(5, 2), wave(5, 2, phase=1.0)
    weights = np.arange(5.0)
    expected = np.average((abs(p - y) ** 3).mean(axis=1), weights=weights)
    np.testing.assert_allclose(loss(p, y), (abs(p - y) ** 3).mean(), rtol=1e-14)
    np.testing.assert_allclose(loss(p, y, weights), expected, rtol=1e-14)
    assert loss.prepare(np.array([0, 1]), 3, FLOAT32).dtype == np.int64
    with pytest.raises(ShapeError, match=r"loss 'cubed' needs targets of shape \(n, 3\)"):
        loss.prepare(np.array([0.5, 1.0]), 3, FLOAT32)


def test_a_scalar_loss_cannot_be_weighted() -> None:
    loss = Custom(lambda p, y: ops.max(ops.abs(p - y)))
    assert loss(np.array([[1.0], [5.0]]), np.array([[0.0], [0.0]])) == 5
    with pytest.raises(ShapeError, match="gives one number for all rows; to be weighted"):
        loss(np.ones((2, 1)), np.zeros((2, 1)), np.ones(2))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_name(name: str) -> None:
    assert losses.get(name).name == name
    assert losses.get(losses.get(name)) == losses.get(name)


def test_refusals() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cross_entropy'"):
        losses.get("cros_entropy")
    with pytest.raises(ParameterError, match="a loss is a name, a record such as"):
        losses.get(3)
    with pytest.raises(ParameterError, match="a loss is a name, a record such as"):
        losses.get(Huber)
    with pytest.raises(ParameterError, match="Huber: delta must be a float > 0, got 0"):
        Huber(0)
    with pytest.raises(ParameterError, match=r"Quantile: level must be a float in \(0, 1\)"):
        Quantile(1.0)


class _HalvedError(SquaredError, name="half_square"):
    """A defect: 1/2 in front."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        return 0.5 * super().element(prediction, target, probabilities)


class _DoubledDeviance(Poisson, name="doubled", positive=True):
    """A defect: the whole deviance, not half of it."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        return 2.0 * super().element(prediction, target, probabilities)


@pytest.mark.parametrize(("defect", "place"), [(_HalvedError(), 0), (_DoubledDeviance(), 4)])
def test_a_loss_by_another_factor_is_caught(defect: Loss, place: int) -> None:
    with pytest.raises(AssertionError):
        test_loss_is_scikit_learns(defect, *SCIKIT_LEARNS[place][1:])


def test_a_loss_paired_by_hand_is_caught() -> None:
    class Clipped(CrossEntropy, name="clipped", activation=Softmax):
        """A defect: probabilities are kept away from 0, so that no stable form is found."""

        def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
            return -ops.sum(target * ops.log(ops.maximum(prediction, 1e-7)), axis=-1)

    with pytest.raises(AssertionError):
        test_the_gradient_is_p_minus_y(Clipped(), Softmax(), 3, True)
