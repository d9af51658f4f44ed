"""The gallery of the documentation: a page for each system of the lectures, written at the build.

Every program is run, its numbers are compared with those of the lectures, and its pictures are
written in both themes. A number that differs ends the build.
"""

from __future__ import annotations

import re
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.display import status_iterator

from chainrule.explain import Figure, Page, Shown, System, format_number
from chainrule.explain.page import DECKS
from chainrule.explain.systems import systems

FOLDER = "gallery"
SOURCES = ("src/chainrule", "examples/lectures", "tools/gallery.py")
PREFERENCE = "@media (prefers-color-scheme:dark)"
THEMES = {"light": "@media not all", "dark": "@media all"}  # in place of the reader's preference
FIRST_PICTURE = re.compile(r"\{image\} (\S+)-light\.svg\n.*\n:alt: (.*)")
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~^])")


def prose(text: str) -> str:
    """Text whose signs mean themselves in Markdown."""
    return SPECIAL.sub(r"\\\1", text)


def fenced(kind: str, *lines: str, ticks: int = 3) -> str:
    """A block; one that holds others has more ticks than they have."""
    return "\n".join(["`" * ticks + kind, *lines, "`" * ticks])


def stem(page: Page) -> str:
    return page.file.removesuffix(".py")


def image(name: str, alt: str, *options: str) -> str:
    """A picture's two files, of which the one of the page's theme is shown."""
    return "\n\n".join(
        fenced(f"{{image}} {name}-{theme}.svg", f":class: only-{theme}", f":alt: {alt}", *options)
        for theme in THEMES
    )


def picture(figure: Figure, folder: Path, name: str) -> str:
    """Write a figure in both themes; the Markdown that shows it, and says it in words."""
    drawn = figure.svg()
    if PREFERENCE not in drawn:
        raise ExtensionError(f"the picture {name} does not follow the reader's theme")
    for theme, always in THEMES.items():
        themed = drawn.replace(PREFERENCE, always)
        (folder / f"{name}-{theme}.svg").write_text(themed, encoding="utf-8")
    lines = "".join(f"<p>{escape(line)}</p>" for line in figure.describe().splitlines())
    in_words = f"<details><summary>In words</summary>{lines}</details>"
    return f"{image(name, ' '.join(figure.title.split()))}\n\n{in_words}"


def numbers(shown: Shown) -> str:
    rows = ["| number | here | the lectures |", "|---|---|---|"]
    for name, value in shown.numbers.items():
        printed = prose(shown.expected.get(name, "")).replace("-", "−")
        rows.append(f"| {prose(name)} | {format_number(value)} | {printed} |")
    return "\n".join(rows)


def thoughts(page: Page) -> list[str]:
    """The slide's slip, its questions with their answers, and something to try."""
    told = [f"**The slide slips.** {prose(page.slip)}"] if page.slip else []
    told += [f"**{prose(asked)}**\n\n{prose(answer)}" for asked, answer in page.questions.items()]
    told += [f"**Try** {prose(page.experiment)}"] if page.experiment else []
    return told


def page_of(system: System, shown: Shown, folder: Path) -> str:
    """A system's page, in Markdown; its pictures and its notebook are written beside it."""
    page, name = system.page, stem(system.page)
    (folder / f"{name}.ipynb").write_text(system.notebook(), encoding="utf-8")
    pictures = [
        picture(figure, folder, f"{name}-{title}") for title, figure in shown.pictures.items()
    ]
    program = f"../../examples/lectures/{page.file}"
    parts = [
        f"# {page.id} {prose(page.name)}",
        prose(page.claim),
        f"*Deck {prose(page.deck)}: “{prose(page.slide)}”*",
        fenced("text", page.formula),
        *pictures,
        *thoughts(page),
        "## The numbers",
        numbers(shown),
        "## The program",
        fenced("text", f"chainrule show {page.name}"),
        fenced(f"{{literalinclude}} {program}", ":language: python"),
        f"Download {{download}}`{page.file} <{program}>`"
        f" or, for Jupyter, {{download}}`{name}.ipynb`.",
    ]
    return "\n\n".join(parts) + "\n"


def card(system: System, folder: Path) -> str:
    """A system on the page that lists them: its name, its claim, its first picture."""
    page = system.page
    name, alt = FIRST_PICTURE.search((folder / f"{stem(page)}.md").read_text("utf-8")).groups()
    link = f"**[{page.id} {page.name}]({stem(page)}.md)**"
    shown = image(name, alt, ":loading: lazy")
    return fenced("{container} card", link, "", prose(page.claim), "", shown, ticks=4)


def index_of(found: list[System], folder: Path) -> str:
    """The page that lists them, by deck."""
    parts = [
        "# The lectures, alive",
        "Every system of the five decks: what it claims, its numbers beside those of the slides,"
        " its pictures, and the program that made them. `chainrule show` lists them in the"
        " terminal, and `chainrule show NAME` runs one.",
    ]
    for deck, members in groupby(found, key=lambda system: system.id[0]):
        parts.append(f"## {deck}: {DECKS[deck]}")
        cards = [card(each, folder) for each in members]
        parts.append(fenced("{container} cards", *cards, ticks=5))
    parts.append(fenced("{toctree}", ":hidden:", "", *(stem(each.page) for each in found)))
    return "\n\n".join(parts) + "\n"


def newest(root: Path) -> float:
    """When anything that a page depends on was last changed."""
    return max(
        file.stat().st_mtime
        for source in SOURCES
        for file in [root / source, *(root / source).rglob("*.py")]
    )


def write(app: Sphinx) -> None:
    """Write the pages that are older than what they are made from."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    changed, found = newest(Path(app.srcdir).parent), systems()
    for system in status_iterator(found, "running the lectures... ", "brown", len(found), 1, str):
        target = folder / f"{stem(system.page)}.md"
        if target.exists() and target.stat().st_mtime > changed:
            continue
        shown = system()
        if shown.misses():
            raise ExtensionError(f"{system.name}: {'; '.join(shown.misses())}")
        target.write_text(page_of(system, shown, folder), encoding="utf-8")
    (folder / "index.md").write_text(index_of(found, folder), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
