"""Statistical charts as plain data: marks on panels, panels on a chart.

What is drawn can be read back as numbers, and told in words; how it looks stands in one place,
``chart_drawing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.explain.figure import Figure, plain, theme_named
from chainrule.explain.marks import Panel, Sheet

SQUARE = (340.0, 340.0)  # of two panels whose axes have one unit


@dataclass(frozen=True, init=False)
class Chart(Sheet, Figure):
    """Panels under a claim; drawn by matplotlib (extra ``plots``).

    Parameters
    ----------
    *panels : Panel
        Row by row.
    title : str
        The claim, in one line.
    columns : int, optional
        Panels in a row; three at most by default.
    size : (width, height)
        Of one panel with its labels, in CSS pixels.
    share : bool
        Whether all panels have the same ranges.

    Examples
    --------
    >>> from chainrule.explain import Line
    >>> chart = Chart(Panel(Line([0, 1], [1.0, 0.25], label="loss"), x="epoch"), title="It falls.")
    >>> print(chart.describe())
    It falls.
    height over epoch: loss from 1 to 0.25.
    >>> chart.data["panels"][0]["marks"][0]["y"]
    [1.0, 0.25]
    """

    def __init__(
        self,
        *panels: Panel,
        title: str,
        columns: int | None = None,
        size: tuple[float, float] | None = None,
        share: bool = False,
    ) -> None:
        across = columns or min(len(panels), 3)
        default = (640.0, 400.0) if len(panels) == 1 else (400.0 if across < 3 else 300.0, 280.0)
        if len(panels) == 2 and all(panel.equal for panel in panels):
            default = SQUARE
        super().__init__(panels, title, across, size or default, share)

    @property
    def data(self) -> dict[str, Any]:
        """Every panel's marks with their arrays, as lists."""
        return {
            "title": self.title,
            "panels": [
                {
                    "title": panel.title,
                    "x": panel.x,
                    "y": panel.y,
                    "marks": [
                        {"mark": type(mark).__name__, "label": mark.label, **plain(mark.numbers)}
                        for mark in panel.marks
                    ],
                }
                for panel in self.panels
            ],
        }

    def describe(self) -> str:
        """The claim, and a sentence for every panel."""
        return "\n".join([self.title, *(panel.describe() for panel in self.panels)])

    def svg(self) -> str:
        """A complete SVG document; see ``chart_drawing``."""
        from chainrule.explain.chart_drawing import chart_svg

        return chart_svg(self, self.describe())

    def png(self, theme: str = "light") -> bytes:
        """The picture in pixels; see :meth:`Figure.png`."""
        from chainrule.explain.chart_drawing import chart_png

        return chart_png(self, theme_named(theme))

    def text(self, colour: Any = "none") -> str:
        """The claim alone: a terminal draws no chart."""
        return self.title
