"""Devices divide rows or units, whichever they have to tell each other less of.

Matrices are divided in pairs, and whatever is kept for a matrix as the matrix is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from chainrule.engines import division
from chainrule.engines.division import chosen_units, divided_axes, seconds_of_sum
from chainrule.engines.reference import ReferenceEngine
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Dropout, Linear
from chainrule.optim import SGD, Adam


class SeenError(Exception):
    """A program was seen."""


def program_of(
    monkeypatch: pytest.MonkeyPatch, layers: Sequence[Any], batch: int = 6, **settings: Any
) -> Any:
    """The program of a training."""

    def seen(self: ReferenceEngine, program: Any, *given: Any, **options: Any) -> None:
        raise SeenError(program)

    monkeypatch.setattr(ReferenceEngine, "run", seen)
    model = Network([*layers], seed=0, dtype="float32")
    X = np.ones((2 * batch, layers[0].n_in), np.float32)
    with pytest.raises(SeenError) as caught:
        model.fit(X, np.arange(2 * batch) % 3, loss="cross_entropy", engine="reference", epochs=1,
                  batch_size=batch, progress=False, **settings)  # fmt: skip
    return caught.value.args[0]


def axes(monkeypatch: pytest.MonkeyPatch, *layers: Any, **settings: Any) -> list[Any]:
    """The shape of each carried array, and the axis along which it is divided."""
    program = program_of(monkeypatch, layers, **settings)
    return divided_axes(program.step, program.carried)


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


def dense(*widths: int) -> list[Any]:
    pairs = [[Linear(n_in, n_out), Activation("relu")] for n_in, n_out in pairwise(widths)]
    return [layer for pair in pairs for layer in pair][:-1]


WIDE = 784, 1024, 1024, 10


@pytest.mark.parametrize(
    ("widths", "batch", "devices", "expected"),
    [
        (WIDE, 1024, 1, 1),
        (WIDE, 1024, 2, 2),  # 7.5 MB of gradients, or 4.2 of values
        (WIDE, 1024, 3, 1),  # 3 divides no 1,024
        (WIDE, 2048, 2, 1),  # 8.4 of values
        (WIDE, 1024, 8, 4),
        (WIDE, 8192, 8, 1),
        ((512, 1024, 1024, 512, 512), 64, 2, 2),
        ((64, 128, 10), 64, 8, 1),  # few gradients
        ((30000, 10), 64, 2, 1),  # each device would do all of it
    ],
    ids=str,
)
def test_devices_divide_what_they_have_to_say_less_of(
    widths: tuple[int, ...], batch: int, devices: int, expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert chosen_units(program_of(monkeypatch, dense(*widths), batch), devices) == expected


def test_gradients_that_wait_for_an_update_are_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = Adam(1e-3, accumulate=4)
    program = program_of(monkeypatch, dense(*WIDE), 1024, optimizer=optimizer)
    assert chosen_units(program, 2) == 1


def check_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, for two pairs of layers on eight devices: four groups of two."""
    widths, batch, r, k = (256, 512, 256, 512, 512), 1024, 4, 2
    program = program_of(monkeypatch, dense(*widths), batch, optimizer=Adam(1e-3))
    work = division._work(program.step, program.carried, batch)
    divided = sum(n_in * n_out for n_in, n_out in pairwise(widths)) + 2 * 512
    whole = 256 + 512 + 1  # the biases after the sums, and the loss
    forward = [256, 512]
    backward = [256]  # nobody asks for the gradient of the features
    expected = seconds_of_sum(4 * (divided / k + whole), r)
    expected += sum(seconds_of_sum(4 * batch / r * width, k) for width in forward + backward)
    assert work.seconds(r, k) == pytest.approx(expected, rel=1e-12)


def test_the_expected_time_is_that_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    check_estimate(monkeypatch)


def test_an_estimate_without_the_way_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = division._is_told

    def forward(product: Any, *of: Any) -> bool:
        return not product.attributes["transpose_b"] and genuine(product, *of)

    monkeypatch.setattr(division, "_is_told", forward)
    with pytest.raises(AssertionError):
        check_estimate(monkeypatch)
