"""Fashion-MNIST with two plain networks: test accuracy over five seeds, beside what is promised.

Run ``python benchmarks/fashion_mnist.py [seeds]``. The data are the four files of
https://github.com/zalandoresearch/fashion-mnist in ``CHAINRULE_SHARED/data/fashion-mnist``.

Every setting below was chosen on 10,000 validation rows held out of the 60,000 training rows; the
test rows are looked at once, by the network that is trained on all 60,000. Nothing is chosen by
them: there is no early stopping, and the last epoch's parameters count.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.nn import Activation, Linear, Network
from chainrule.optim import Adam
from chainrule.optim.schedules import Cosine

PIXELS, CLASSES = 784, 10
HEADER_BYTES = {"images": 16, "labels": 8}


class Setting(NamedTuple):
    """A network, how it is trained, and the mean test accuracy that is promised."""

    hidden: tuple[int, ...]
    rate: float
    epochs: int
    goal: float
    batch_size: int = 128


SETTINGS = {
    "relu [100]": Setting((100,), rate=2e-3, epochs=12, goal=0.871),
    "softmax regression": Setting((), rate=1e-3, epochs=25, goal=0.842),
}


def folder() -> Path:
    """Where the four files lie."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    return Path(os.environ.get("CHAINRULE_SHARED", beside)) / "data" / "fashion-mnist"


def read(part: str, kind: str) -> Any:
    """One of the files, as bytes: (n, 784) images or (n,) labels."""
    rank = {"images": "idx3", "labels": "idx1"}[kind]
    with gzip.open(folder() / f"{part}-{kind}-{rank}-ubyte.gz") as file:
        content = np.frombuffer(file.read(), np.uint8)[HEADER_BYTES[kind] :]
    return content.reshape(-1, PIXELS) if kind == "images" else content


def data(part: str) -> tuple[Any, Any]:
    """Pixels from 0 to 1 as float32, and class numbers."""
    return read(part, "images").astype(np.float32) / 255, read(part, "labels").astype(np.int64)


def network(setting: Setting, seed: int) -> Network:
    """Linear layers with ReLU between them, and softmax at the end."""
    layers: list[Any] = []
    width = PIXELS
    for units in setting.hidden:
        layers += [Linear(width, units), Activation("relu")]
        width = units
    return Network([*layers, Linear(width, CLASSES), Activation("softmax")], seed=seed)


def train(setting: Setting, seed: int, X: Any, y: Any, validation: Any = None) -> Network:
    """A network after its last epoch, or with validation rows after its best."""
    model = network(setting, seed)
    model.fit(
        X, y, optimizer=Adam(Cosine(setting.rate)), epochs=setting.epochs,
        batch_size=setting.batch_size, validation=validation, seed=seed,
    )  # fmt: skip
    return model


def accuracy(model: Network, X: Any, y: Any) -> float:
    """The share of rows whose class is found."""
    return float((model.predict(X).argmax(axis=1) == y).mean())


def main(seeds: int = 5) -> int:
    """Print a line for each network; the exit code says whether all goals are reached."""
    train_rows, test_rows = data("train"), data("t10k")
    reached = []
    for name, setting in SETTINGS.items():
        began = time.perf_counter()
        found = [accuracy(train(setting, seed, *train_rows), *test_rows) for seed in range(seeds)]
        seconds = (time.perf_counter() - began) / seeds
        mean = statistics.mean(found)
        reached.append(mean >= setting.goal)
        print(
            f"{name:20} test accuracy {mean:.4f} (goal {setting.goal}), from {min(found):.4f} to"
            f" {max(found):.4f} over {seeds} seeds; {setting.epochs} epochs in {seconds:.0f} s",
            flush=True,
        )
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
