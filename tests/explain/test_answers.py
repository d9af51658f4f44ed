"""Functions that answer a question about a function, a set or a network, against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import chainrule as cr
from chainrule import explain
from chainrule.errors import ShapeError, UnknownNameError
from chainrule.nn import Activation, BatchNorm, Linear, Sigmoid, Tanh


@pytest.mark.parametrize(
    ("fn", "verdict"),
    [
        (lambda p: p[0] ** 2 + 3 * p[1] ** 2, "minimum"),
        (lambda p: -(p[0] ** 2) - p[1] ** 2, "maximum"),
        (lambda p: p[0] ** 2 - p[1] ** 2, "saddle"),
        (lambda p: p[0] ** 4 + p[1] ** 4, "inconclusive"),
        (lambda p: p[0] + p[1] ** 2, "not critical"),
    ],
)
def test_the_second_derivative_test(fn: object, verdict: str) -> None:
    assert explain.second_derivative_test(fn, [0.0, 0.0]).verdict == verdict


def test_rises_and_falls_are_counted_around_the_circle() -> None:
    assert explain.rises_and_falls(lambda p: p[0] ** 2 + p[1] ** 2, [0, 0]) == (1, 0)
    assert explain.rises_and_falls(lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2, [0, 0]) == (3, 3)
    five = explain.rises_and_falls(lambda p: np.cos(5 * np.arctan2(p[1], p[0])) * (p @ p), [0, 0])
    assert five == (5, 5)


def test_a_point_that_is_no_vector_is_refused() -> None:
    with pytest.raises(ShapeError, match="vector"):
        explain.second_derivative_test(lambda p: cr.sum(p * p), [[1.0]])


def test_the_hessian_spectrum_is_that_of_the_matrix() -> None:
    A = np.random.default_rng(0).normal(size=(4, 4))
    spectrum = explain.hessian_spectrum(lambda x: x @ cr.constant(A @ A.T) @ x / 2, np.ones(4))
    assert_allclose(spectrum, np.linalg.eigvalsh(A @ A.T), rtol=1e-10)


def test_convexity_gives_a_certificate_a_witness_or_neither() -> None:
    X = np.random.default_rng(0).normal(size=(9, 2))
    least_squares = explain.convexity(lambda w: cr.mean((X @ w - 1) ** 2), [-3, -3], [3, 3])
    assert least_squares.convex is True
    bent = explain.convexity(lambda w: (cr.tanh(w[0]) - 1) ** 2, [-6.0], [3.0])
    assert bent.convex is False and bent.witness is not None
    a, b, middle = (float((np.tanh(x[0]) - 1) ** 2) for x in bent.witness)
    assert middle > (a + b) / 2
    softplus = explain.convexity(lambda w: cr.softplus(w[0]), [-3.0], [3.0], samples=200)
    assert softplus.convex is None and "no counter-example" in softplus.because


def test_sets_are_convex_or_have_a_witness() -> None:
    disc = explain.convex_set(lambda p: np.hypot(*p.T) <= 1, [-1, -1], [1, 1])
    ring = explain.convex_set(lambda p: abs(np.hypot(*p.T) - 0.8) <= 0.2, [-1, -1], [1, 1])
    assert disc.convex is None and ring.convex is False and ring.witness is not None
    assert not abs(np.hypot(*ring.witness[2]) - 0.8) <= 0.2


def test_curve_fits_find_the_parameters_from_many_starts() -> None:
    x = np.linspace(0, 3, 40)
    curve = lambda x, theta: theta[..., 0] * cr.exp(-theta[..., 1] * x)  # noqa: E731
    starts = np.random.default_rng(0).uniform(0.2, 3, (20, 2))
    fits = explain.fit_curves(curve, x, 2.5 * np.exp(-1.3 * x), starts)
    assert_allclose(fits.best, [2.5, 1.3], rtol=1e-9)
    assert fits.losses.shape == (20,) and fits.gradient_norms.min() < 1e-9
    with pytest.raises(ShapeError, match="starts"):
        explain.fit_curves(curve, x, x[:3], starts)


def test_curve_fits_agree_with_scipy_where_no_fit_is_exact() -> None:
    from scipy.optimize import least_squares

    x, y = np.linspace(-1, 1, 30), np.abs(np.linspace(-1, 1, 30))
    curve = lambda x, t: t[..., 0] + t[..., 1] * cr.tanh(t[..., 2] * x + t[..., 3])  # noqa: E731
    start = np.array([0.5, 0.5, 2.0, 1.0])
    fits = explain.fit_curves(curve, x, y, start[None, :], iterations=500)
    residuals = lambda t: t[0] + t[1] * np.tanh(t[2] * x + t[3]) - y  # noqa: E731
    peer = least_squares(residuals, start, method="lm", xtol=1e-12, ftol=1e-12)
    assert_allclose(fits.losses[0], np.mean(peer.fun**2), rtol=1e-6)


def network() -> cr.Network:
    return cr.Network(
        [Linear(2, 3, name="first"), Activation(Tanh()), BatchNorm(3), Linear(3, 1, name="last"),
         Activation(Sigmoid())], seed=0, dtype="float64",
    )  # fmt: skip


def test_hidden_outputs_are_what_the_last_layer_reads() -> None:
    model, X = network(), np.random.default_rng(0).normal(size=(6, 2))
    hidden = explain.hidden_outputs(model, X)
    z = hidden @ model["last"].W + model["last"].b
    assert_allclose(1 / (1 + np.exp(-z)), model.predict(X))
    assert_allclose(explain.hidden_outputs(model, X, "first"), X)
    with pytest.raises(UnknownNameError, match="did you mean 'first'"):
        explain.hidden_outputs(model, X, "frist")


def test_hidden_space_says_whether_a_line_separates() -> None:
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    words = explain.hidden_space(network(), corners, [1, 0, 0, 1]).describe()
    assert "input: not separable" in words and "second principal axis" in words
    model, across = network(), np.linspace(-1, 1, 8)
    halves = explain.hidden_space(model, np.column_stack([across, across**2]), across > 0)
    assert "input: separable" in halves.describe()


def test_the_loss_of_all_parameters_is_the_training_loss() -> None:
    model, X = network(), np.random.default_rng(0).normal(size=(6, 2))
    y = np.array([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0]])
    fn, at = explain.loss_of_parameters(model, X, y), explain.flat_parameters(model)
    p = model.predict(X)
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert_allclose(float(fn(at)), cross_entropy, rtol=1e-12)
    cr.testing.check_gradients(fn, at, order=2)


def test_a_network_opens_as_a_ledger() -> None:
    model, X = network(), np.random.default_rng(0).normal(size=(3, 2))
    book = explain.ledger(explain.loss_graph(model, X, [[1.0], [0.0], [1.0]]))
    model.forward(X)
    p = model.predict(X)
    y = np.array([[1.0], [0.0], [1.0]])
    model.backward((p - y) / (p * (1 - p)) / 3)
    W = next(node for node in book.order if node.name == "first.W")
    assert_allclose(book.gradients[W], model["first"].gradient_w, rtol=1e-9)
    assert "first.W[1, 2]" in book.html()


def test_filter_normalised_directions_are_as_long_as_the_units_weights() -> None:
    model = network()
    direction = explain.filter_normalised(model, seed=3)
    moved = direction[:6].reshape(2, 3)
    lengths = np.linalg.norm(moved, axis=0), np.linalg.norm(model["first"].W, axis=0)
    assert_allclose(*lengths)
    assert (direction[6:9] == 0).all()  # biases do not move


def test_a_landscape_has_its_least_loss_where_the_network_is() -> None:
    model = cr.Network([Linear(2, 1, name="only")], seed=0, dtype="float64")
    X = np.random.default_rng(0).normal(size=(20, 2))
    model["only"].W, model["only"].b = [[1.0], [-2.0]], [0.5]
    chart = explain.loss_landscape(model, X, model.predict(X) + 0.1, steps=11)
    values = np.array(chart.panels[0].marks[0].values)
    assert values.shape == (11, 11)
    assert_allclose(values[5, 5], np.log10(0.01))


def test_stages_of_preprocessing_are_what_their_names_say() -> None:
    X = np.random.default_rng(0).normal(size=(80, 2)) @ [[2.0, 1.5], [0.0, 0.5]] + [5.0, -3.0]
    stages = explain.preprocessing_stages(X)
    assert_allclose(stages["zero-centred"].mean(axis=0), 0, atol=1e-12)
    assert_allclose(stages["normalised"].std(axis=0), 1)
    covariance = np.cov(stages["PCA"].T, bias=True)
    assert_allclose(covariance[0, 1], 0, atol=1e-9)
    assert_allclose(np.cov(stages["whitened"].T, bias=True), np.eye(2), atol=1e-9)
    with pytest.raises(ShapeError, match="two columns"):
        explain.preprocessing_picture(np.ones((3, 4)))


def test_masks_show_every_unit_once() -> None:
    chart = explain.dropout_masks(0.5, units=6, passes=4, seed=1)
    kept, dropped = chart.panels[0].marks
    assert kept.x.size + dropped.x.size == 24 and 0 < kept.x.size < 24
