"""How the documentation is built: ``make docs``. Warnings are errors, and nothing is fetched."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NoReturn

from docutils.nodes import Element, SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.display import status_iterator

sys.path.insert(0, str(Path(__file__).parent.parent))  # for the modules of tools/

from chainrule import ops
from chainrule.explain.palette import DARK, LIGHT, SANS, Theme
from tools.pages import DOCS, UntruePageError, pages_with_code, run_examples, run_page

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # else JAX says at length what it does not find

project = "chainrule"
author = "The chainrule authors"
copyright = author
version = release = installed("chainrule")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_click",
    "sphinx_copybutton",
    "tools.gallery",
]
exclude_patterns = ["images"]
smartquotes = False  # --option and "text" are to be copied
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

numpydoc_show_class_members = False  # autodoc shows them
autodoc_member_order = "groupwise"
autodoc_inherit_docstrings = False  # an override without words is described by its base
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
add_module_names = False


ELEMENTWISE = "(the elementwise operations)"  # what they stand in the place of
OPERANDS = {1: "x", 2: "ab", 3: ("condition", "a", "b")}  # as summaries call them
SIGNS = re.compile(r"([\\*`|_])")


def _variables(theme: Theme) -> dict[str, str]:
    """The colours of the pictures as those of the page, which then have no frame."""
    return {
        "font-stack": SANS,
        "color-background-primary": theme.paper,
        "color-background-secondary": theme.paper,
        "color-foreground-primary": theme.ink,
        "color-foreground-secondary": theme.note,
        "color-background-border": theme.hairline,
    }


html_theme = "furo"
html_title = "chainrule"
html_theme_options = {
    "light_css_variables": _variables(LIGHT),
    "dark_css_variables": _variables(DARK),
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
nitpick_ignore_regex = [
    (r"py:data", "KINDS"),  # of a module that is not public
    (r"py:.*", r"(numpy|collections|typing|pathlib|os|abc|time)\..*"),  # their pages are elsewhere
]


def _write_formula(self: Any, node: Element) -> NoReturn:
    """MathML, which browsers set by themselves: reading a page fetches no script."""
    self.body.append(tex2mathml(node.astext(), as_block=node.tagname == "math_block"))
    raise SkipNode


def _list_elementwise(app: Sphinx, page: str, source: list[str]) -> None:
    """Elementwise operations are objects of a class, not functions that autodoc would find."""
    if page != "api/ops":
        return
    lines = [".. py:currentmodule:: chainrule.ops", ""]
    for name in ops.__all__:
        operation = getattr(ops, name)
        if isinstance(operation, ops.Operation):
            operands = ", ".join(OPERANDS[len(operation.op.partials)])
            summary = SIGNS.sub(r"\\\1", operation.op.summary)
            lines += [f".. py:function:: {name}({operands})", "", f"   {summary}", ""]
    source[0] = source[0].replace(ELEMENTWISE, "\n".join(lines))


def _run_pages(app: Sphinx) -> None:
    """Every block of code on the pages is run, and what it prints is compared."""
    pages = [*pages_with_code(), DOCS.parent / "CONTRIBUTING.md"]
    for page in status_iterator(pages, "running the pages... ", "brown", len(pages), 1, str):
        try:
            run_page(page.read_text(encoding="utf-8"), page.name)
        except UntruePageError as untrue:
            raise ExtensionError(str(untrue)) from untrue


def _run_examples(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """The examples of what the reference shows are run, as those of the pages are."""
    home = getattr(getattr(thing, "fget", thing), "__module__", None) or name
    if any(line.lstrip().startswith(">>>") for line in lines):
        try:
            run_examples("\n".join(lines), vars(sys.modules[home]), name)
        except UntruePageError as untrue:
            raise ExtensionError(f"{name}: {untrue}") from untrue


def _keep_bars(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """|x| is an absolute value, not a substitution; examples and literals stay as they are."""
    example = False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example and "``" not in line:
            lines[number] = line.replace("|", r"\|")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", _run_pages)
    app.connect("source-read", _list_elementwise)
    app.connect("autodoc-process-docstring", _run_examples, priority=400)  # before numpydoc
    app.connect("autodoc-process-docstring", _keep_bars)
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_write_formula, None),
        block_renderers=(_write_formula, None),
    )
