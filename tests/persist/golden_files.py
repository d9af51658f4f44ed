"""Files of each version of the format, which every later chainrule must read.

``python -m tests.persist.golden_files`` writes those of the present version, which must not exist:
a file that was released is never written again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.nn import Activation, BatchNorm, Dropout, LeakyReLU, Linear, Network, Standardize
from chainrule.optim import Adam
from chainrule.persist.format import VERSION
from chainrule.training import Checkpoints, EarlyStopping

FOLDER = Path(__file__).parent.parent / "golden"
EPOCHS, HALF = 8, 4

X = np.round(np.sin(np.arange(40 * 3) * 0.7), 3).reshape(40, 3)
Y = (X @ [1.0, -2.0, 0.5] > 0).astype(np.int64)

SETTINGS: dict[str, Any] = {
    "optimizer": Adam(0.02), "batch_size": 16, "validation": 0.25, "l2": 1e-4, "seed": 11,
    "engine": "reference", "early_stopping": EarlyStopping(7),
}  # fmt: skip


def model_file(version: str) -> Path:
    return FOLDER / f"network-{version}.chainrule"


def checkpoint_file(version: str) -> Path:
    return FOLDER / f"checkpoint-{version}.chainrule"


def network() -> Network:
    return Network(
        [
            Standardize(name="standardize"), Linear(3, 6, name="eins"), BatchNorm(6, name="größe"),
            Activation(LeakyReLU(0.2), name="relu"), Dropout(0.25, name="dropout"),
            Linear(6, 2, name="output"), Activation("softmax", name="softmax"),
        ],
        seed=4,
    )  # fmt: skip


def trained(epochs: int, folder: Path, resume: bool = False) -> Network:
    """The network after so many epochs; its last checkpoint is in the folder."""
    model = network()
    kept = Checkpoints(folder, seconds=0)
    model.fit(X, Y, epochs=epochs, **SETTINGS, checkpoints=kept, resume=resume)
    return model


def write() -> None:
    targets = model_file(VERSION), checkpoint_file(VERSION)
    for target in targets:
        if target.exists():
            raise SystemExit(f"{target} exists: files that were released stay as they are")
    with tempfile.TemporaryDirectory() as name:
        model = trained(HALF, Path(name))
        shutil.copy(Checkpoints(name).path(Checkpoints(name).numbers()[-1]), targets[1])
        model.save(targets[0], extra={"notes": ["ü", None, 1.5, {"deep": True}]})
    print(model.predict(X[:4]).tolist())


if __name__ == "__main__":
    write()
