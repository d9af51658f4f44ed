"""The chain-rule ledger: every number of a forward and a backward pass, open to be checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from chainrule.errors import ParameterError
from chainrule.explain.circuit import by_id, drawn
from chainrule.explain.figure import Figure, plain
from chainrule.explain.folding import FoldedPicture, folded
from chainrule.explain.graph_picture import GraphPicture
from chainrule.explain.ledger_page import folded_page, page_of
from chainrule.explain.ledger_script import Script, script_of
from chainrule.explain.ledger_slides import Slide, slides_of
from chainrule.explain.passes import Passes, passes
from chainrule.explain.terminal import Colour
from chainrule.graph.node import Node


@dataclass(frozen=True, eq=False)
class Ledger(Passes, Figure):
    """The numbers of one forward and one backward pass, as a picture, a page, or slides.

    Attributes
    ----------
    order, values, gradients, shares
        What the engine computed; see :class:`~chainrule.explain.passes.Passes`.
    title : str
    path : tuple of str
        The blocks that were opened, the outermost first.
    """

    title: str = ""
    path: tuple[str, ...] = ()

    @cached_property
    def whole(self) -> GraphPicture:
        """The circuit, however many nodes it has."""
        return drawn(self, self.title)

    @cached_property
    def picture(self) -> GraphPicture:
        """The circuit; folded into blocks if it has more than 300 nodes."""
        picture = folded(self.whole)
        for name in self.path:
            picture = _blocks(picture).opened(name)
        return picture

    def opened(self, block: str) -> Ledger:
        """The ledger of one block of a folded graph; gradients are still those of the output.

        Raises
        ------
        ParameterError
            If the graph is not folded.
        UnknownNameError
            If there is no such block.

        Examples
        --------
        >>> import chainrule as cr
        >>> f = cr.variable(0.5, name="x")
        >>> for _ in range(400):
        ...     f = cr.sin(f)
        >>> inside = cr.explain.ledger(f).opened("block 7")
        >>> inside.picture.title, len(inside.script.steps)
        ('block 7', 103)
        """
        _blocks(self.picture).opened(block)
        return replace(self, path=(*self.path, block))

    @cached_property
    def script(self) -> Script:
        """The same on paper: every scalar, every product, step by step.

        Raises
        ------
        ParameterError
            If the graph has too many products for a page, or is folded.
        """
        if isinstance(self.picture, FoldedPicture):
            raise ParameterError(
                f"{len(self.picture.whole.records):,} nodes are folded, and have no steps; open a"
                f" block, such as ledger(f).opened({next(iter(self.picture.blocks))!r})"
            )
        return script_of(self, self.picture, self.whole)

    @property
    def data(self) -> dict[str, Any]:
        """The value and the gradient of every node of the picture, by name."""
        nodes, found = by_id(self), {}
        if isinstance(self.picture, FoldedPicture):
            return self.picture.data
        for record in self.picture.records:
            node = nodes[record.id]
            pair = {"value": self.values[node], "gradient": self.gradients.get(node)}
            found[self.picture.names[record.id]] = plain(pair)
        return found

    def svg(self) -> str:
        """The circuit, with all its numbers."""
        return self.picture.svg()

    def text(self, colour: Colour = "none") -> str:
        """The circuit as a table."""
        return self.picture.text(colour)

    def describe(self) -> str:
        """How many operations there are, and the result."""
        return self.picture.describe()

    def html(self) -> str:
        """One page that fetches nothing: every node opens as arithmetic, steps go both ways.

        Buttons and arrow keys step; cells of matrices open as scalars. Every number stands in a
        ``<data value="...">`` with all its digits, and every sum, difference, product and quotient
        in a paragraph with ``data-rule``, its result last. The page of a folded graph shows its
        blocks, and how to open them.
        """
        if isinstance(self.picture, FoldedPicture):
            return folded_page(self.picture)
        return page_of(self.script)

    @property
    def slides(self) -> list[Slide]:
        """One picture a step, 16:9: numbers not yet computed are left out."""
        return slides_of(self.script)

    def save(self, path: str | Path, *, theme: str = "light", format: str = "svg") -> None:
        """Write one file, or one file a step into a folder.

        Parameters
        ----------
        path : path
            Ends in ``.svg``, ``.png`` or ``.html``; or in ``/`` for a folder of slides, which is
            made if there is none.
        theme : {"light", "dark"}
            Of pixels.
        format : {"svg", "png"}
            Of slides.

        Examples
        --------
        >>> import chainrule as cr, pathlib, tempfile
        >>> x, y = cr.variable(2.0, name="x"), cr.variable(3.0, name="y")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cr.explain.ledger(x * y).save(f"{folder}/steps/")
        ...     sorted(path.name for path in pathlib.Path(folder, "steps").iterdir())
        ['step-0.svg', 'step-1.svg', 'step-2.svg', 'step-3.svg', 'step-4.svg']
        """
        if not str(path).endswith((os.sep, "/")) and not Path(path).is_dir():
            super().save(path, theme=theme)
            return
        slides = self.slides
        Path(path).mkdir(parents=True, exist_ok=True)
        digits = len(str(len(slides) - 1))
        for place, slide in enumerate(slides):
            slide.save(Path(path, f"step-{place:0{digits}}.{format}"), theme=theme)


def _blocks(picture: GraphPicture) -> FoldedPicture:
    """The picture, as one of blocks."""
    if not isinstance(picture, FoldedPicture):
        raise ParameterError(
            f"a graph of {len(picture.records)} nodes is not folded: all of them are shown"
        )
    return picture


def ledger(output: Node, *, title: str = "") -> Ledger:
    """Run ``output`` forwards and backwards, as it was written, and keep every number.

    Parameters
    ----------
    output : Node
        A float scalar whose free leaves are all variables.
    title : str
        One line, the heading of the page.

    Raises
    ------
    MissingInputError
        If there is a placeholder without a value.
    ShapeError
        If ``output`` is no scalar.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.variable(3.0, name="x")
    >>> book = cr.explain.ledger(x * x)
    >>> book.gradients[x]
    array(6.)
    >>> for equation in book.script.told(book.script.steps[-1]):
    ...     print(equation)
    ∂t1/∂x = x = 3
    ∂t1/∂t1 × ∂t1/∂x = 1 × 3 = 3
    ∂t1/∂x = x = 3
    ∂t1/∂t1 × ∂t1/∂x = 1 × 3 = 3
    ∂t1/∂x = 3 + 3 = 6
    """
    return Ledger(**vars(passes(output)), title=title)
