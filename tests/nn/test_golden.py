"""Activations, layers and losses give PyTorch's numbers; ones with a small error do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.nn import (
    Activation,
    ActivationFunction,
    BatchNorm,
    Layer,
    LayerNorm,
    Mode,
    PReLU,
    activations,
    losses,
)
from chainrule.nn.activations import ACTIVATIONS
from tests.nn import problem
from tests.nn.running import rows_of, run_layer, value_and_gradient

GOLDEN = json.loads((Path(__file__).parent / "golden_nn.json").read_text(encoding="utf-8"))
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
FLOAT32_INSIDE = ("HardSigmoid", "CELU")  # PyTorch keeps 1/6 and 1/alpha in float32
OURS_ALONE = ("Sign", "Exp")  # PyTorch has functions for these, but no modules


def _activation(case: dict[str, Any]) -> ActivationFunction:
    found: ActivationFunction = activations.KINDS[case["activation"]](**case["settings"])
    return found


def _title(case: dict[str, Any]) -> str:
    return "-".join(map(str, [*case.values()][:2]))


@pytest.mark.parametrize("case", GOLDEN["activations"], ids=_title)
def test_activation_is_pytorchs(case: dict[str, Any]) -> None:
    x = ops.input(problem.POINTS.shape)
    seed = problem.wave(len(problem.POINTS))
    values, slopes = value_and_gradient(_activation(case)(x), {x: problem.POINTS}, seed)
    close = {"rtol": 1e-7, "atol": 1e-12} if case["activation"] in FLOAT32_INSIDE else CLOSE
    np.testing.assert_allclose(values, case["values"], **close)
    np.testing.assert_allclose(slopes, case["gradient"], **close)


def test_every_activation_is_compared() -> None:
    compared = {case["activation"] for case in GOLDEN["activations"]}
    assert compared | set(OURS_ALONE) == {kind.__name__ for kind in ACTIVATIONS}


LAYERS: Mapping[str, Any] = {
    "BatchNorm": lambda **settings: BatchNorm(4, **settings),
    "LayerNorm": lambda **settings: LayerNorm(4, **settings),
    "PReLU": lambda **settings: Activation(PReLU(4, **settings)),
}
VALUES = {"gamma": problem.GAMMA, "beta": problem.BETA, "slope": problem.SLOPES}
PYTORCHS = {"gamma": "weight", "beta": "bias", "slope": "weight"}


def _check_layer(layer: Layer, case: dict[str, Any]) -> None:
    """Two batches in training, the running statistics after each, then both in evaluation."""
    state: Mapping[str, Any] = layer.initial_state()
    values = {name: VALUES[name] for name in layer.parameters()}
    for training in (True, False):
        expected = case["training" if training else "evaluation"]
        for batch, seed, golden in zip(problem.BATCHES, problem.SEEDS, expected, strict=True):
            _check_derivatives(layer, batch, seed, values, state, training, golden)
            output, state = run_layer(layer, batch, values, state, training)
            np.testing.assert_allclose(output, golden["output"], **CLOSE)
            for name, array in state.items():
                np.testing.assert_allclose(array, golden[name], err_msg=name, **CLOSE)


def _check_derivatives(
    layer: Layer,
    batch: Any,
    seed: Any,
    values: Mapping[str, Any],
    state: Mapping[str, Any],
    training: bool,
    golden: dict[str, Any],
) -> None:
    x = rows_of(batch)
    leaves = {name: ops.input(array.shape) for name, array in values.items()}
    constants = {name: ops.constant(array) for name, array in state.items()}
    y, _ = layer.forward(x, leaves, constants, Mode(training))
    inputs = {x: batch} | {leaves[name]: values[name] for name in values}
    _, *found = value_and_gradient(y, inputs, seed)
    names = ["gradient", *[f"gradient_{PYTORCHS[name]}" for name in values]]
    for name, array in zip(names, found, strict=True):
        np.testing.assert_allclose(array, golden[name], err_msg=name, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", GOLDEN["layers"], ids=_title)
def test_layer_is_pytorchs(case: dict[str, Any]) -> None:
    _check_layer(LAYERS[case["layer"]](**case["settings"]), case)


class _BiasedRunning(BatchNorm):
    """A defect: the running variance is divided by n."""

    def forward(self, x: Any, parameters: Any, state: Any, mode: Mode) -> Any:
        y, anew = super().forward(x, parameters, state, mode)
        if not mode.training:
            return y, anew
        variance = ops.var(x, axis=0)
        return y, {**anew, "running_var": self._moved(state["running_var"], variance)}


class _UnbiasedBatch(BatchNorm):
    """A defect: the batch's variance is divided by n - 1."""

    def _scaled(self, deviation: Any, variance: Any, parameters: Any) -> Any:
        return super()._scaled(deviation, variance * (7 / 6), parameters)


class _SwappedMomentum(BatchNorm):
    """A defect: momentum is the share that stays, as elsewhere."""

    def _moved(self, running: Any, batch: Any) -> Any:
        return super()._moved(batch, running)


@pytest.mark.parametrize("defect", [_BiasedRunning, _UnbiasedBatch, _SwappedMomentum])
def test_a_defective_batch_norm_is_caught(defect: type[BatchNorm]) -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        _check_layer(defect(4), GOLDEN["layers"][0])


@pytest.mark.parametrize("place", range(len(problem.LOSS_CASES)))
def test_loss_is_pytorchs(place: int) -> None:
    case, golden = problem.LOSS_CASES[place], GOLDEN["losses"][place]
    assert golden["loss"] == case.name
    loss = losses.LOSSES[case.name](**case.settings)
    prediction, target = rows_of(case.prediction), rows_of(case.target)
    output = loss(prediction, target, probabilities=case.probabilities)
    value, slope = value_and_gradient(
        output, {prediction: case.prediction}, fixed={target: case.target}
    )
    np.testing.assert_allclose(value, golden["value"], **CLOSE)
    np.testing.assert_allclose(slope, golden["gradient"], **CLOSE)
    arrays = loss(case.prediction, case.target, probabilities=case.probabilities)
    np.testing.assert_allclose(arrays, golden["value"], **CLOSE)
