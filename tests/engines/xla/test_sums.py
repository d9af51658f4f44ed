"""What devices tell each other: counted in the compiled programs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

from chainrule.engines.xla import function, program
from chainrule.engines.xla.engine import XlaEngine
from chainrule.engines.xla.program import Call
from chainrule.graph.graph import Graph
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Linear
from chainrule.optim import Adam
from tests.engines.xla.test_devices import trained

SUM = re.compile(r"= (.*) all-reduce(?:-start)?\(")
OTHERS = re.compile(r" (?:all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")
PARAMETERS = 6 * 16 + 16 + 16 * 3 + 3


def computations(text: str) -> Iterator[tuple[str, list[str]]]:
    """The computations of a compiled program, by name."""
    for block in re.split(r"\n(?=\S.*\{\n)", text):
        head, *lines = block.splitlines()
        yield head.removeprefix("ENTRY ").split(" ")[0], lines


def numbers_summed(monkeypatch: pytest.MonkeyPatch, accumulate: int, *norms: Any) -> dict[str, int]:
    """How many numbers are summed over four devices in each step, in updates, and in each epoch."""
    layers = [Linear(6, 16), *norms, Activation("relu"), Linear(16, 3)]
    return by_moment(compiled_text(monkeypatch, layers, accumulate, XlaEngine(devices=4)))


def compiled_text(
    monkeypatch: pytest.MonkeyPatch, layers: Sequence[Any], accumulate: int, engine: XlaEngine
) -> str:
    """The compiled program of an epoch of eight steps."""
    texts = []

    def seen(self: Call, state: Any, rows: Any, seed: Any, epochs: range, *place: int) -> Any:
        given = state, list(rows), seed, np.array([epochs.start, len(epochs), *place], np.uint64)
        compiled: Any = self.compiled
        texts.append(compiled.lower(*given).compile().as_text())
        return compiled(*given)

    monkeypatch.setattr(Call, "__call__", seen)
    X = np.random.default_rng(0).standard_normal((256, 6)).astype(np.float32)
    Network(layers, seed=0).fit(
        X, np.arange(256) % 3, loss="cross_entropy", epochs=1, batch_size=32, progress=False,
        optimizer=Adam(1e-2, accumulate=accumulate), engine=engine,
    )  # fmt: skip
    return str(texts[0])


def by_moment(text: str) -> dict[str, int]:
    """The numbers that a program sums, by how often it does: the loop of steps is the inner one."""
    assert not OTHERS.search(text)
    branches = re.findall(r"branch_computations=\{(.*?)\}", text)
    found = {"step": 0, "update": 0, "epoch": 0}
    for name, lines in computations(text):
        for line in lines:
            for shapes in SUM.findall(line):
                numbers = sum(math.prod(map(int, dims.split(","))) if dims else 1
                              for dims in re.findall(r"[a-z]\d+\[([\d,]*)\]", shapes))  # fmt: skip
                is_update = any(name in branch for branch in branches)
                in_steps = line.count("while/body") > 1
                found["update" if is_update else "step" if in_steps else "epoch"] += numbers
    return found


def test_gradients_are_summed_once_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, losses = 8, 8
    each = numbers_summed(monkeypatch, 1)
    assert each == {"step": PARAMETERS, "update": 0, "epoch": losses}
    fourth = numbers_summed(monkeypatch, 4)
    assert fourth == {"step": 0, "update": PARAMETERS, "epoch": PARAMETERS + losses}
    assert steps // 4 * fourth["update"] < steps * each["step"] / 3


def test_batch_norm_sums_what_the_next_layer_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = numbers_summed(monkeypatch, 4, BatchNorm(16))
    assert 0 < found["step"] <= 4 * 16  # mean, variance, and the two sums of their derivatives
    assert found["update"] == PARAMETERS + 2 * 16


def test_an_engine_that_sums_each_step_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "parts_of", lambda *_: {})
    assert numbers_summed(monkeypatch, 4)["step"] >= PARAMETERS


def numbers_of_pairs(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many numbers four devices sum in a step of 32 rows, whose units they divide."""
    layers = [Linear(6, 64), Activation("relu"), Linear(64, 64), Activation("relu"), Linear(64, 3)]
    engine = XlaEngine(devices=4, split_units=4)
    return by_moment(compiled_text(monkeypatch, layers, 1, engine))["step"]


def test_units_that_are_divided_are_summed_once_for_two_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, bias = 32 * 64, 64
    assert values <= numbers_of_pairs(monkeypatch) <= values + bias + 20


def test_an_engine_that_divides_all_layers_alike_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(step: Graph, carried: int) -> list[tuple[Any, int | None]]:
        shapes = [node.shape for node in step.inputs[:carried]]
        return [(shape, -1 if len(shape) == 2 else None) for shape in shapes]

    monkeypatch.setattr(program, "divided_axes", alike)
    with pytest.raises(AssertionError):  # it gathers
        numbers_of_pairs(monkeypatch)


@pytest.mark.parametrize(
    "devices", [4, *[pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 8)]]
)
@pytest.mark.parametrize(
    "options",
    [{"batch_size": 40}, *[pytest.param(o, marks=pytest.mark.slow) for o in (
        {}, {"batch_size": 40, "max_norm": 0.5, "l2": 0.01}, {"sample_weight": np.arange(203.0)},
        {"batch_size": 40, "members": 2},
    )]],
    ids=str,
)  # fmt: skip
def test_losses_are_those_of_one_device(devices: int, options: Any) -> None:
    options = {"optimizer": Adam(1e-2, accumulate=3), **options}
    expected = trained("reference", "float64", **options)[1]
    found = trained(XlaEngine(devices=devices), "float64", **options)[1]
    for column in (found.step_losses, expected.step_losses), (found["loss"], expected["loss"]):
        np.testing.assert_allclose(*column, rtol=1e-11)
    np.testing.assert_allclose(found["gradient_norm"], expected["gradient_norm"], rtol=1e-9)


@pytest.mark.slow
def test_units_that_are_divided_keep_their_parts() -> None:
    options = {"optimizer": Adam(1e-2, accumulate=3), "batch_size": 40}
    expected = trained("reference", "float64", **options)[1]
    found = trained(XlaEngine(devices=8, split_units=4), "float64", **options)[1]
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-11)
