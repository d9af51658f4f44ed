"""Matrices are divided in pairs, and whatever is kept for a matrix as the matrix is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.engines.division import divided_axes
from chainrule.engines.reference import ReferenceEngine
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Dropout, Linear
from chainrule.optim import SGD, Adam


class SeenError(Exception):
    """A program was seen."""


def axes(monkeypatch: pytest.MonkeyPatch, *layers: Any, **settings: Any) -> list[Any]:
    """The shape of each carried array, and the axis along which it is divided."""

    def seen(self: ReferenceEngine, program: Any, *given: Any, **options: Any) -> None:
        raise SeenError(program)

    monkeypatch.setattr(ReferenceEngine, "run", seen)
    model = Network([*layers], seed=0)
    X = np.ones((12, layers[0].n_in))
    with pytest.raises(SeenError) as caught:
        model.fit(X, np.arange(12) % 3, loss="cross_entropy", engine="reference", epochs=1,
                  batch_size=6, progress=False, **settings)  # fmt: skip
    (program,) = caught.value.args
    inputs = program.step.inputs[: program.carried]
    found = divided_axes(program.step, program.carried)
    return [(node.shape, axis) for node, axis in zip(inputs, found, strict=True)]


def test_two_layers_in_a_row_are_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    between = Activation("relu"), Dropout(0.2), BatchNorm(16)
    layers = Linear(16, 16), *between, Linear(16, 16), Activation("tanh"), Linear(16, 3)
    found = axes(monkeypatch, *layers, optimizer=SGD(0.1))
    assert [axis for shape, axis in found if len(shape) == 2] == [-1, -2, -1]
    assert [axis for shape, axis in found if len(shape) == 1][:5] == [-1, -1, -1, None, -1]


def test_a_layer_with_few_outputs_and_no_partner_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = Linear(5, 24), Activation("relu"), Linear(24, 24), Activation("relu"), Linear(24, 3)
    found = axes(monkeypatch, *layers, optimizer=SGD(0.1))
    assert [axis for shape, axis in found if len(shape) == 2] == [-1, -2, None]
    alone = axes(monkeypatch, Linear(24, 3), optimizer=SGD(0.1))
    assert alone[:2] == [((24, 3), None), ((3,), None)]


@pytest.mark.parametrize("settings", [{}, {"l2": 0.1, "max_norm": 0.5}], ids=str)
def test_moments_lie_as_their_matrices_do(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where two matrices have one shape and lie in different ways."""
    layers = Linear(16, 16), Activation("relu"), Linear(16, 16)
    optimizer = Adam(1e-3, accumulate=2, clip_norm=1.0)
    found = axes(monkeypatch, *layers, optimizer=optimizer, **settings)
    matrices = [axis for shape, axis in found if len(shape) == 2]
    assert matrices[:2] == [-1, -2]
    assert matrices[2:] == [-1, -1, -2, -2, -1, -2]  # two moments each, then gradients
