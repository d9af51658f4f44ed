"""``chainrule draw``: every value and gradient of a typed formula."""

from __future__ import annotations

import click

from chainrule.cli.console import colour, say
from chainrule.cli.settings import bindings, numbers, require_free


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("formula")
@click.argument("values", nargs=-1, metavar="[NAME=NUMBER]...")
@click.option("--svg", type=click.Path(readable=False), metavar="FILE", help="Also draw the graph.")
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
def draw(formula: str, values: tuple[str, ...], svg: str | None, force: bool) -> None:
    """Every value and gradient of a formula, node by node.

    \b
    chainrule draw "(x + y) * z" x=-2 y=5 z=-4
    chainrule draw "q = x + y; f = q * z" x=-2 y=5 z=-4 --svg circuit.svg
    """  # noqa: D301 - click wants the backspace itself
    from chainrule.explain import circuit
    from chainrule.expressions.formula import formula as graph_of
    from chainrule.persist import atomic_write

    require_free(svg, force=force)
    picture = circuit(graph_of(formula, numbers(bindings(values))), title=formula)
    drawing = picture.svg().encode() if svg else b""
    say(picture.text(colour()))
    if svg:
        atomic_write(svg, drawing)
        say(f"\nwritten: {click.format_filename(svg)}")
