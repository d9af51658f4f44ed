"""What explain measures on models and data of one's own, against independent arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import DataError, ParameterError, ShapeError, UnknownNameError
from chainrule.explain import (
    TERRAINS,
    bootstrap,
    decomposed,
    logits,
    optimizer_paths,
    separating_plane,
    signals,
    smoothness,
    symbols,
    trajectory,
    uncertainty,
    unit_maps,
)

# ---------------------------------------------------------------------------- optimizers

Moons = tuple[nn.Network, np.ndarray, np.ndarray]
GOLDEN = json.loads(Path(__file__).with_name("golden_paths.json").read_text(encoding="utf-8"))
RATES = {"bowl": (0.1, 0.1), "ravine": (0.03, 0.1), "Rosenbrock": (5e-4, 0.05),
         "saddle": (0.02, 0.05)}  # fmt: skip


@pytest.mark.parametrize("path", GOLDEN)
def test_paths_are_those_of_pytorch(path: str) -> None:
    rule, name = path.split(" on ")
    rate = RATES[name][rule not in ("SGD", "Momentum", "Nesterov")]
    ground = TERRAINS[name]
    found = trajectory(ground.function, getattr(cr.optim, rule)(rate), ground.start, 100)
    assert found[::10] == pytest.approx(np.array(GOLDEN[path]), rel=1e-9, abs=1e-9)


def test_paths_start_from_vectors_and_can_be_drawn() -> None:
    bowl = TERRAINS["bowl"]
    with pytest.raises(ShapeError, match="a path starts from a vector"):
        trajectory(bowl.function, cr.optim.SGD(0.1), [[1.0, 1.0]], 3)
    rules = {"SGD": cr.optim.SGD(0.1), "Adam": cr.optim.Adam(0.1)}
    chart = optimizer_paths(bowl.function, rules, bowl.start, bowl.extent, steps=20)
    marks = {mark["label"]: mark for mark in chart.data["panels"][0]["marks"]}
    assert marks["SGD"]["x"] == pytest.approx(-1.5 * 0.8 ** np.arange(21))


# ---------------------------------------------------------------------------- planes


@pytest.mark.parametrize(
    ("labels", "separable"),
    [([0, 0, 0, 1], True), ([0, 1, 1, 1], True), ([0, 1, 1, 0], False), ([1, 0, 0, 1], False)],
)
def test_planes_of_boolean_functions(labels: list[int], separable: bool) -> None:
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    plane = separating_plane(corners, labels)
    assert (plane is not None) is separable
    if plane is not None:
        assert ((plane.sides(corners) > 0) == np.array(labels)).all()


def test_planes_are_found_whatever_the_units() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 3)) * [1e-9, 1.0, 1e9]
    y = X @ [1e9, 1.0, 1e-9] > 0.3
    plane = separating_plane(X, y)
    assert plane is not None and ((plane.sides(X) > 0) == y).all()
    assert separating_plane(draw.normal(size=(200, 3)), draw.integers(0, 2, 200)) is None
    with pytest.raises(DataError, match="two classes, got 1"):
        separating_plane(X, np.ones(200))


# ---------------------------------------------------------------------------- bias and variance


def test_parts_add_up_to_the_mean_error() -> None:
    draw = np.random.default_rng(1)
    predictions, truth = draw.normal(size=(50, 7)), draw.normal(size=7)
    parts = decomposed(predictions, truth)
    mean_error = ((predictions - truth) ** 2).mean(axis=0)
    assert parts.bias2 + parts.variance * 49 / 50 == pytest.approx(mean_error, rel=1e-12)
    assert parts.figure(0.1).data["panels"][0]["marks"][0]["height"][2] == 0.1
    with pytest.raises(ShapeError, match="at least 2 sets"):
        decomposed(predictions[:1], truth)


def test_bootstrap_of_the_mean_has_the_variance_of_the_mean() -> None:
    draw = np.random.default_rng(2)
    X, y = np.zeros((400, 1)), draw.normal(size=400)
    made = bootstrap(lambda X, y: lambda Z: np.full(len(Z), y.mean()), X, y, X[:1], sets=2000)
    assert made.shape == (2000, 1)
    assert made.var() == pytest.approx(y.var() / 400, rel=0.15)


# ---------------------------------------------------------------------------- boundaries


@pytest.fixture(scope="module")
def moons() -> Moons:
    X, y = cr.data.two_moons(120, seed=3)
    layers = [nn.Linear(2, 6, name="a"), nn.Activation(nn.ReLU(), name="relu"),
              nn.Linear(6, 1, name="b"), nn.Activation(nn.Sigmoid(), name="p")]  # fmt: skip
    model = nn.Network(layers, seed=0)
    model.fit(X, y, epochs=15, members=3, seed=0, progress=False)
    return model, X, y


def test_logits_are_what_the_sigmoid_is_given(
    moons: Moons,
) -> None:
    model, X, _ = moons
    found = logits(model, X)
    assert found.shape == (3, 120)
    p = model.predict(X, members="all")[..., 0]
    assert 1 / (1 + np.exp(-found)) == pytest.approx(p, abs=1e-6)


def test_uncertainty_is_the_spread_of_members(
    moons: Moons,
) -> None:
    model, X, y = moons
    found = uncertainty(model, X, y, samples=20)
    corner = np.array([[found.extent[0], found.extent[2]]])
    assert found.spread[0, 0] == pytest.approx(logits(model, corner).std(), rel=1e-5)
    nearest = np.hypot(*(X - corner).T).min()
    assert found.distances[0, 0] == pytest.approx(nearest)
    assert len(found.figure().panels) == 3


def test_unit_maps_are_the_outputs_of_the_layer(
    moons: Moons,
) -> None:
    model, X, y = moons
    chart = unit_maps(model.member(0), X, y, "relu")
    maps = [panel["marks"][0]["values"] for panel in chart.data["panels"]]
    low = X.min(axis=0) - 0.12 * np.ptp(X, axis=0)
    one = model.member(0)
    one.forward(low[None])
    assert np.array(maps)[:, 0, 0] == pytest.approx(one["b"].input[0], rel=1e-4, abs=1e-5)
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        unit_maps(model.member(0), X, y, "rellu")


def test_boundaries_of_what_has_none_are_refused() -> None:
    five = nn.Network([nn.Linear(5, 1), nn.Activation(nn.Sigmoid())], seed=0)
    with pytest.raises(ShapeError, match=r"two principal components \(nn.PCA\(2\)\)"):
        uncertainty(five, np.zeros((4, 5)), np.zeros(4))
    with pytest.raises(ParameterError, match="ends in a sigmoid"):
        logits(nn.Network([nn.Linear(2, 1)], seed=0), np.zeros((1, 2)))
    wide = nn.Network([nn.Linear(2, 3), nn.Activation(nn.Sigmoid())], seed=0)
    with pytest.raises(ParameterError, match="one output unit, not 3"):
        logits(wide, np.zeros((1, 2)))


# ---------------------------------------------------------------------------- signals, smoothness


def test_signals_are_those_of_explicit_arithmetic() -> None:
    model = nn.Network([nn.Linear(2, 3, name="a"), nn.Activation(nn.ReLU(), name="r"),
                        nn.Linear(3, 1, name="b")], seed=1, dtype="float64")  # fmt: skip
    model["a"].b = np.array([0.0, -100.0, 0.0])
    X = np.random.default_rng(0).normal(size=(8, 2))
    found = signals(model, X, lambda output: output)
    s = X @ model["a"].W + model["a"].b
    h = np.maximum(s, 0)
    output = h @ model["b"].W + model["b"].b
    error = output @ model["b"].W.T * (s > 0)
    assert found.gradients == pytest.approx(
        [np.linalg.norm(X.T @ error), np.linalg.norm(h.T @ output)]
    )
    assert found.activations == pytest.approx([np.sqrt((s**2).mean()), np.sqrt((output**2).mean())])
    assert found.dead["r"] == pytest.approx(np.mean((s <= 0).all(axis=0))) and found.dead["r"] > 0
    assert found.ratio == pytest.approx(found.gradients[0] / found.gradients[1])
    assert len(found.figure().panels) == 3


def test_signals_leave_the_model_as_it_was() -> None:
    model = nn.Network([nn.Linear(2, 3), nn.BatchNorm(3), nn.Linear(3, 1)], seed=0)
    before = model.snapshot()
    signals(model, np.random.default_rng(0).normal(size=(9, 2)), lambda y: y, training=True)
    after = model.snapshot()
    for kept, now in zip(before.leaves, after.leaves, strict=True):
        assert np.array_equal(kept, now)


@pytest.mark.parametrize("curvatures", [[2.0], [1.0, 9.0]])
def test_beta_is_the_curvature_along_its_axis(curvatures: list[float]) -> None:
    A = np.diag(curvatures)
    steepest = np.zeros(len(curvatures))
    steepest[-1] = 1.0
    found = smoothness(lambda w: w @ (A @ w) / 2, [steepest, 3 * steepest], [0.01, 0.1])
    assert found.beta == pytest.approx([curvatures[-1]] * 2, rel=1e-9)
    ahead = (1 - 0.1 * curvatures[-1]) * steepest
    assert found.losses[0, 1] == pytest.approx(ahead @ A @ ahead / 2)
    assert found.changes[0, 1] == pytest.approx(0.1 * curvatures[-1] ** 2)
    with pytest.raises(ShapeError, match=r"\(points, d\)"):
        smoothness(lambda w: w @ w, [1.0], [0.1])


# ---------------------------------------------------------------------------- symbols


def test_symbols_read_as_the_numbers_they_stand_for() -> None:
    draw = np.random.default_rng(4)
    values = dict(zip("xyz", draw.uniform(0.5, 2.0, 3), strict=True))
    x, y, z = (cr.variable(value, name=name) for name, value in values.items())
    nodes = [x - (y - z), (x - y) - z, x / (y / z), x / y / z, (x + y) * z, x + y * z,
             -(x + y), x * -y, cr.exp(x - y) * z, cr.maximum(x, y) - z, (x + 1) ** 2]  # fmt: skip
    for node in nodes:
        line = symbols(node).replace("−", "-").replace("×", "*").replace("^", "**")
        names = {"exp": np.exp, "max": max, **values}
        assert eval(line, {"__builtins__": {}}, names) == pytest.approx(float(node.value)), line
