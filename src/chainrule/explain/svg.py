"""From marks to an SVG document: deterministic text, no script, nothing fetched from outside.

Colours are CSS variables that follow the reader's light or dark preference. Programs that know no
variables (slides, print, converters) see the plain light colours only: the rules with variables
stand inside ``@supports``, because some readers take a declaration that they cannot resolve for
black instead of leaving it out. Classes and ``data-`` attributes are stable: a page may step
through a picture by toggling them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite, isnan
from xml.sax.saxutils import escape, quoteattr

from chainrule.explain.palette import DARK, LIGHT, SANS, SERIF, SIZES, TOKENS, Theme

MINUS = "\u2212"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST = 1e4  # whole numbers below it are written in full
PLAIN = range(-3, 3)  # decimal exponents of other numbers written without a power of ten

# XML 1.0 allows no other characters; what a name holds beyond them is shown as U+FFFD.
UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _font(kind: str, family: str, *, italic: bool = False) -> str:
    return f"{'italic ' if italic else ''}{SIZES[kind]:g}px {family}"


CENTRED = {"text-anchor": "middle"}

# What every class of mark looks like; a colour is the name of a token of the palette.
STYLES: dict[str, dict[str, str]] = {
    "paper": {"fill": "paper"},
    "gate": {"fill": "paper", "stroke": "ink", "stroke-width": "1.25"},
    "wire": {"fill": "none", "stroke": "note", "stroke-width": "1.25"},
    "symbol": {"fill": "ink", "font": _font("symbol", SANS), **CENTRED},
    "sign": {"fill": "ink", "font": _font("sign", SANS), **CENTRED},
    "name": {"fill": "ink", "font": _font("name", SERIF, italic=True), **CENTRED},
    "forward": {"fill": "forward", "font": _font("forward", SANS), **CENTRED},
    "gradient": {"fill": "gradient", "font": _font("gradient", SANS, italic=True), **CENTRED},
    "claim": {"fill": "ink", "font": _font("claim", SERIF)},
    "note": {"fill": "note", "font": _font("note", SANS)},
    "axis": {"fill": "none", "stroke": "note", "stroke-width": "1"},
    "contour": {"fill": "none", "stroke": "ink", "stroke-width": "2", "stroke-linejoin": "round"},
    "level": {"fill": "none", "stroke": "ink", "stroke-width": ".75", "stroke-opacity": ".55"},
    "point": {"stroke": "ink", "stroke-width": "1.1", "stroke-linejoin": "round"},
    "class0": {"fill": "class0"},
    "class1": {"fill": "class1"},
    "class2": {"fill": "class2"},
}


def format_number(value: float) -> str:
    """Three significant digits with a true minus sign; whole numbers below 10,000 in full.

    Trailing zeros are kept where digits were rounded away, and dropped where none were.

    >>> [format_number(number) for number in (-12, 0.731058, -0.5, -0.58999, 1500)]
    ['−12', '0.731', '−0.5', '−0.590', '1500']
    >>> [format_number(number) for number in (12345.6, 2e-7, float("-inf"))]
    ['1.23×10⁴', '2×10⁻⁷', '−∞']
    """
    if not isfinite(value):
        return "not a number" if isnan(value) else f"{MINUS if value < 0 else ''}∞"
    if value == int(value) and abs(value) < MOST:
        return f"{int(value)}".replace("-", MINUS)
    digits, _, power = f"{value:.2e}".partition("e")
    exponent = int(power)
    exact = float(f"{value:.2e}") == value
    if exponent in PLAIN:
        return _shortened(f"{value:.{2 - exponent}f}", exact)
    return f"{_shortened(digits, exact)}×10{str(exponent).translate(SUPERSCRIPTS)}"


def _shortened(decimals: str, exact: bool) -> str:
    """Trailing zeros go where nothing was rounded away."""
    shown = decimals.rstrip("0").rstrip(".") if exact and "." in decimals else decimals
    return shown.replace("-", MINUS)


def printable(text: object) -> str:
    r"""``text`` without characters that XML does not allow.

    >>> printable("a\x00b")
    'a�b'
    """
    return UNPRINTABLE.sub("\ufffd", str(text))


def number(length: float) -> str:
    """A coordinate with at most two decimals and no needless zeros.

    >>> number(12.0), number(-0.001), number(1 / 3)
    ('12', '0', '0.33')
    """
    return f"{round(length, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def element(tag: str, /, *children: str, **attributes: object) -> str:
    """An XML element; ``class_`` stands for class, ``_`` for ``-``; children are already XML.

    >>> element("text", text("x < y"), x=1.0, class_="name")
    '<text x="1" class="name">x &lt; y</text>'
    """
    body = "".join(children)
    head = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    return f"<{head}>{body}</{tag}>" if body else f"<{head}/>"


def _attribute(name: str, value: object) -> str:
    written = number(value) if isinstance(value, float) else printable(value)
    return f" {name.strip('_').replace('_', '-')}={quoteattr(written)}"


def text(content: object) -> str:
    """Character data: escaped, printable."""
    return escape(printable(content))


def document(
    width: float, height: float, body: Iterable[str], *, title: str, description: str, key: str
) -> str:
    """A whole SVG picture on paper.

    Parameters
    ----------
    width, height : float
        Size in CSS pixels.
    body : iterable of str
        Elements, drawn in order.
    title, description : str
        What a screen reader says; never empty in a good picture.
    key : str
        Prefix of the ids, unlike that of other pictures on the same page.
    """
    labels = [f"{key}-title", f"{key}-description"]
    parts = [
        element("title", text(title), id=labels[0]),
        element("desc", text(description), id=labels[1]),
        element("style", text(stylesheet())),
        element("rect", class_="paper", width=width, height=height),
        *body,
    ]
    return element(
        "svg",
        "\n" + "\n".join(parts) + "\n",
        xmlns="http://www.w3.org/2000/svg",
        class_="chainrule",
        role="img",
        aria_labelledby=" ".join(labels),
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=float(width),
        height=float(height),
    )


def stylesheet(styles: Mapping[str, Mapping[str, str]] = STYLES) -> str:
    """The rules of ``styles``, scoped to our own pictures, in the light and the dark theme."""
    plain = [_rule(name, rule, LIGHT) for name, rule in styles.items()]
    variable = [
        _rule(name, coloured, None) for name, rule in styles.items() if (coloured := _colours(rule))
    ]
    return "\n".join(
        [
            ".chainrule{font-variant-numeric:tabular-nums}",
            *plain,
            variables(variable),
        ]
    )


def variables(rules: Iterable[str]) -> str:
    """``rules`` that speak of colours as variables, for readers that know variables."""
    return "\n".join(
        [
            "@supports (fill:var(--ink)){",
            f".chainrule{{{_variables(LIGHT)}}}",
            *rules,
            f"@media (prefers-color-scheme:dark){{.chainrule{{{_variables(DARK)}}}}}",
            "}",
        ]
    )


def _colours(rule: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in rule.items() if value in TOKENS}


def _rule(name: str, rule: Mapping[str, str], theme: Theme | None) -> str:
    """One rule, with the colours of ``theme`` or, without one, with variables."""
    declarations = ";".join(f"{key}:{_resolved(value, theme)}" for key, value in rule.items())
    return f".chainrule .{name}{{{declarations}}}"


def _resolved(value: str, theme: Theme | None) -> str:
    if value not in TOKENS:
        return value
    return str(getattr(theme, value)) if theme else f"var(--{value})"


def _variables(theme: Theme) -> str:
    return ";".join(f"--{token}:{getattr(theme, token)}" for token in TOKENS)
