"""How a chart looks: matplotlib draws it, the palette colours it, labels stand beside their marks.

Labels stand to the right of a panel at the height of their mark, each with a sample of it, and
push each other apart where they would overlap.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from hashlib import sha256
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np

from chainrule.explain.advances import text_width
from chainrule.explain.canvas import DPI, POINT, SHARPNESS, installed, settings
from chainrule.explain.chart_ticks import make_room, set_ticks
from chainrule.explain.marks import (
    SERIES,
    Band,
    Bars,
    Intervals,
    Line,
    Mark,
    Note,
    Panel,
    Points,
    Rule,
    Sheet,
    Surface,
    Threads,
)
from chainrule.explain.palette import LIGHT, MARKERS, SERIF, SIZES, TOKENS, Theme, rgb
from chainrule.explain.svg import format_number, variables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MARGIN = 16.0
CLAIM_LINE = 26.0  # pixels from one line of the claim to the next
ROOM: dict[str, Any] = {
    "w_pad": 0.12,
    "h_pad": 0.1,
    "wspace": 0.04,
    "hspace": 0.06,
}  # around panels
SAMPLE = (8.0, 26.0)  # where a label's sample begins and ends, right of its panel
LABEL = 31.0  # where its words begin
LABEL_STEP = 16.0  # from one label to the next, at least
AROUND_LABELS = 90.0  # title, ticks and name of the axis, above and below them
MOST_UNLIKE = 4.0  # extents of two axes on which a unit may be as long
OUTLINE = 0.8, 1 / 9  # of a point: pixels at most, and parts of its size
CERTAIN = 0.6  # opacity of a field where it is strongest
SHAPES = dict(zip((*MARKERS, "cross"), "os^x", strict=True))
DASHES: dict[str, Any] = {
    "solid": "-",
    "dashed": (0, (5, 2.5)),
    "dotted": (0, (1.2, 2)),
    "dashdot": (0, (6, 2, 1.2, 2)),
}


def chart_svg(chart: Sheet, description: str) -> str:
    """The chart as an SVG document whose colours follow the reader's preference."""
    key = sha256(description.encode()).hexdigest()[:8]
    buffer = io.StringIO()
    with settings(key):
        drawn(chart, LIGHT).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _adaptive(buffer.getvalue(), chart.title, description, key)


def chart_png(chart: Sheet, theme: Theme) -> bytes:
    """The chart in pixels, two for each CSS pixel."""
    buffer = io.BytesIO()
    with settings():
        drawn(chart, theme).savefig(buffer, format="png", dpi=SHARPNESS * DPI)
    return buffer.getvalue()


