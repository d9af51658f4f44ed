"""``chainrule predict`` and ``chainrule evaluate``: a model file on a table."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import numpy as np

from chainrule.cli.console import listed, say_facts, say_numbers
from chainrule.cli.settings import inputs_of, require_apart, require_free
from chainrule.errors import DataError, FileFormatError, ParameterError

if TYPE_CHECKING:
    from chainrule.cli.tables import TableModel
    from chainrule.data import Frame

PATH = click.Path(readable=False)
PREDICTION, FLAGS, INTERVAL = "prediction", "flags", ("low", "high")
COVERAGE = 0.9
PIECE = 2**16  # characters in one write
BLOCK_ROWS = 2**14  # of tables that are in memory already


@click.command()
@click.argument("model", type=PATH)
@click.argument("table", type=PATH)
@click.option("--out", type=PATH, metavar="FILE", help="Write a CSV file, in place of stdout.")
@click.option("--id", "ids", multiple=True, metavar="COLUMN", help="Copy this column in front.")
@click.option("--keep", is_flag=True, help="Copy all columns in front.")
@click.option("--no-header", is_flag=True, help="The first line is a row; columns are x0, x1, ...")
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
def predict(
    model: str, table: str, out: str | None, ids: Sequence[str], keep: bool, no_header: bool,
    force: bool,
) -> None:  # fmt: skip
    """Predict every row of a table, as CSV: part by part, however long it is.

    TABLE is a file, a folder, or a pattern in quotes such as "data/part-??.csv".

    Columns are found by name. Each row gets its prediction, in the target's own labels or unit;
    for classes the probability of each; for numbers the ends of an interval that holds 90 % of
    targets; and flags: unknown, missing, outside or far.
    """
    from chainrule.persist import atomic_write

    require_free(out, force=force, inputs=[model, *inputs_of(table)])
    require_apart(out, table)
    loaded = _loaded(model, table)
    parts = _written(loaded, frames(table, not no_header), ids, keep)
    if out is None:
        for text, _, _ in parts:
            for start in range(0, len(text), PIECE):  # who reads may have read enough
                click.echo(text[start : start + PIECE], nl=False)
        return
    rows, names = 0, [""]

    def write(file: BinaryIO) -> None:
        nonlocal rows, names
        for text, names, count in parts:  # noqa: B007 - the last one is said
            file.write(text.encode())
            rows += count

    atomic_write(out, write)
    say_facts([
        ("rows", f"{rows:,}"), ("columns", listed(names)),
        ("written", click.format_filename(out)),
    ])  # fmt: skip


def _loaded(model: str, table: str) -> TableModel:
    """The model in a file.

    Raises
    ------
    FileFormatError, OSError
        If there is none; where ``table`` is one, that they are the wrong way round.
    """
    from chainrule.cli.tables import TableModel

    try:
        return TableModel.load(model)
    except (FileFormatError, OSError):
        if not _is_ours(table):
            raise
        turned = shlex.join(["chainrule", str(click.get_current_context().info_name), table, model])
        raise FileFormatError(f"{table!r} is the model, and comes first: {turned}") from None


def _is_ours(path: str) -> bool:
    """Whether there is a file of chainrule's, whole or not."""
    from chainrule.persist import read_bytes

    try:
        return bool(read_bytes(path))
    except (FileFormatError, OSError):
        return False


def frames(path: str, header: bool) -> Iterator[Frame]:
    """The rows of a file, a folder or a pattern in parts, in order."""
    from chainrule.data import as_frame, read_blocks
    from chainrule.data.frames import PARQUET
    from chainrule.data.streams import files_of, open_stream

    if files_of(path) is not None:
        yield from (frame for _, frame in open_stream(path, header=header).frames())
        return
    if not os.fspath(path).lower().endswith(PARQUET):
        yield from map(as_frame, read_blocks(path, header=header))
        return
    whole = as_frame(path)
    for low in range(0, len(whole), BLOCK_ROWS):
        yield whole.rows(slice(low, low + BLOCK_ROWS))


