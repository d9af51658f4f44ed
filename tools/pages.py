"""The code on the documentation's pages, run as a reader would run it.

A page is read from top to bottom in a folder of its own: Python blocks share their names, examples
with prompts are compared with what they print, and lines that begin with ``$`` are run as commands.
The documentation runs every page when it is built; ``tests/test_docs.py`` runs them, too.
"""

from __future__ import annotations

import contextlib
import doctest
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from chainrule.cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class UntruePageError(AssertionError):
    """A page says what is not so."""


def pages_with_code() -> list[Path]:
    """The pages that people wrote, and that have code to run."""
    written = [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("extending/*.md")]
    return sorted(page for page in written if BLOCK.search(page.read_text(encoding="utf-8")))


def run_examples(block: str, names: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Run examples with prompts; what they have defined in the end."""
    test = doctest.DocTestParser().get_doctest(block, dict(names), where, where, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    if runner.run(test, out=told.append, clear_globs=False).failed:
        raise UntruePageError("".join(told))
    return test.globs


def run_commands(block: str, where: str) -> None:
    """Run lines that begin with ``$ chainrule``; what follows one is what it prints."""
    for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, wanted = call.partition("\n")
        program, *words = shlex.split(line)
        if program != "chainrule":
            raise UntruePageError(f"{where}: {line}: only chainrule can be run here")
        result = CliRunner().invoke(app, words, prog_name=program)
        if result.exit_code != 0:
            raise UntruePageError(f"{where}: {line}\n{result.output}")
        as_said = doctest.OutputChecker().check_output(wanted, result.stdout, FLAGS)
        if wanted.strip() and not as_said:
            raise UntruePageError(f"{where}: {line}\n{result.stdout}")


def run_page(text: str, where: str) -> int:
    """Run every block of a page; how many there were."""
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = BLOCK.findall(text)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for kind, block in blocks:
            if kind == "console":
                run_commands(block, where)
            elif ">>>" in block:
                names = run_examples(block, names, where)
            else:
                exec(compile(block, where, "exec"), names)
    return len(blocks)
