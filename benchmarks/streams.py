"""A table in blocks: ``chainrule train`` beside scikit-learn's pipeline with ``partial_fit``.

Run ``python -m benchmarks.streams [rows=N] [epochs=E]``. Both learn KDD Cup 99 (10 percent, 494,021
rows of 41 columns, ``CHAINRULE_SHARED/data/large``) from the ``.csv.gz``: numbers on one scale,
categories one-hot, one hidden layer of 100 units, Adam, batches of 200. Each is a process of its
own; what is measured is all of it, from the start of the interpreter to the model in a file: the
wall time, and the most memory that was in use. Rows a second are those that were trained on, in all
epochs: ours holds some out. Afterwards both models predict the rows of the corrected test file
whose class the training file has (292,300 of 311,029).

scikit-learn's side is written as people write it: pandas reads 20,000 rows at a time, a first pass
fits the scaler and collects the categories, and each epoch reads, transforms and fits the blocks.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.processes import WorkError, started
from benchmarks.tables import folder

HIDDEN, BATCH, BLOCK = 100, 200, 20_000
WORDS = (1, 2, 3)  # the columns that hold text
NUMBERS = [place for place in range(41) if place not in WORDS]
GOAL, MOST_MEBIBYTES = 5.0, 1536.0


def ours(table: str, epochs: int, model: str) -> int:
    """The command line; how many rows it trained on in all epochs."""
    from chainrule.cli.app import app
    from chainrule.estimators.table_model import TableModel

    app(
        f"train {table} --no-header --target -1 --layers {HIDDEN} --bins 0 --members 1 --dropout 0"
        f" --batch-size {BATCH} --epochs {epochs} --test 0 --seed 0 --quiet --force"
        f" --out {model}".split(),
        standalone_mode=False,
    )
    found = TableModel.load(model)
    assert found.network.history is not None
    return int(found.facts["rows"]) * found.network.history.epochs


def sklearns(table: str, epochs: int, model: str) -> int:
    """Blocks through a pipeline's steps into ``partial_fit``; the rows that it trained on."""
    import pickle

    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaler, words, labels = StandardScaler(), [set[str]() for _ in WORDS], set[str]()
    for block in blocks(table):
        scaler.partial_fit(block[NUMBERS].to_numpy(np.float64))
        labels |= {*block[41].unique()}
        for known, place in zip(words, WORDS, strict=True):
            known |= {*block[place].unique()}
    one_hot = OneHotEncoder(
        categories=[sorted(known) for known in words], handle_unknown="ignore", sparse_output=False
    )
    prepare = ColumnTransformer(
        [("numbers", "passthrough", NUMBERS), ("words", one_hot, list(WORDS))]
    ).fit(block)
    network = MLPClassifier((HIDDEN,), batch_size=BATCH, random_state=0)
    rows = 0
    for _ in range(epochs):
        for block in blocks(table):
            X = encoded(scaler, prepare, block)
            network.partial_fit(X, block[41], classes=sorted(labels))
            rows += len(X)
    Path(model).write_bytes(pickle.dumps((scaler, prepare, network)))
    return rows


def blocks(table: str) -> Any:
    """A table as pandas reads it, some rows at a time."""
    import pandas as pd

    return pd.read_csv(table, header=None, chunksize=BLOCK)


def encoded(scaler: Any, prepare: Any, block: Any) -> Any:
    """A block as scikit-learn's network takes it."""
    X = prepare.transform(block)
    X[:, : len(NUMBERS)] = scaler.transform(X[:, : len(NUMBERS)])
    return X.astype("float32")


LEARNERS = {"native": ours, "sklearn": sklearns}


