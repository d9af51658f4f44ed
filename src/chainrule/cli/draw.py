"""``chainrule draw``: every value and gradient of a typed formula."""

from __future__ import annotations

import errno
import os

import click

from chainrule.cli.console import colour, say
from chainrule.cli.settings import bindings, numbers, require_free


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("formula")
@click.argument("values", nargs=-1, metavar="[NAME=NUMBER]...")
@click.option("--svg", type=click.Path(readable=False), metavar="FILE", help="Also draw the graph.")
@click.option(
    "--html", type=click.Path(readable=False), metavar="FILE", help="Also write the ledger, a page."
)
@click.option(
    "--steps", type=click.Path(readable=False), metavar="FOLDER", help="Also write a slide a step."
)
@click.option("--worksheet", is_flag=True, help="Print an exercise with blanks and its answers.")
@click.option("--force", is_flag=True, help="Replace existing files.")
def draw(
    formula: str,
    values: tuple[str, ...],
    svg: str | None,
    html: str | None,
    steps: str | None,
    worksheet: bool,
    force: bool,
) -> None:
    """Every value and gradient of a formula, node by node.

    \b
    chainrule draw "(x + y) * z" x=-2 y=5 z=-4
    chainrule draw "q = x + y; f = q * z" x=-2 y=5 z=-4 --html ledger.html
    """  # noqa: D301 - click wants the backspace itself
    from chainrule import explain
    from chainrule.expressions.formula import formula as graph_of
    from chainrule.persist import atomic_write

    for path in (svg, html):
        require_free(path, force=force)
    if steps and os.path.isdir(steps) and os.listdir(steps) and not force:
        raise FileExistsError(errno.EEXIST, "is not empty, --force writes into it", steps)
    output = graph_of(formula, numbers(bindings(values)))
    book = explain.ledger(output, title=formula)
    contents = {path: write() for path, write in ((svg, book.svg), (html, book.html)) if path}
    said = str(explain.worksheet(output, title=formula)) if worksheet else book.text(colour())
    say(said)
    for path, content in contents.items():
        atomic_write(path, content.encode())
        say(f"\nwritten: {click.format_filename(path)}")
    if steps:
        book.save(os.path.join(steps, ""))
        say(f"\nwritten: {click.format_filename(steps)}, {len(book.slides)} slides")
