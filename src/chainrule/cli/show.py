"""``chainrule show``: the systems of the lectures."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli.console import colour, quiet, say, say_facts, say_numbers, say_wrapped
from chainrule.cli.settings import bindings, require_free
from chainrule.errors import MissingExtraError, ParameterError
from chainrule.explain.figure import FORMATS, THEMES, plain
from chainrule.explain.page import DECKS, Page
from chainrule.explain.svg import MINUS

if TYPE_CHECKING:
    from chainrule.explain import Shown, System

DIFFERS = 1
MARKS = {True: "✓", False: "✗"}
FOLDER = "chainrule-show"  # written to without being asked, so nothing else belongs there


@click.command()
@click.argument("name", required=False)
@click.argument("settings", nargs=-1, metavar="[SETTING=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print claim, numbers and files as JSON.")
@click.option("--code", is_flag=True, help="Print the program.")
@click.option(
    "--svg", type=click.Path(readable=False), metavar="FILE", help="Write the first picture only."
)
@click.option(
    "--out",
    type=click.Path(readable=False),
    metavar="FOLDER",
    help=f"Write all pictures and numbers there; without it, pictures go to {FOLDER}.",
)
@click.option(
    "--notebook",
    type=click.Path(readable=False),
    metavar="FILE",
    help="Write page and program as a Jupyter notebook.",
)
@click.option(
    "--format", "kind", type=click.Choice(list(FORMATS)), default="svg", show_default=True
)
@click.option("--theme", type=click.Choice(list(THEMES)), default="light", help="Of png pictures.")
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
    notebook: str | None,
    kind: str,
    theme: str,
    force: bool,
) -> None:
    """A system of the lectures: its numbers, its pictures, its program.

    NAME is a name or an id, such as circuit or C3; without it all are listed.
    """
    from chainrule.explain.systems import find

    if name is None:
        if code or svg or out or notebook:
            raise ParameterError("say which system, by name or id: chainrule show C3 --code")
        _say_list(as_json)
        return
    chosen = find(name)
    if code:
        _say_program(chosen)
    if notebook is not None:
        require_free(notebook, force=force)
        _write({notebook: chosen.notebook().encode()}, force)
    if code or notebook is not None:
        return
    typed = {key: chosen.parsed(key, text) for key, text in bindings(settings).items()}
    require_free(svg, force=force)
    if out is not None:
        _require_folder(out, force)
    shown = chosen(**typed)
    if svg is not None:
        files = {svg: next(iter(shown.pictures.values())).svg().encode()}
    else:
        files = _files(shown, out, kind, theme)
    if not as_json:
        _say_shown(chosen, shown)
    _write(files, force or (svg, out) == (None, None))
    if as_json:
        settled = {**chosen.settings, **typed}
        say(json.dumps(_facts(chosen, shown, settled, list(files)), indent=2, ensure_ascii=False))
    if shown.misses():
        click.echo("\n".join(f"chainrule: {miss}" for miss in shown.misses()), err=True)
        context.exit(DIFFERS)


def _say_list(as_json: bool) -> None:
    """All systems, by deck."""
    from chainrule.explain.systems import PAGES

    if as_json:
        rows = [{"id": page.id, "name": page.name, "claim": page.claim} for page in PAGES]
        say(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for letter, title in DECKS.items():
        pages = [page for page in PAGES if page.id[0] == letter]
        if pages:
            say(quiet(f"Deck {letter}: {title}"))
            say_facts((f"{page.id:<4} {page.name}", page.claim) for page in pages)


def _require_folder(folder: str, force: bool) -> None:
    """Refuse early what could not be written into."""
    require_free(
        os.path.join(folder, "numbers.json") if os.path.isdir(folder) else folder, force=force
    )


def _files(shown: Shown, out: str | None, kind: str, theme: str) -> dict[str, bytes]:
    """The content of every file, by its path; pictures that cannot be drawn only unasked."""
    try:
        files = {
            os.path.join(out or FOLDER, f"{key}.{kind}"): picture.bytes_of(kind, theme)
            for key, picture in shown.pictures.items()
        }
    except MissingExtraError as missing:
        if out is not None:
            raise
        click.echo(f"chainrule: {missing}", err=True)
        return {}
    if out is not None:
        numbers = json.dumps(dict(shown.numbers), indent=2, ensure_ascii=False)
        files[os.path.join(out, "numbers.json")] = f"{numbers}\n".encode()
    return files


def _write(files: dict[str, bytes], force: bool) -> None:
    from chainrule.persist import atomic_write

    for path in files:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        require_free(path, force=force)
    for path, content in files.items():
        atomic_write(path, content)
        click.echo(f"written: {click.format_filename(path)}", err=True)


def _facts(
    chosen: System, shown: Shown, settings: dict[str, Any], files: list[str]
) -> dict[str, Any]:
    page = chosen.page
    return {
        "id": page.id,
        "name": page.name,
        "claim": page.claim,
        "deck": page.deck,
        "slide": page.slide,
        "formula": page.formula,
        "settings": plain(settings),
        "numbers": dict(shown.numbers),
        "lectures": dict(shown.expected),
        "slip": page.slip,
        "questions": dict(page.questions),
        "experiment": page.experiment,
        "files": files,
    }


def _say_shown(chosen: System, shown: Shown) -> None:
    """The page: claim, formula, pictures, the numbers beside the lectures', what to think of."""
    page = chosen.page
    say_wrapped(f"{page.id}  {page.claim}")
    say(quiet(f"Deck {page.deck}"))
    say(quiet(f"“{page.slide}”"))
    say("\n" + "\n".join(f"    {line}" for line in page.formula.splitlines()))
    if shown.notes:
        say(f"\n{shown.notes}")
    for picture in shown.pictures.values():
        say(f"\n{picture.text(colour())}")
    say()
    say_numbers(_rows(shown))
    _say_thoughts(page)


def _rows(shown: Shown) -> list[tuple[str, str, str, str]]:
    from chainrule.explain import agrees, format_number

    rows = [("number", "here", "lectures", "")]
    for name, value in shown.numbers.items():
        printed = shown.expected.get(name, "")
        mark = MARKS[agrees(value, printed)] if printed else ""
        rows.append((name, format_number(value), printed.replace("-", MINUS), mark))
    return rows


def _say_thoughts(page: Page) -> None:
    """The slide's slip, its questions with their answers, and something to try."""
    facts = [("The slide", page.slip)] if page.slip else []
    for asked, answer in page.questions.items():
        facts += [("It asks", asked), ("Answer", answer)]
    if page.experiment:
        facts.append(("Try", page.experiment))
    if facts:
        say()
        say_facts(facts)


def _say_program(chosen: System) -> None:
    """The module of a system, with its syntax in colour on a terminal."""
    code = chosen.code.rstrip()
    if colour() == "none":
        say(code)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(code, "python", theme="ansi_light", background_color="default"))
