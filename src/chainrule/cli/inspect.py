"""``chainrule inspect``: what a model file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from chainrule.cli.console import listed, say, say_facts
from chainrule.data.cells import printable
from chainrule.errors import unknown_name

if TYPE_CHECKING:
    from chainrule.cli.tables import TableModel
    from chainrule.graph.graph import Graph
    from chainrule.networks import Network

PLANNED_ROWS = 32


@click.command()
@click.argument("model", type=click.Path(readable=False))
@click.option("--plan", is_flag=True, help="Print how the engine computes a prediction.")
@click.option("--pass", "name", metavar="NAME", help="Print one pass of the native engine.")
def inspect(model: str, plan: bool, name: str | None) -> None:
    """What a model file holds: layers, columns, training, digests."""
    from chainrule.cli.tables import TableModel
    from chainrule.persist import open_regular

    loaded = TableModel.load(model)
    if plan or name is not None:
        say(plan_of(loaded.network, name))
        return
    with open_regular(model) as file:
        content = file.read()
    say(printable_lines(loaded.network.summary()))
    say()
    say_facts(facts(loaded, content))


def printable_lines(text: str) -> str:
    """Lines without what a terminal would obey."""
    return "\n".join(map(printable, text.splitlines()))


def facts(loaded: TableModel, content: bytes) -> Iterator[tuple[str, str]]:
    """What to say of a model file."""
    columns, history = loaded.columns, loaded.network.history
    yield "task", f"{columns.task} of {columns.target!r}"
    yield "features", listed(columns.features)
    if columns.classes:
        yield "classes", listed(columns.classes)
    yield "rows", f"{columns.rows:,} trained on, {columns.held_out:,} held out"
    if history is not None and history.best_epoch is not None:
        best = history.best_epoch
        yield "epochs", f"{history.epochs}, the best was {best + 1}"
        unit = "" if columns.classes else ", of the standardised target"
        yield "held-out loss", f"{history['validation_loss'][best]:.4g} in the best epoch{unit}"
        yield "stopped because", history.stopped
        yield "seed", str(history.seed)
    yield "file", f"{len(content):,} bytes"
    yield "SHA-256", hashlib.sha256(content).hexdigest()
    yield "of the weights", loaded.weights_digest()


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
