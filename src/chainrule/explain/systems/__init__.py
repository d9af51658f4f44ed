"""The systems of the lectures: a page each, in a table for each deck, and a program each.

To add one, write its :class:`~chainrule.explain.page.Page` into the table of its deck, and a file
``examples/lectures/b07_non_convex.py`` with a function ``non_convex`` whose defaults are the
lectures' settings (numbers, words, or tuples of numbers) and which returns a
:class:`~chainrule.explain.shown.Shown`: numbers by name, figures by file name.

The programs are the files of ``examples/lectures``; an installed package carries them beside this
module. ``chainrule show NAME --code`` prints one; it runs as it is.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from chainrule.errors import unknown_name
from chainrule.explain.page import Page
from chainrule.explain.system import System
from chainrule.explain.systems import deck_a, deck_b, deck_c, deck_d, deck_e

PAGES: tuple[Page, ...] = tuple(
    sorted(
        (page for deck in (deck_a, deck_b, deck_c, deck_d, deck_e) for page in deck.PAGES),
        key=lambda page: (page.id[0], int(page.id[1:])),
    )
)
INSTALLED = Path(__file__).parent / "programs"
IN_THE_REPOSITORY = Path(__file__).parents[4] / "examples" / "lectures"


def systems() -> list[System]:
    """All shown systems, in the order of the lectures."""
    return [_system(page) for page in PAGES]


def find(name: str) -> System:
    """The system of that name or id, in any case.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for page in PAGES:
        if name.lower() in (page.name, page.id.lower()):
            return _system(page)
    raise unknown_name("system", name, [page.name for page in PAGES])


@cache
def _system(page: Page) -> System:
    """A page with its program, which is loaded as a module."""
    folder = INSTALLED if INSTALLED.is_dir() else IN_THE_REPOSITORY
    loader = SourceFileLoader(f"{__name__}.programs.{page.function}", str(folder / page.file))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return System(page, getattr(module, page.function))
