"""``chainrule show``: the systems of the lectures."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainrule.cli.console import colour, say, say_facts, say_numbers
from chainrule.cli.settings import bindings, require_free
from chainrule.explain.svg import MINUS

if TYPE_CHECKING:
    from chainrule.explain import Shown, System

DIFFERS = 1
MARKS = {True: "✓", False: "✗"}


@click.command()
@click.argument("name", required=False)
@click.argument("settings", nargs=-1, metavar="[SETTING=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--code", is_flag=True, help="Print the program.")
@click.option(
    "--svg", type=click.Path(readable=False), metavar="FILE", help="Write the first picture."
)
@click.option(
    "--out",
    type=click.Path(readable=False),
    metavar="FOLDER",
    help="Write all pictures and numbers.",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.pass_context
def show(
    context: click.Context,
    name: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    code: bool,
    svg: str | None,
    out: str | None,
    force: bool,
) -> None:
    """A system of the lectures: its numbers, its pictures, its program.

    NAME is a name or an id, such as circuit or C3; without it all are listed.
    """
    from chainrule.explain.systems import find, systems

    if name is None:
        say_facts((f"{each.id}  {each.name}", each.claim) for each in systems())
        return
    chosen = find(name)
    if code:
        _say_program(chosen)
        return
    typed = {key: chosen.parsed(key, text) for key, text in bindings(settings).items()}
    require_free(svg, force=force)
    if out is not None:
        _require_folder(out, force)
    shown = chosen(**typed)
    _write(shown, svg, out, force)
    if as_json:
        say(shown.json())
    else:
        _say_shown(chosen, shown)
    if shown.misses():
        click.echo("\n".join(f"chainrule: {miss}" for miss in shown.misses()), err=True)
        context.exit(DIFFERS)


def _require_folder(folder: str, force: bool) -> None:
    """Refuse early what could not be written into."""
    require_free(
        os.path.join(folder, "numbers.json") if os.path.isdir(folder) else folder, force=force
    )


def _write(shown: Shown, svg: str | None, out: str | None, force: bool) -> None:
    from chainrule.persist import atomic_write

    files = {} if svg is None else {svg: next(iter(shown.pictures.values())).svg()}
    if out is not None:
        files |= {
            os.path.join(out, f"{key}.svg"): each.svg() for key, each in shown.pictures.items()
        }
        files[os.path.join(out, "numbers.json")] = shown.json() + "\n"
        os.makedirs(out, exist_ok=True)
    for path in files:
        require_free(path, force=force)
    for path, content in files.items():
        atomic_write(path, content.encode())
        click.echo(f"written: {click.format_filename(path)}", err=True)


def _say_shown(chosen: System, shown: Shown) -> None:
    """The claim, the pictures, and the numbers beside the lectures'."""
    from chainrule.explain import agrees, format_number

    say(f"{chosen.id}  {chosen.claim}")
    if shown.notes:
        say(f"\n{shown.notes}")
    for picture in shown.pictures.values():
        say(f"\n{picture.text(colour())}")
    rows = [("number", "here", "lectures", "")]
    for name, value in shown.numbers.items():
        printed = shown.expected.get(name, "")
        mark = MARKS[agrees(value, printed)] if printed else ""
        rows.append((name, format_number(value), printed.replace("-", MINUS), mark))
    say()
    say_numbers(rows)


def _say_program(chosen: System) -> None:
    """The module of a system, with its syntax in colour on a terminal."""
    code = Path(inspect.getfile(chosen.program)).read_text(encoding="utf-8").rstrip()
    if colour() == "none":
        say(code)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(code, "python", theme="ansi_light", background_color="default"))
