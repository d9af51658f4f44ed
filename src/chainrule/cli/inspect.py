"""``chainrule inspect``: what a model file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from chainrule.cli.console import listed, say, say_facts
from chainrule.data.cells import printable

if TYPE_CHECKING:
    from chainrule.cli.tables import TableModel
    from chainrule.networks import Network

PLANNED_ROWS = 32


@click.command()
@click.argument("model", type=click.Path(readable=False))
@click.option("--plan", is_flag=True, help="Print the reference engine's plan of a prediction.")
def inspect(model: str, plan: bool) -> None:
    """What a model file holds: layers, columns, training, digests."""
    from chainrule.cli.tables import TableModel
    from chainrule.persist import open_regular

    loaded = TableModel.load(model)
    if plan:
        say(plan_of(loaded.network))
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


def plan_of(network: Network) -> str:
    """The reference engine's plan of the graph that predicts PLANNED_ROWS rows."""
    from chainrule.engines.reference import ReferenceEngine

    graph = network.architecture.prediction_graph(network.snapshot())
    return f"# {PLANNED_ROWS} rows\n{ReferenceEngine().plan(graph, PLANNED_ROWS)}"
