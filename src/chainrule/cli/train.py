"""``chainrule train``: from a table to a model file."""

from __future__ import annotations

import secrets
from typing import Any

import click

from chainrule.cli.console import say_facts
from chainrule.cli.settings import require_free

TASKS = ("auto", "classification", "regression")


@click.command()
@click.argument("table", type=click.Path(readable=False))
@click.option("--target", required=True, metavar="COLUMN", help="The column to predict.")
@click.option("--task", type=click.Choice(TASKS), default="auto", show_default=True)
@click.option("--layers", default="64,32", show_default=True, help="Hidden units, or none.")
@click.option("--epochs", default=200, show_default=True, help="Passes over the rows, at most.")
@click.option("--batch-size", default=32, show_default=True, help="Rows a step.")
@click.option("--learning-rate", default=1e-3, show_default=True, help="Of Adam.")
@click.option("--dropout", default=0.0, show_default=True, help="Share of units left out.")
@click.option("--validation", default=0.15, show_default=True, help="Share of rows held out.")
@click.option("--patience", default=20, show_default=True, help="Epochs without improvement.")
@click.option("--seed", type=int, help="The same seed gives the same weights.")
@click.option("--out", type=click.Path(readable=False), metavar="FILE", help="Write the model.")
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
@click.option("--quiet", is_flag=True, help="No progress line.")
def train(
    table: str, target: str, task: str, out: str | None, force: bool, quiet: bool, **options: Any
) -> None:
    """Train a network on a CSV table of numbers.

    The TARGET may be numbers or text. Features are standardised inside the model; the epoch with
    the least loss on held-out rows is kept.
    """
    from chainrule.cli.learn import Problem, Settings, facts, hidden_layers, learn
    from chainrule.data import read_table

    seed = secrets.randbits(32) if options["seed"] is None else options["seed"]
    settings = Settings(**{**options, "seed": seed, "layers": hidden_layers(options["layers"])})
    require_free(out, force=force, inputs=[table])
    problem = Problem.of(read_table(table), target, task, settings.validation, seed)
    learned = learn(problem, settings, progress=False if quiet else None)
    said = list(facts(learned, settings))
    if out is not None:
        learned.model.save(out)
        said.append(("written", click.format_filename(out)))
    say_facts(said)
    if learned.history.interrupted:
        raise KeyboardInterrupt
