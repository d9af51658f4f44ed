"""Ctrl-C in a long training on the native engine: heard soon, and the model is usable."""

from __future__ import annotations

import _thread
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.base import Outcome
from chainrule.engines.native.engine import NativeEngine
from chainrule.nn import Activation, Linear, Network
from chainrule.shapes import Array
from chainrule.training import methods

pytest.importorskip("llvmlite")

CALLS = 6
ENDLESS = 10**9  # epochs
HEARD = 3  # calls at most: the one that runs, the next one, the best epoch again


class InterruptedEngine(NativeEngine):
    """Another thread presses Ctrl-C when there have been some calls."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self._begun, self.thread = threading.Event(), threading.Thread(target=self._press)
        self.thread.start()

    def run(self, *arguments: Any, **options: Any) -> Outcome:
        self.calls += 1
        if self.calls == CALLS:
            self._begun.set()
        return super().run(*arguments, **options)

    def _press(self) -> None:
        self._begun.wait()
        _thread.interrupt_main()
        self.calls_before = self.calls  # at most those, however long this thread is kept waiting


def rows(count: int) -> tuple[Array, Array]:
    X = np.random.default_rng(0).standard_normal((count, 8), np.float32)
    return X, X[:, :1] * X[:, 1:2]


def network(width: int) -> Network:
    return Network([Linear(8, width), Activation("tanh"), Linear(width, 1)], seed=1)


@pytest.mark.parametrize(
    ("width", "count", "batch_size"),
    [(8, 64, 16), (512, 400_000, 4)],
    ids=["many epochs in a call", "one epoch in many calls"],
)
def test_ctrl_c_is_heard_between_short_calls(
    width: int,
    count: int,
    batch_size: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    no_collections: None,
) -> None:
    monkeypatch.setattr(methods, "PART_SECONDS", methods.CALL_SECONDS)
    (X, Y), engine, model = rows(count), InterruptedEngine(), network(width)
    before = model.snapshot()
    history = model.fit(
        X, Y, epochs=ENDLESS, batch_size=batch_size, seed=0, progress=False, engine=engine
    )
    engine.thread.join()
    assert engine.calls <= engine.calls_before + HEARD
    assert (history.stopped, history.interrupted) == ("it was interrupted", True)
    assert all(np.isfinite(each).all() for each in model.snapshot().leaves)
    assert (history.best_epoch is None) == (history.epochs == 0)
    pairs = zip(model.snapshot().leaves, before.leaves, strict=True)
    unchanged = [after.tobytes() == start.tobytes() for after, start in pairs]
    assert all(unchanged) == (history.best_epoch is None)
    model.save(tmp_path / "interrupted.chainrule")
    again = cr.load(tmp_path / "interrupted.chainrule")
    np.testing.assert_array_equal(again.predict(X[:9]), model.predict(X[:9]))
    assert not model.fit(X[:64], Y[:64], epochs=2, seed=0, progress=False).interrupted
