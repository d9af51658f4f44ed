"""The documentation's pages do what they say, and its gallery shows what the lectures do."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from chainrule.explain.systems import systems
from tools.pages import DOCS, UntruePageError, pages_with_code, run_page

FETCHED = re.compile(r"""<(?!a\b)[a-z]+ [^>]*(?:src|href)=["']?(?:https?:)?//""")
NEEDS = {"xla.md": "jax"}  # the pages that are about something that not everybody installs

for package in filter(find_spec, NEEDS.values()):
    import_module(package)  # before any test: JAX draws random numbers when it is imported


@pytest.mark.parametrize(
    "page", pages_with_code(), ids=lambda page: page.relative_to(DOCS).as_posix()
)
def test_the_page_does_what_it_says(page: Path) -> None:
    if find_spec(NEEDS.get(page.name, "chainrule")) is None:
        pytest.skip(f"needs {NEEDS[page.name]}")
    assert run_page(page.read_text(encoding="utf-8"), page.name)


@pytest.mark.slow
def test_the_site_is_built_and_asks_for_nothing_from_the_network(tmp_path: Path) -> None:
    if find_spec("sphinx") is None:
        pytest.skip("needs sphinx: pip install 'chainrule[docs]'")
    strictly = ["-q", "--nitpicky", "--fail-on-warning", "--doctree-dir", str(tmp_path / "trees")]
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", *strictly, str(DOCS), str(site)]
    subprocess.run(command, check=True, cwd=DOCS.parent)
    assert all(
        (site / f"gallery/{Path(system.page.file).stem}.html").exists() for system in systems()
    )
    assert not [file for file in site.rglob("*.html") if FETCHED.search(file.read_text("utf-8"))]


@pytest.mark.parametrize(
    "block",
    [
        "```python\n>>> 1 + 1\n3\n```",
        "```python\nassert False\n```",
        "```console\n$ chainrule draw x*x x=3 --nonsense\n```",
        "```console\n$ chainrule draw x*x x=3\nnothing of the kind\n```",
        "```console\n$ echo nothing\n```",
    ],
)
def test_a_block_that_is_not_true_is_caught(block: str) -> None:
    with pytest.raises(AssertionError):
        run_page(block, "planted")


def test_what_a_block_defines_is_there_in_the_next_one() -> None:
    page = "```python\na = 1\n```\n\n```python\n>>> b = a + 1\n```\n\n```python\nassert b == 2\n```"
    assert run_page(page, "planted") == 3


def test_a_page_is_run_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("```python\nopen('left', 'w').close()\n```", "planted")
    assert not list(tmp_path.iterdir())
    assert issubclass(UntruePageError, AssertionError)