def drawn(chart: Sheet, theme: Theme) -> Canvas:
    """The chart as a figure of matplotlib, laid out."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = ceil(len(chart.panels) / chart.columns)
    width, height = chart.columns * chart.size[0], rows * _row_height(chart)
    claim = _balanced(chart.title, width - 2 * MARGIN)
    height += CLAIM_LINE * len(claim)
    canvas = Canvas(
        (width / DPI, height / DPI),
        dpi=DPI,
        facecolor=theme.paper,
        layout=ConstrainedLayoutEngine(**ROOM),
    )
    canvas.suptitle(
        "\n".join(claim), x=MARGIN / width, ha="left", color=theme.ink, linespacing=1.25,
        fontfamily=installed(SERIF), fontsize=SIZES["claim"] * POINT,
    )  # fmt: skip
    first, labels = None, []
    for place, panel in enumerate(chart.panels, 1):
        shared = {"sharex": first, "sharey": first} if chart.share else {}
        axes = canvas.add_subplot(rows, chart.columns, place, **shared)
        first = first or axes
        labels.append(_panel(axes, panel, theme))
        if chart.share:
            axes.label_outer()
    canvas.draw_without_rendering()
    lower = [
        make_room(axes, panel.x_names, panel.y_names)
        for axes, panel in zip(canvas.axes, chart.panels, strict=True)
    ]
    if not any(lower):
        canvas.set_layout_engine("none")
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # what follows moves within bounds
    for each in labels:
        _spread(each)
    return canvas


def _row_height(chart: Sheet) -> float:
    """As high as wanted, or as the labels beside a panel need."""
    most = max((sum(bool(mark.label) for mark in panel.marks) for panel in chart.panels), default=0)
    return max(chart.size[1], LABEL_STEP * most + AROUND_LABELS)


def _balanced(claim: str, width: float) -> list[str]:
    """The claim in as few lines as fit, of about one length: no word is left alone.

    >>> _balanced("Masks are networks; they disagree where there were no data", 500.0)
    ['Masks are networks; they disagree', 'where there were no data']
    """
    lines = narrower = _lines(claim, width)
    while len(narrower) == len(lines) > 1 and width > 0:
        lines, width = narrower, width - CLAIM_LINE
        narrower = _lines(claim, width)
    return lines


def _lines(claim: str, width: float) -> list[str]:
    """The claim in lines that fit."""
    lines: list[str] = []
    for word in claim.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, SIZES["claim"]) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _panel(axes: Axes, panel: Panel, theme: Theme) -> list[_Label]:
    """Draw a panel; its labels are not yet in their final places."""
    _frame(axes, panel, theme)
    inked = _inked(panel)
    for mark, ink, dash in inked:
        DRAWING[type(mark)](axes, mark, getattr(theme, ink), dash, theme)
    if panel.x_range:
        axes.set_xlim(panel.x_range)
    if panel.y_range:
        axes.set_ylim(panel.y_range)
    if panel.equal:
        _equal(axes, panel)
    set_ticks(axes, panel.x_names, panel.y_names)
    return [
        _Label(axes, mark, getattr(theme, ink), dash, theme)
        for mark, ink, dash in inked
        if mark.label and not (isinstance(mark, Rule) and mark.y is None)
    ]


def _equal(axes: Axes, panel: Panel) -> None:
    """A unit as long on both axes, if that leaves both of them room; a square if nothing forbids.

    Squares of several panels have one size, whatever is in them.
    """
    across, up = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
    if not 1 / MOST_UNLIKE <= across / up <= MOST_UNLIKE:
        return
    free = not (panel.x_range or panel.y_range)
    if free and not any(isinstance(mark, Surface) for mark in panel.marks):
        half = np.array([-0.5, 0.5]) * max(across, up)
        axes.set(xlim=np.mean(axes.get_xlim()) + half, ylim=np.mean(axes.get_ylim()) + half)
    axes.set_aspect("equal", adjustable="box")


def _inked(panel: Panel) -> list[tuple[Mark, str, str]]:
    """Every mark with its ink and its dash; those without an ink take turns."""
    turns = iter(SERIES * ceil(len(panel.marks) / len(SERIES) + 1))
    found = []
    for mark in panel.marks:
        ink, dash = mark.ink, getattr(mark, "dash", "")
        if mark.needs_ink and not ink:
            ink, turn = next(turns)
            dash = dash or turn
        found.append((mark, ink or "ink", dash or "solid"))
    return found


def _frame(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Axes and titles."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.note)
    axes.spines[["left", "bottom"]].set_linewidth(POINT)
    axes.tick_params(colors=theme.note, width=POINT, length=3, labelsize=SIZES["note"] * POINT)
    style: dict[str, Any] = {"fontsize": SIZES["label"] * POINT, "color": theme.ink}
    axes.set_title(panel.title, loc="left", pad=6, **style)
    axes.set_xlabel(panel.x, **{**style, "color": theme.note})
    axes.set_ylabel(panel.y, **{**style, "color": theme.note})
    axes.set_xscale(panel.x_scale)
    axes.set_yscale(panel.y_scale)


# ---------------------------------------------------------------------------- marks


def _line(axes: Axes, mark: Line, ink: str, dash: str, theme: Theme) -> None:
    axes.plot(
        mark.x, mark.y, color=ink, linestyle=DASHES[dash], linewidth=mark.width * POINT,
        solid_joinstyle="round",
    )  # fmt: skip


def _threads(axes: Axes, mark: Threads, ink: str, dash: str, theme: Theme) -> None:
    opacity = float(np.clip(6 / len(mark.ys), 0.06, 0.8))
    axes.plot(mark.x, mark.ys.T, color=ink, linewidth=0.75 * POINT, alpha=opacity)


def _points(axes: Axes, mark: Points, ink: str, dash: str, theme: Theme) -> None:
    axes.plot(mark.x, mark.y, **_marker(mark, ink, theme, mark.size))


def _marker(mark: Points, ink: str, theme: Theme, size: float) -> dict[str, Any]:
    """Filled shapes have an outline in ink, a thin one where they are small: they keep colour."""
    cross = mark.marker == "cross"
    edge, width = (ink, 1.6) if cross else (theme.ink, min(OUTLINE[0], OUTLINE[1] * size))
    return {
        "linestyle": "none", "marker": SHAPES[mark.marker or "circle"], "markersize": size * POINT,
        "markerfacecolor": ink, "markeredgecolor": edge,
        "markeredgewidth": width * POINT,
    }  # fmt: skip


def _band(axes: Axes, mark: Band, ink: str, dash: str, theme: Theme) -> None:
    axes.fill_between(mark.x, mark.low, mark.high, color=ink, alpha=0.22, linewidth=0)
    for edge in (mark.low, mark.high):
        axes.plot(mark.x, edge, color=ink, linewidth=0.75 * POINT, linestyle=DASHES[dash])


def _intervals(axes: Axes, mark: Intervals, ink: str, dash: str, theme: Theme) -> None:
    axes.vlines(mark.x, mark.low, mark.high, color=ink, linewidth=1.5 * POINT)


def _bars(axes: Axes, mark: Bars, ink: str, dash: str, theme: Theme) -> None:
    axes.bar(
        mark.x, mark.height, mark.width, mark.base, color=ink, edgecolor=theme.ink,
        linewidth=0.8 * POINT,
    )  # fmt: skip
    if mark.numbers_on:
        for x, height, base in zip(mark.x, mark.height, mark.base, strict=True):
            _say(axes, x, base + height, format_number(float(height)), "above", theme)
        axes.margins(y=0.12)


def _surface(axes: Axes, mark: Surface, ink: str, dash: str, theme: Theme) -> None:
    x_low, x_high, y_low, y_high = mark.extent
    if mark.colours != "none":
        image = COLOURS[mark.colours](mark.values, theme)
        axes.imshow(
            image, extent=(x_low, x_high, y_low, y_high), origin="lower", aspect="auto",
            interpolation="bilinear", zorder=0,
        )  # fmt: skip
    rows, columns = mark.values.shape
    places = np.linspace(x_low, x_high, columns), np.linspace(y_low, y_high, rows)
    low, high = np.nanmin(mark.values), np.nanmax(mark.values)
    for place, level in enumerate(mark.levels):
        thick = mark.thick and place == 0
        if low < level < high:
            axes.contour(
                *places, mark.values, [level], colors=[ink], alpha=1.0 if thick else 0.55,
                linewidths=(2.0 if thick else 0.75) * POINT, linestyles=[DASHES[dash]],
            )  # fmt: skip
    axes.set(xlim=(x_low, x_high), ylim=(y_low, y_high))


def _class_colours(values: Any, theme: Theme) -> Any:
    """Class 0 below 1/2 and class 1 above it, fading to paper where both are equally likely."""
    image = np.empty((*values.shape, 4))
    classes = np.array([rgb(theme.class0), rgb(theme.class1)]) / 255
    image[..., :3] = classes[(values > 0.5).astype(int)]
    image[..., 3] = CERTAIN * np.abs(2 * values - 1)
    return image


def _amount_colours(values: Any, theme: Theme) -> Any:
    """From paper, for the least, to note."""
    low, high = np.nanmin(values), np.nanmax(values)
    image = np.empty((*values.shape, 4))
    image[..., :3] = np.array(rgb(theme.note)) / 255
    image[..., 3] = CERTAIN * np.nan_to_num((values - low) / max(high - low, 1e-300))
    return image


COLOURS: dict[str, Callable[[Any, Theme], Any]] = {
    "classes": _class_colours,
    "amount": _amount_colours,
}


def _rule(axes: Axes, mark: Rule, ink: str, dash: str, theme: Theme) -> None:
    style: dict[str, Any] = {
        "color": theme.note,
        "linewidth": POINT,
        "linestyle": DASHES["dashed"],
        "zorder": 1,
    }
    if mark.y is not None:
        axes.axhline(mark.y, **style)
    if mark.x is not None:
        axes.axvline(mark.x, **style)
        axes.annotate(
            mark.label, (mark.x, 1), (3, -2), xycoords=("data", "axes fraction"), va="top",
            textcoords="offset points", color=theme.ink, fontsize=SIZES["note"] * POINT,
        )  # fmt: skip


def _note(axes: Axes, mark: Note, ink: str, dash: str, theme: Theme) -> None:
    _say(axes, mark.x, mark.y, mark.text, mark.anchor, theme)


ANCHORS: dict[str, dict[str, Any]] = {
    "above": {"xytext": (0, 3), "ha": "center", "va": "bottom"},
    "below": {"xytext": (0, -3), "ha": "center", "va": "top"},
    "left": {"xytext": (-6, 0), "ha": "right", "va": "center"},
    "right": {"xytext": (6, 0), "ha": "left", "va": "center"},
    "centre": {"xytext": (0, 0), "ha": "center", "va": "center"},
}


def _say(axes: Axes, x: float, y: float, text: str, anchor: str, theme: Theme) -> None:
    axes.annotate(
        text, (x, y), textcoords="offset points", color=theme.ink, annotation_clip=False,
        fontsize=SIZES["note"] * POINT, zorder=5, **ANCHORS[anchor],
    )  # fmt: skip


DRAWING: dict[type[Mark], Callable[..., None]] = {
    Line: _line,
    Threads: _threads,
    Points: _points,
    Band: _band,
    Intervals: _intervals,
    Bars: _bars,
    Surface: _surface,
    Rule: _rule,
    Note: _note,
}


# ---------------------------------------------------------------------------- labels


class _Label:
    """The words beside a mark, with a sample of it, right of the panel."""

    def __init__(self, axes: Axes, mark: Mark, ink: str, dash: str, theme: Theme) -> None:
        from matplotlib.lines import Line2D

        self.axes = axes
        self.height = _label_height(axes, mark)  # as a part of the panel's
        self.words = axes.text(
            0, 0, mark.label, color=theme.ink, fontsize=SIZES["note"] * POINT, va="center_baseline"
        )
        if isinstance(mark, Points):
            middle = sum(SAMPLE) / 2
            self.sample = Line2D([middle], [0], **_marker(mark, ink, theme, 7.0))
        else:
            wide = {Bars: 8.0, Band: 8.0}.get(type(mark), getattr(mark, "width", 1.0))
            shade = 0.35 if isinstance(mark, Band) else 1.0
            style = DASHES["dashed"] if isinstance(mark, Rule) else DASHES[dash]
            colour = theme.note if isinstance(mark, Rule) else ink
            self.sample = Line2D(
                SAMPLE, [0, 0], color=colour, linestyle=style, linewidth=wide * POINT, alpha=shade,
                solid_capstyle="butt",
            )  # fmt: skip
        self.sample.set_clip_on(False)
        axes.add_artist(self.sample)
        self.words.set_clip_on(False)
        self.place(self.height)

    def place(self, height: float) -> None:
        """Move it to this part of the panel's height."""
        from matplotlib.transforms import Affine2D, ScaledTranslation

        canvas: Any = self.axes.figure
        to_the_panel: Any = self.axes.transAxes
        place = Affine2D().scale(1 / DPI) + canvas.dpi_scale_trans
        place += ScaledTranslation(1.0, height, to_the_panel)
        self.sample.set_transform(place)
        self.words.set_transform(place)
        self.words.set_x(LABEL)