def whole(path: str, header: bool) -> Frame:
    """All rows of a file, a folder or a pattern.

    Raises
    ------
    DataError
        If several files have no rows.
    """
    from chainrule.data import as_frame
    from chainrule.data.factored import joined
    from chainrule.data.streams import files_of

    if files_of(path) is None:
        return as_frame(path, header=header)
    parts = [*frames(path, header)]
    if not parts:
        raise DataError(f"{path}: the tables have no rows")
    return joined(parts)


def _written(
    loaded: TableModel, parts: Iterator[Frame], ids: Sequence[str], keep: bool
) -> Iterator[tuple[str, list[str], int]]:
    """Lines of CSV for each part, the columns, and how many rows."""
    from chainrule.data import csv_text

    for place, frame in enumerate(parts):
        columns = predictions(loaded, frame, frame.names if keep else ids)
        yield csv_text(columns, header=place == 0), [*columns], len(frame)


def predictions(loaded: TableModel, frame: Frame, kept: Sequence[str]) -> dict[str, Any]:
    """Columns of predictions, behind columns of the table.

    Raises
    ------
    UnknownNameError, DataError
        If the table lacks a column.
    ParameterError
        If a column of the table is called like one of the predictions.
    """
    copied = {name: np.where(frame[name].missing, "", frame[name].as_texts()) for name in kept}
    found = loaded.model.predict(frame)
    columns: dict[str, Any] = {PREDICTION: found.labels}
    if loaded.columns.classes:
        shares = zip(loaded.columns.classes, found.probabilities.T, strict=True)
        columns |= {f"probability {label}": share for label, share in shares}
    elif len(loaded.model.trust.deviation.scores if loaded.model.trust.deviation else ()):
        columns |= dict(zip(INTERVAL, _interval(found), strict=True))
    raised = [np.where(rows, f"{name} ", "") for name, rows in found.flags.items()]
    words = raised[0]
    for more in raised[1:]:
        words = np.strings.add(words, more)
    columns[FLAGS] = np.strings.strip(words)
    twice = [name for name in copied if name in columns]
    if twice:
        raise ParameterError(
            f"the table has a column {twice[0]!r} already; copy others with --id, or rename it"
        )
    return {**copied, **columns}


def _recorded(facts: Mapping[str, Any], name: str) -> dict[str, float]:
    """The scores that a model file holds under a name, if they are numbers."""
    recorded = facts.get("scores")
    found = recorded.get(name) if isinstance(recorded, dict) else None
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in pairs if type(value) is float}


def _interval(found: Any) -> Sequence[Any]:
    try:
        low, high = found.interval(COVERAGE)
    except ParameterError:  # too few rows were held out to tell
        nothing = np.full(len(found.labels), "")
        return nothing, nothing
    return low, high


@click.command()
@click.argument("model", type=PATH)
@click.argument("table", type=PATH)
@click.option("--no-header", is_flag=True, help="The first line is a row; columns are x0, x1, ...")
def evaluate(model: str, table: str, no_header: bool) -> None:
    """Compare predictions with the target that a table holds.

    TABLE is a file, a folder, or a pattern in quotes such as "data/part-??.csv".
    """
    from chainrule.cli.learn import MODEL, baseline_name, not_learned, score_table
    from chainrule.estimators.table_model import target_from

    loaded = _loaded(model, table).model
    frame, column = target_from(whole(table, not no_header), loaded.target_name)
    scores = {MODEL: loaded.scores(frame, column)}
    known = _recorded(loaded.facts, baseline_name(loaded.task))
    if known:
        scores[f"{baseline_name(loaded.task)}, when trained"] = known
    there = column.rows(~column.missing)
    said = [("target", repr(loaded.target_name)), ("rows", f"{len(there):,}")]
    say_facts([*said, *not_learned(loaded, there)])
    click.echo()
    say_numbers(score_table(scores, lambda value: f"{value:.4g}"))
