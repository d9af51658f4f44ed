"""How many epochs a call into the engine runs changes nothing but the time that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.registry import get_engine
from chainrule.nn import Activation, Linear
from chainrule.training import methods

generator = np.random.default_rng(0)
X = generator.standard_normal((90, 4))
Y = (X[:, :1] * X[:, 1:2] + 0.5 * generator.standard_normal((90, 1))) * 3


class Calls:
    """A training whose calls into the engine are counted."""

    def __init__(
        self, patch: pytest.MonkeyPatch, estimate: float, engine: str, **options: Any
    ) -> None:
        self.epochs: list[int] = []
        outcome = methods.Steps._outcome

        def noted(method: Any, leaves: Any, epochs: range) -> Any:
            self.epochs.append(len(epochs))
            return outcome(method, leaves, epochs)

        patch.setattr(methods.Steps, "_outcome", noted)
        speed = get_engine(engine).speed
        patch.setattr(methods, "epoch_seconds", lambda *_: estimate * speed)
        self.model = cr.Network([Linear(4, 12), Activation("tanh"), Linear(12, 1)], seed=2)
        self.history = self.model.fit(
            X, Y, epochs=25, batch_size=16, optimizer=cr.optim.SGD(0.3, momentum=0.5), seed=3,
            engine=engine, progress=False, **options,
        )  # fmt: skip
        patch.undo()


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("options", [{}, {"members": 3}, {"restarts": 3}], ids=str)
def test_calls_of_any_length_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, engine: str, options: Any
) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite")
    limit = methods.CALL_SECONDS
    each, growing, one = (
        Calls(monkeypatch, seconds, engine, **options)
        for seconds in (2 * limit, limit, limit / 100)
    )
    assert set(each.epochs) == {1}
    assert growing.epochs[0] == 1
    assert sum(growing.epochs) >= 25
    assert one.epochs[0] == 25
    for other in (growing, one):
        np.testing.assert_array_equal(other.history.step_losses, each.history.step_losses)
        for layer, twin in zip(other.model.layers, each.model.layers, strict=True):
            for name, values in layer.values.items():
                np.testing.assert_array_equal(values, twin.values[name])
