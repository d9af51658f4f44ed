"""One process that reads a share of tables: ``NUMBER COUNT PORT FOLDER``, one table a folder in it.

It prints, as JSON, for each the losses, what it knows of the table, and which rows it has read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from chainrule.data.streams import ParquetStream, open_stream
from chainrule.engines import processes
from chainrule.engines.xla.cluster import joined
from chainrule.estimators import table_blocks, table_kept
from chainrule.estimators.table_learning import Request
from chainrule.estimators.table_settings import REGRESSION
from chainrule.estimators.table_streaming import learn_stream
from chainrule.estimators.table_survey import HEAD_ROWS, Survey
from tests.engines.xla.worker import PATIENCE

CHOSEN = {"epochs": 2, "hidden": (8,), "bins": 0, "dropout": 0.0, "calibrate": False}
SMALL = {"SAMPLE_ROWS": 150, "HELD_OUT_ROWS": 40, "TEST_ROWS": 30}


def trained(folder: Path, engine: str = "xla") -> dict[str, Any]:
    """A network of the table, of which only a part may be kept in memory."""
    read = []
    genuine = ParquetStream.frames

    def counted(self: ParquetStream, rows: range | None = None) -> Iterator[Any]:
        for number, frame in genuine(self, rows):
            if rows != range(HEAD_ROWS):  # which every process reads
                read.append((number, number + len(frame)))
            yield number, frame

    with (
        patch.multiple(table_kept, **SMALL),
        patch.object(table_blocks, "REMEMBERED_BYTES", 0),
        patch.object(ParquetStream, "frames", counted),
    ):
        survey = Survey.of(open_stream(folder), "y", 3, test=0.1, validation=0.1)
        request = Request(CHOSEN, seed=3, engine=engine)
        model = learn_stream(survey, REGRESSION, request)
    return {
        "losses": model.network.history.step_losses.tolist(),
        "rows": [survey.rows, survey.without_target, survey.learned_from, len(survey.sample)],
        "encoder": json.dumps(model.encoder.packed()[0]),
        "read": [min(low for low, _ in read), max(high for _, high in read)] if read else [],
    }


def tables(folder: Path) -> list[Path]:
    """The folders of the tables."""
    return sorted(each for each in folder.iterdir() if each.is_dir())


def main(number: str, count: str, port: str, folder: str) -> int:
    processes.SILENCE = processes.MEETING = PATIENCE
    with joined(f"127.0.0.1:{port}", int(number), int(count)):
        print(json.dumps(list(map(trained, tables(Path(folder))))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
