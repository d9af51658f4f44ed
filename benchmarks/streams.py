"""A table in blocks: ``chainrule train`` beside scikit-learn's pipeline with ``partial_fit``.

Run ``python -m benchmarks.streams [rows=N] [epochs=E]``. Both learn KDD Cup 99 (10 percent, 494,021
rows of 41 columns, ``CHAINRULE_SHARED/data/large``) from the ``.csv.gz``: numbers on one scale,
categories one-hot, one hidden layer of 100 units, Adam, batches of 200. Each is a process of its
own; what is measured is all of it, from the start of the interpreter to the model in a file: the
wall time, and the most memory that was in use.

scikit-learn's side is written as people write it: pandas reads 20,000 rows at a time, a first pass
fits the scaler and collects the categories, and each epoch reads, transforms and fits the blocks.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.tables import folder

HIDDEN, BATCH, BLOCK = 100, 200, 20_000
WORDS = (1, 2, 3)  # the columns that hold text
GOAL = 5.0


def ours(table: str, epochs: int, model: str) -> None:
    """The command line."""
    from chainrule.cli.app import app

    app(
        f"train {table} --no-header --target -1 --layers {HIDDEN} --bins 0 --members 1 --dropout 0"
        f" --batch-size {BATCH} --epochs {epochs} --test 0 --seed 0 --quiet --force"
        f" --out {model}".split(),
        standalone_mode=False,
    )


def sklearns(table: str, epochs: int, model: str) -> None:
    """Blocks through a pipeline's steps into ``partial_fit``."""
    import pickle

    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def blocks() -> Any:
        return pd.read_csv(table, header=None, chunksize=BLOCK)

    numbers = [place for place in range(41) if place not in WORDS]
    scaler, words, labels = StandardScaler(), [set[str]() for _ in WORDS], set[str]()
    for block in blocks():
        scaler.partial_fit(block[numbers].to_numpy(np.float64))
        labels |= {*block[41].unique()}
        for known, place in zip(words, WORDS, strict=True):
            known |= {*block[place].unique()}
    one_hot = OneHotEncoder(categories=[sorted(known) for known in words], sparse_output=False)
    prepare = ColumnTransformer(
        [("numbers", "passthrough", numbers), ("words", one_hot, list(WORDS))]
    ).fit(block)
    network = MLPClassifier((HIDDEN,), batch_size=BATCH, random_state=0)
    for _ in range(epochs):
        for block in blocks():
            X = prepare.transform(block)
            X[:, : len(numbers)] = scaler.transform(X[:, : len(numbers)])
            network.partial_fit(X.astype(np.float32), block[41], classes=sorted(labels))
    Path(model).write_bytes(pickle.dumps((scaler, prepare, network)))


LEARNERS = {"chainrule": ours, "scikit-learn": sklearns}


def measured(name: str, table: str, epochs: int, place: str) -> dict[str, float]:
    """Seconds and mebibytes of one learner in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.streams", "--child", name, table, str(epochs)]
    began = time.perf_counter()
    answer = subprocess.run(
        [*command, os.path.join(place, f"{name}.model")], check=True, stdout=subprocess.PIPE
    )
    seconds = time.perf_counter() - began
    return {"seconds": seconds, **json.loads(answer.stdout.splitlines()[-1])}


def child(name: str, table: str, epochs: str, model: str) -> None:
    """Learn, and say how much memory that took."""
    import resource

    LEARNERS[name](table, int(epochs), model)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"mebibytes": size / (2**20 if sys.platform == "darwin" else 2**10)}))


def part_of(table: Path, rows: int, place: str) -> str:
    """The first rows of a table, in a file like it."""
    part = os.path.join(place, table.name)
    with gzip.open(table, "rt") as source, gzip.open(part, "wt") as target:
        target.writelines(islice(source, rows))
    return part


def main(arguments: list[str]) -> None:
    """Measure both, one after the other; a part of less than 450,000 rows is not streamed."""
    chosen = {name: int(value) for name, value in (each.split("=") for each in arguments)}
    table, epochs, rows = folder() / "large" / "kddcup99-10-percent.csv.gz", 16, 494_021
    epochs, limit = chosen.get("epochs", epochs), chosen.get("rows")
    with tempfile.TemporaryDirectory() as place:
        path, rows = (str(table), rows) if limit is None else (part_of(table, limit, place), limit)
        found = {name: measured(name, path, epochs, place) for name in LEARNERS}
    for name, each in found.items():
        rate = rows * epochs / each["seconds"]
        print(
            f"{name:13s} {each['seconds']:7.1f} s  {rate:9,.0f} rows a second"
            f"  {each['mebibytes']:6,.0f} MiB at most"
        )
    ratio = found["scikit-learn"]["seconds"] / found["chainrule"]["seconds"]
    print(f"{epochs} epochs of {rows:,} rows: {ratio:.1f} times as fast (to reach: {GOAL:g})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(sys.argv[1:])
