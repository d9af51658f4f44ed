"""What every picture has in common: numbers, words, and files of several kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chainrule.errors import unknown_name
from chainrule.explain.palette import DARK, LIGHT, SERIF, Theme
from chainrule.explain.svg import element, text
from chainrule.explain.terminal import Colour

THEMES = {"light": LIGHT, "dark": DARK}
PAGE_STYLE = (
    f"body{{font:17px/27px {SERIF};color:{LIGHT.ink};background:{LIGHT.paper};margin:48px}}"
    "svg{max-width:100%;height:auto}p{max-width:42em}"
    f"@media (prefers-color-scheme:dark){{body{{color:{DARK.ink};background:{DARK.paper}}}}}"
)


class Figure(ABC):
    """A picture that is also numbers and words.

    Attributes
    ----------
    title : str
        The claim that the picture makes, in one line.

    Notes
    -----
    In a notebook the last expression of a cell is shown. ``save`` takes its format from the
    name: ``"x.svg"``, ``"x.png"`` or ``"x.html"``.
    """

    title: str

    @property
    @abstractmethod
    def data(self) -> dict[str, Any]:
        """The numbers that are drawn, as plain lists, dicts and numbers."""

    @abstractmethod
    def svg(self) -> str:
        """A complete SVG document; its colours follow the reader's light or dark preference."""

    @abstractmethod
    def describe(self) -> str:
        """What there is to see, in words."""

    def text(self, colour: Colour = "none") -> str:
        """Lines for a terminal."""
        return self.describe()

    def png(self, theme: str = "light") -> bytes:
        """The picture in pixels, twice as many as CSS pixels.

        Parameters
        ----------
        theme : {"light", "dark"}

        Raises
        ------
        UnknownNameError
            If there is no such theme.
        MissingExtraError
            Without the extra ``plots``.
        """
        from chainrule.explain.rasterise import rasterised

        return rasterised(self.svg(), theme_named(theme))

    def html(self) -> str:
        """A page that needs nothing from outside: the claim, the picture, the words."""
        head = element("title", text(self.title)) + element("style", PAGE_STYLE)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"{head}</head>\n<body>\n{self.svg()}\n{element('p', text(self.describe()))}\n"
            "</body></html>\n"
        )

    def save(self, path: str | Path, *, theme: str = "light") -> None:
        """Write the picture, in the format that the name ends in.

        Parameters
        ----------
        path : path
            Ends in ``.svg``, ``.png`` or ``.html``.
        theme : {"light", "dark"}
            Of pixels; the other formats follow their reader.

        Raises
        ------
        UnknownNameError
            If it is another format.

        Examples
        --------
        >>> import chainrule as cr, pathlib, tempfile
        >>> x = cr.variable(3.0, name="x")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "square.svg")
        ...     cr.explain.circuit(x * x, title="x is read twice").save(path)
        ...     path.read_text(encoding="utf-8")[:4]
        '<svg'
        """
        Path(path).write_bytes(self.bytes_of(Path(path).suffix.removeprefix("."), theme))

    def bytes_of(self, format: str, theme: str = "light") -> bytes:
        """The content of a file of one of FORMATS."""
        if format not in FORMATS:
            raise unknown_name("format of a picture", format, FORMATS)
        return FORMATS[format](self, theme)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": self.text()}


FORMATS: Mapping[str, Callable[[Figure, str], bytes]] = {
    "svg": lambda figure, theme: figure.svg().encode(),
    "png": lambda figure, theme: figure.png(theme),
    "html": lambda figure, theme: figure.html().encode(),
}


def theme_named(name: str) -> Theme:
    """The theme of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    if name not in THEMES:
        raise unknown_name("theme", name, THEMES)
    return THEMES[name]


def plain(value: Any) -> Any:
    """``value`` with its arrays as lists, and numbers as Python's.

    >>> import numpy as np
    >>> plain({"x": np.arange(3), "y": (np.float64(0.5), "a")})
    {'x': [0, 1, 2], 'y': [0.5, 'a']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value
