"""One seed of the benchmark of real images."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fashion_mnist


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu [100]", "softmax regression"])
def test_one_seed_reaches_the_promised_accuracy(
    name: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_SHARED", str(shared))
    setting = fashion_mnist.SETTINGS[name]
    model = fashion_mnist.train(setting, 0, *fashion_mnist.data("train"))
    assert fashion_mnist.accuracy(model, *fashion_mnist.data("t10k")) >= setting.goal
