"""Orders that a helper makes an epoch early: the same rows in the same order, whoever it is."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from chainrule.engines.native import ahead, early, running
from chainrule.engines.native.threads import VARIABLE, team
from chainrule.networks import Network
from chainrule.nn import Activation, Linear

generator = np.random.default_rng(0)
X = generator.standard_normal((5000, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
EPOCHS = 12


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[early.EarlyOrders]:
    """Those that calls make, however little work there is."""
    monkeypatch.setattr(running, "FEWEST_ROWS", 1)
    monkeypatch.setattr(running, "MANY_ROWS", 1)
    found: list[early.EarlyOrders] = []

    class Noted(early.EarlyOrders):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr(early, "EarlyOrders", Noted)
    return found


def trained(monkeypatch: pytest.MonkeyPatch, threads: int, **settings: Any) -> list[Any]:
    monkeypatch.setenv(VARIABLE, str(threads))
    model = Network([Linear(6, 8), Activation("tanh"), Linear(8, 2), Activation("softmax")], seed=1)
    history = model.fit(X, Y, epochs=EPOCHS, engine="native", seed=3, **settings)
    arrays = [array for layer in model.parameters.values() for array in layer.values()]
    return [list(history["loss"]), *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize("settings", [{}, {"replacement": True}, {"batch_size": 199}])
def test_the_same_bits_with_and_without_helpers(
    made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    alone = trained(monkeypatch, 1, **settings)
    assert not made
    assert trained(monkeypatch, 2, **settings) == trained(monkeypatch, 3, **settings) == alone
    assert made


def test_a_wrong_order_is_seen(
    made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted defect: the order that is made early is that of another seed."""
    alone = trained(monkeypatch, 1)
    begin = early.EarlyOrders.__init__

    def late(self: early.EarlyOrders, *arguments: Any) -> None:
        begin(self, *arguments)
        self.work[ahead.Word.SEED] = other.ctypes.data

    other = np.array([1, 2], np.uint32)
    monkeypatch.setattr(early.EarlyOrders, "__init__", late)
    assert trained(monkeypatch, 2) != alone


def test_rows_in_their_own_order_need_no_helper(
    made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, 2, shuffle=False)
    assert not made


def test_calls_of_one_epoch_need_no_helper(
    made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python looks at every epoch, there is no next one whose order could be begun."""
    called = Mock(wraps=running.team)
    monkeypatch.setattr(running, "team", called)
    trained(monkeypatch, 2, validation=0.2)
    assert not made and not called.called
    trained(monkeypatch, 2)
    assert made and called.called


def test_a_training_that_ends_early_leaves_nothing_behind(
    made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order was begun for an epoch that does not come; the next program finds the team free."""
    spoiled = X.copy()
    spoiled[7] = 3e38
    for _ in range(20):
        monkeypatch.setenv(VARIABLE, "2")
        model = Network(
            [Linear(6, 8), Activation("relu"), Linear(8, 2), Activation("softmax")], seed=1
        )
        with pytest.warns(UserWarning, match="diverged"):
            model.fit(spoiled, Y, epochs=EPOCHS, engine="native", optimizer="sgd", seed=3)
    assert made
    assert all(each.work[ahead.Word.GENERATION] == 0 for each in made)
    assert trained(monkeypatch, 2) == trained(monkeypatch, 1)


def test_no_helper_comes(made: list[early.EarlyOrders], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has the helpers meanwhile."""
    alone = trained(monkeypatch, 1)
    found: list[Any] = []
    with team(2):
        thread = Thread(target=lambda: found.append(trained(monkeypatch, 2)))
        thread.start()
        while thread.is_alive():
            time.sleep(0.01)
    assert found == [alone]
