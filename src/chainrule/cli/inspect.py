"""``chainrule inspect``: what a model file holds."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from chainrule.cli.console import listed, say, say_facts
from chainrule.data.cells import printable
from chainrule.errors import FileFormatError, unknown_name

if TYPE_CHECKING:
    from chainrule.cli.tables import Columns
    from chainrule.graph.graph import Graph
    from chainrule.networks import Network
    from chainrule.training.history import History

PLANNED_ROWS = 32
LOSSES = {"validation_loss": "held-out loss", "loss": "training loss"}  # the first there is


@click.command()
@click.argument("model", type=click.Path(readable=False))
@click.option("--plan", is_flag=True, help="Print how the engine computes a prediction.")
@click.option("--pass", "name", metavar="NAME", help="Print one pass of the native engine.")
def inspect(model: str, plan: bool, name: str | None) -> None:
    """What a model file holds: layers, columns, training, digests.

    Files of tables are what train writes; files of networks what a program saves.
    """
    from chainrule.data.streams import SUFFIXES
    from chainrule.persist import read_bytes

    try:
        content = read_bytes(model)
        network, table = opened(content, repr(model))
    except FileFormatError as error:
        raise _of_a_table(model) if model.lower().endswith(SUFFIXES) else error from None
    if plan or name is not None:
        say(plan_of(network, name))
        return
    say(printable_lines(network.summary()))
    say()
    say_facts(facts(network, table, content))


def _of_a_table(path: str) -> FileFormatError:
    """The error for a table in place of a model."""
    command = shlex.join(["chainrule", "train", path, "--target", "COLUMN", "--dry-run"])
    return FileFormatError(
        f"{path!r} holds no model: inspect looks into files that train writes; of a table,"
        f" {command} says what the columns are"
    )


def opened(content: bytes, source: str) -> tuple[Network, Columns | None]:
    """The network in the bytes of a file, and what is known of its table, if it has one.

    Raises
    ------
    FileFormatError
        If the file is damaged, hostile, or holds neither.
    """
    from chainrule.cli.tables import TableModel
    from chainrule.networks.contents import KIND
    from chainrule.networks.network import from_bytes
    from chainrule.persist import kind_of_bytes

    if kind_of_bytes(content, source) == KIND:
        return from_bytes(content, source), None
    loaded = TableModel.of_bytes(content, source)
    return loaded.network, loaded.columns


def printable_lines(text: str) -> str:
    """Lines without what a terminal would obey."""
    return "\n".join(map(printable, text.splitlines()))


def facts(network: Network, table: Columns | None, content: bytes) -> Iterator[tuple[str, str]]:
    """What to say of a model file."""
    from chainrule.cli.tables import weights_digest

    if table is not None:
        yield "task", f"{table.task} of {table.target!r}"
        yield "features", listed(table.features)
        if table.classes:
            yield "classes", listed(table.classes)
        yield "rows", f"{table.rows:,} trained on, {table.held_out:,} held out"
    if network.history is not None and network.history.best_epoch is not None:
        unit = ", of the standardised target" if table is not None and not table.classes else ""
        yield from _training(network.history, network.history.best_epoch, unit)
    yield "file", f"{len(content):,} bytes"
    yield "SHA-256", hashlib.sha256(content).hexdigest()
    yield "of the weights", weights_digest(network)


def _training(history: History, best: int, unit: str) -> Iterator[tuple[str, str]]:
    """What to say of how a network was trained."""
    yield "epochs", f"{history.epochs}, the best was {best + 1}"
    for name, said in LOSSES.items():
        if name in history:
            yield said, f"{history[name][best]:.4g} in the best epoch{unit}"
            break
    yield "stopped because", history.stopped
    yield "seed", str(history.seed)


def plan_of(network: Network, name: str | None = None) -> str:
    """How the engine that would run it computes a prediction.

    Parameters
    ----------
    network : Network
    name : str, optional
        One pass of the native engine, in place of those that are short.
    """
    from chainrule.engines.reference import ReferenceEngine
    from chainrule.engines.registry import get_engine

    graph = network.architecture.prediction_graph(network.snapshot())
    if name is not None or get_engine().name == "native":
        return native_plan(graph, name)
    return f"# {PLANNED_ROWS} rows\n{ReferenceEngine().plan(graph, PLANNED_ROWS)}"


def native_plan(graph: Graph, name: str | None) -> str:
    """Passes of the native engine for this processor."""
    from chainrule.engines.native.stages import NAMES, SHORT, printed, stages
    from chainrule.engines.native.target import host
    from chainrule.engines.native.writing import write_graph

    if name is not None and name not in NAMES:
        raise unknown_name("pass", name, NAMES)
    wanted = SHORT if name is None else (name,)
    found = stages(graph, write_graph(graph, host()), host())
    return printed(stage for stage in found if stage.name in wanted)
