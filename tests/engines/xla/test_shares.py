"""Several processes that read some rows each train as one that reads all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")
pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")

import pyarrow
from pyarrow import parquet

from chainrule.data.shards import rows_of, share
from tests.engines.xla.share_worker import tables, trained
from tests.engines.xla.test_cluster import run

ROWS = 700


def write(folder: Path, targets: int) -> None:
    """A table in three files, of whose rows the first ones have targets."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 2))
    x[draw.random(x.shape) < 0.02] = np.nan
    kind = draw.choice(["a", "b", "c d"], ROWS)
    kind[-20:] = "late"  # which only the last process reads
    y = np.where(np.arange(ROWS) < targets, np.nan_to_num(x[:, 0]) + (kind == "b"), np.nan)
    table = pyarrow.table({"x0": x[:, 0], "x1": x[:, 1], "kind": kind, "y": y})
    folder.mkdir()
    for number, (first, stop) in enumerate([(0, 300), (300, 305), (305, ROWS)]):
        part = table.slice(first, stop - first)
        parquet.write_table(part, folder / f"{number}.parquet", row_group_size=64)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_each_process_reads_its_share_and_all_train_as_one(tmp_path: Path, count: int) -> None:
    write(tmp_path / "whole", ROWS)
    write(tmp_path / "without rows in the last share", ROWS // 2)
    expected = [trained(each, "reference") for each in tables(tmp_path)]
    ended = run(range(count), count, str(tmp_path), worker="share_worker")
    assert [each.status for each in ended] == [0] * count, ended[0].err
    for number, each in enumerate(ended):
        own = rows_of(share(number, count), ROWS)
        for found, wanted in zip(json.loads(each.out), expected, strict=True):
            check(found, wanted)
            assert found["read"] == [own.start, own.stop]
            assert wanted["read"] == [0, ROWS]


def check(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """The same is known of the table, and the same was learned."""
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=1e-4)
    assert (found["rows"], found["encoder"]) == (wanted["rows"], wanted["encoder"])