def measured(name: str, table: str, epochs: int, place: str) -> dict[str, float]:
    """Seconds, mebibytes, and rows that were trained on, of a learner in a process of its own."""
    command = ["benchmarks.streams", "--child", name, table, str(epochs)]
    began = time.perf_counter()
    with started(PEERS[name], sys.executable, *command, model_of(name, place)) as learner:
        said, _ = learner.communicate()
    seconds = time.perf_counter() - began
    if learner.returncode:
        raise WorkError(f"{name} ended with status {learner.returncode}")
    return {"seconds": seconds, **json.loads(said.splitlines()[-1])}


def model_of(name: str, place: str) -> str:
    """The file of a learner's model."""
    return os.path.join(place, f"{name}.model")


def child(name: str, table: str, epochs: str, model: str) -> None:
    """Learn, and say how much memory that took."""
    import resource

    rows = LEARNERS[name](table, int(epochs), model)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    divisor = 2**20 if sys.platform == "darwin" else 2**10
    print(json.dumps({"mebibytes": size / divisor, "rows": rows}))


# What the models are worth


def known_rows(table: str, test: Path, place: str) -> str:
    """The rows of a test file whose class occurs in a table, in a file of their own."""
    part = os.path.join(place, "test.csv")
    with gzip.open(table, "rt") as rows:
        known = {_label(row) for row in rows}
    with gzip.open(test, "rt") as source, open(part, "w") as target:
        target.writelines(row for row in source if _label(row) in known)
    return part


def _label(row: str) -> str:
    return row.rstrip().rpartition(",")[2]


def our_accuracy(test: str, model: str) -> float:
    """Share of rows that our model is right about."""
    from chainrule.data.streams import open_stream
    from chainrule.estimators.table_model import TableModel

    found, right, rows = TableModel.load(model), 0.0, 0
    for _, frame in open_stream(test, header=False).frames():
        scores = found.scores(frame.without("x41"), frame["x41"])
        right, rows = right + scores["accuracy"] * len(frame), rows + len(frame)
    return right / rows


def their_accuracy(test: str, model: str) -> float:
    """Share of rows that scikit-learn's model is right about."""
    import pickle

    scaler, prepare, network = pickle.loads(Path(model).read_bytes())
    right = rows = 0
    for block in blocks(test):
        found = network.predict(encoded(scaler, prepare, block))
        right, rows = right + int((found == block[41]).sum()), rows + len(block)
    return right / rows


JUDGES = {"native": our_accuracy, "sklearn": their_accuracy}


def part_of(table: Path, rows: int, place: str) -> str:
    """The first rows of a table, in a file like it."""
    part = os.path.join(place, table.name)
    with gzip.open(table, "rt") as source, gzip.open(part, "wt") as target:
        target.writelines(islice(source, rows))
    return part


def main(arguments: list[str]) -> None:
    """Measure both, one after the other; a part of less than 450,000 rows is not streamed."""
    chosen = {name: int(value) for name, value in (each.split("=") for each in arguments)}
    large, epochs = folder() / "large", chosen.get("epochs", 16)
    table, limit = large / "kddcup99-10-percent.csv.gz", chosen.get("rows")
    with tempfile.TemporaryDirectory() as place:
        path = str(table) if limit is None else part_of(table, limit, place)
        found = {name: measured(name, path, epochs, place) for name in LEARNERS}
        test = known_rows(path, large / "kddcup99-corrected-test.csv.gz", place)
        right = {name: judge(test, model_of(name, place)) for name, judge in JUDGES.items()}
    rates = {name: each["rows"] / each["seconds"] for name, each in found.items()}
    for name, each in found.items():
        print(
            f"{PEERS[name].label:13s} {each['seconds']:7.1f} s  {rates[name]:9,.0f} rows a second"
            f"  {each['mebibytes']:6,.0f} MiB at most  test accuracy {right[name]:.4f}"
        )
    ratio = rates["native"] / rates["sklearn"]
    print(
        f"{epochs} epochs: {ratio:.1f} times as many rows a second (to reach: {GOAL:g}),"
        f" {found['native']['mebibytes']:,.0f} MiB (at most {MOST_MEBIBYTES:,.0f})"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(sys.argv[1:])