def _label_height(axes: Axes, mark: Mark) -> float:
    """Where on the panel's height, from 0 to 1, a mark ends at its right side."""
    ends: dict[type[Mark], Callable[[Any], Any]] = {
        Line: lambda m: m.y,
        Points: lambda m: m.y[np.argsort(m.x)] if m.x.size else m.y,
        Threads: lambda m: np.nanmedian(m.ys, axis=0),
        Band: lambda m: (m.low + m.high) / 2,
        Intervals: lambda m: (m.low + m.high) / 2,
        Bars: lambda m: m.base + m.height / 2,
        Rule: lambda m: np.array([m.y]),
    }
    low, high = axes.get_ylim()
    heights = ends[type(mark)](mark)
    visible = heights[np.isfinite(heights)]
    end = float(np.clip(visible[-1], low, high)) if visible.size else high
    pixel = axes.transData.transform((0.5 * sum(axes.get_xlim()), end))
    height = float(axes.transAxes.inverted().transform(pixel)[1])
    return height if isfinite(height) else 1.0


def _spread(labels: list[_Label]) -> None:
    """Move labels apart, upwards and downwards alike, in the order of their heights."""
    if not labels:
        return
    whole = labels[0].axes.get_window_extent().height
    order = sorted(labels, key=lambda label: label.height)
    wanted = np.array([label.height * whole for label in order])
    for label, place in zip(order, _apart(wanted, LABEL_STEP, whole), strict=True):
        label.place(place / whole)


