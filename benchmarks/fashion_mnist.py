"""Fashion-MNIST with plain networks: test accuracy over five seeds, beside published figures.

Run ``python -m benchmarks.fashion_mnist [seeds] [network ...]``. The data are the four files of
https://github.com/zalandoresearch/fashion-mnist in ``CHAINRULE_SHARED/data/fashion-mnist``. Results
are added to ``docs/tables.jsonl``; seeds that it has are not run again.

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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.results import RESULTS, Results
from chainrule.nn import Activation, Dropout, Linear, Network
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
    dropout: float = 0.0


SETTINGS = {
    "relu [100]": Setting((100,), rate=2e-3, epochs=12, goal=0.871),
    "relu [100, 10]": Setting((100, 10), rate=2e-3, epochs=12, goal=0.870),
    "softmax regression": Setting((), rate=1e-3, epochs=25, goal=0.842),
    "relu [256, 128, 100]": Setting((256, 128, 100), rate=1e-3, epochs=12, goal=0.8833),
    "relu [1024, 512], dropout": Setting(
        (1024, 512), rate=1e-3, epochs=20, goal=0.8884, dropout=0.5
    ),
}
"""Goals: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747, Table 3, and its repository's readme."""


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
        layers += [Dropout(setting.dropout)] if setting.dropout else []
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


def measured(setting: Setting, seed: int, rows: Any, tested: Any) -> dict[str, float]:
    """The accuracy of one seed, and how long it took."""
    began = time.perf_counter()
    found = accuracy(train(setting, seed, *rows), *tested)
    return {"accuracy": found, "seconds": time.perf_counter() - began}


def main(seeds: str = "5", *names: str) -> int:
    """Print a line for each network; the exit code says whether all goals are reached."""
    rows, tested = data("train"), data("t10k")
    reached = []
    for name in names or SETTINGS:
        setting = SETTINGS[name]
        found = Results(RESULTS, f"fashion-mnist, {name}", {})
        for seed in range(int(seeds)):
            found.once(seed, partial(measured, setting, seed, rows, tested))
        print(f"{found.name}: {found}; goal: accuracy >= {setting.goal}", flush=True)
        each = [one["accuracy"] for one in found.scores.values()]
        reached.append(statistics.mean(each) >= setting.goal)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
