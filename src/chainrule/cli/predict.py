"""``chainrule predict`` and ``chainrule evaluate``: a model file on a table."""

from __future__ import annotations

import click

from chainrule.cli.console import listed, say_facts
from chainrule.cli.settings import require_free


@click.command()
@click.argument("model", type=click.Path(readable=False))
@click.argument("table", type=click.Path(readable=False))
@click.option(
    "--out",
    type=click.Path(readable=False),
    metavar="FILE",
    required=True,
    help="CSV file to write.",
)
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
def predict(model: str, table: str, out: str, force: bool) -> None:
    """Predict every row of a CSV table.

    Columns are found by name. The file has a column prediction, and for classes a probability
    each.
    """
    from chainrule.cli.tables import TableModel
    from chainrule.data import read_table, write_csv

    require_free(out, force=force, inputs=[model, table])
    loaded = TableModel.load(model)
    found = loaded.predictions(read_table(table))
    write_csv(out, found)
    rows = len(found["prediction"])
    say_facts(
        [
            ("rows", f"{rows:,}"),
            ("columns", listed([*found])),
            ("written", click.format_filename(out)),
        ]
    )


@click.command()
@click.argument("model", type=click.Path(readable=False))
@click.argument("table", type=click.Path(readable=False))
def evaluate(model: str, table: str) -> None:
    """Compare predictions with the target that a CSV table holds."""
    from chainrule.cli.tables import TableModel
    from chainrule.data import read_table

    loaded, rows = TableModel.load(model), read_table(table)
    target = loaded.targets(rows)
    scores = loaded.scores(loaded.predict(rows), target)
    say_facts([
        ("target", repr(loaded.columns.target)),
        ("rows", f"{len(target):,}"),
        *[(score.name, str(score)) for score in scores],
    ])  # fmt: skip