def _apart(wanted: Any, step: float, whole: float = np.inf) -> Any:
    """The places nearest to ``wanted``, ascending, ``step`` apart and from 0 to ``whole``.

    Least squares under order constraints: the pool-adjacent-violators algorithm (Ayer et al.
    1955) on what is wanted less the room that the places before it take.

    >>> _apart(np.array([50.0, 50.0, 100.0]), 16.0, 100.0).tolist()
    [42.0, 58.0, 100.0]
    >>> _apart(np.array([95.0, 95.0]), 16.0, 100.0).tolist()
    [84.0, 100.0]
    """
    room = step * np.arange(len(wanted))
    pools: list[list[float]] = []
    for value in wanted - room:
        pools.append([float(value)])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    nearest = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    return np.clip(nearest, 0.0, max(whole - room[-1], 0.0)) + room


# ---------------------------------------------------------------------------- SVG


def _adaptive(svg: str, title: str, description: str, key: str) -> str:
    """Matplotlib's document as one of ours: named, with ids of its own, light or dark."""
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>c{key}-", svg[svg.index("<svg") :])
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.S)
    width, height = (
        float(found) / POINT for found in re.findall(r'(?:width|height)="([\d.]+)pt"', body)[:2]
    )
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    start = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' class="chainrule chart" role="img" aria-labelledby="c{key}-title c{key}-description"'
        f' {view[0] if view else ""} width="{width:g}" height="{height:g}">'
    )
    named = (
        f'\n<title id="c{key}-title">{escape(title)}</title>'
        f'\n<desc id="c{key}-description">{escape(description)}</desc>'
        f"\n<style>{_stylesheet()}</style>"
    )
    return start + named + rest


def _stylesheet() -> str:
    """Rules that replace every colour of the light theme by a variable, where there are any."""
    colours = {getattr(LIGHT, token).lower(): token for token in TOKENS}
    rules = [
        f'.chart [style*="{kind}: {colour}"]{{{kind}:var(--{token})!important}}'
        for colour, token in colours.items()
        for kind in ("fill", "stroke")
    ]
    return variables(rules)
