"""One page of HTML about a training: it needs no other file, and runs no script."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.cli.judging import (
    SHUFFLED_COLUMNS,
    Judged,
    calibration,
    importances,
    judged,
    worst,
)
from chainrule.cli.learn import score_table
from chainrule.data.cells import printable
from chainrule.errors import missing_extra

if TYPE_CHECKING:
    from chainrule.cli.learn import Learned, Work
    from chainrule.explain import Chart
    from chainrule.training import History

MOST_CLASSES = 20  # whose confusions are shown
MOST_POINTS = 2000
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}
th,td{padding:.15rem .75rem .15rem 0;text-align:left;vertical-align:top}
td+td.n,th.n{text-align:right}thead th{border-bottom:1px solid currentColor}
img{max-width:100%;background:#fff}pre{white-space:pre-wrap;overflow-wrap:anywhere}
meter{width:12rem}.scroll{overflow-x:auto}.scroll td:first-child{white-space:nowrap}
"""


def require_pictures() -> None:
    """Refuse, before any work is done, what could not be drawn.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise missing_extra("--report", "plots")


def report(
    work: Work,
    learned: Learned,
    facts: Iterable[tuple[str, str]],
    command: str,
    seed: int,
) -> str:
    """The page.

    Parameters
    ----------
    work : Work
    learned : Learned
    facts : pairs of text
        What was said of the training.
    command : str
        What does the same again.
    seed : int
        Of the permutations.
    """
    found = judged(work, learned.model)
    history = learned.model.network.history
    title = f"{work.task.capitalize()} of {work.column.name}"
    of = "test" if len(work.test) else "training"
    ends = _classes(found, of) if found.classes else _numbers(found, of)
    drops = importances(work, learned.model, seed)
    sections = [
        ("", _table([], facts)),
        ("Scores", _scores(learned)),
        ("What the doctor says", _list(map(str, learned.findings))),
        ("Columns", _table(["column", "kind", "note"], _columns(work))),
        ("Training", _curves(history)),
        *ends,
        (f"What each column is worth, on {of} rows", _importance(drops, len(work.schema.used))),
        (f"The {of} rows that it gets most wrong", _worst(work, found)),
        ("The same again", f"<pre>{_text(command)}</pre>"),
    ]
    body = "".join(_section(head, content) for head, content in sections if content)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}'
        f"</title><style>{STYLE}</style></head><body><h1>{_text(title)}</h1>{body}</body></html>\n"
    )


# Parts of a page


def _text(value: object) -> str:
    """Text as HTML shows it; nothing in it is markup, or a sign that cannot be seen."""
    return html.escape(printable(str(value)))


def _section(head: str, content: str) -> str:
    return (f"<h2>{_text(head)}</h2>" if head else "") + content


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers are flush right."""
    lines = [
        "".join(
            f'<td class="n">{cell:.4g}</td>'
            if isinstance(cell, float)
            else f"<td>{_text(cell)}</td>"
            for cell in row
        )
        for row in rows
    ]
    top = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""


def _picture(chart: Chart) -> str:
    """A chart, as an image inside the page."""
    data = base64.b64encode(chart.svg().encode()).decode()
    return f'<p><img alt="{_text(chart.describe())}" src="data:image/svg+xml;base64,{data}"></p>'


# What the page says


def _scores(learned: Learned) -> str:
    head, *rows = score_table(learned.scores, lambda value: f"{value:.4g}", learned.errors)
    return _table(head, rows) if rows else ""


def _columns(work: Work) -> list[tuple[str, str, str]]:
    return [(column.name, column.kind, column.note) for column in work.schema.columns]


def _curves(history: History | None) -> str:
    from chainrule.explain import loss_curves

    return _picture(loss_curves(history)) if history is not None and history.epochs else ""


def _classes(found: Judged, of: str) -> list[tuple[str, str]]:
    names, counts = found.classes, np.zeros((len(found.classes),) * 2, int)
    np.add.at(counts, (found.truth, found.codes), 1)
    rows = [[f"actual {name}", *map(str, row)] for name, row in zip(names, counts, strict=True)]
    few = len(names) <= MOST_CLASSES
    confusion = _table(["", *[f"predicted {name}" for name in names]], rows) if few else ""
    return [(f"Confusion, {of} rows", confusion), (f"Calibration, {of} rows", _calibration(found))]


def _calibration(found: Judged) -> str:
    from chainrule.explain import Chart, Line, Panel, Points

    sure, right = calibration(found)
    panel = Panel(
        Line([0, 1], [0, 1], dash="dashed", label="as sure as right"),
        Points(sure, right),
        x="probability of the predicted class",
        y="share of rows that are right",
    )
    return _picture(Chart(panel, title="How sure it is, and how often it is right"))


def _numbers(found: Judged, of: str) -> list[tuple[str, str]]:
    from chainrule.explain import Chart, Line, Panel, Points, Rule

    step = -(-len(found.truth) // MOST_POINTS)
    predicted, actual = found.predicted[::step], found.truth[::step]
    ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
    same = Line(ends, ends, dash="dashed")
    points = [Points(predicted, y, size=4.0) for y in (actual, actual - predicted)]
    chart = Chart(
        Panel(same, points[0], x="predicted", y="actual"),
        Panel(Rule(y=0.0), points[1], x="predicted", y="actual − predicted"),
        title="Each row a point",
    )
    return [(f"Predictions and residuals, {of} rows", _picture(chart))]


def _importance(drops: Mapping[str, float], used: int) -> str:
    """A bar for each column: how much worse the score gets without it."""
    if not drops:
        return ""
    most = max(*drops.values(), 0.0) or 1.0
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td><meter max='{most:.6g}' value='{max(drop, 0.0):.6g}'>"
        f"</meter></td><td class='n'>{drop:.4g}</td></tr>"
        for name, drop in drops.items()
    )
    some = f" (The first {SHUFFLED_COLUMNS} of {used:,} columns.)" if used > len(drops) else ""
    said = f"How much the error grows when a column is shuffled.{some}"
    return f"<p>{said}</p><table>{rows}</table>"


def _worst(work: Work, found: Judged) -> str:
    rows = worst(found)
    names = [column.name for column in work.schema.used]
    frame = work.frame.rows(found.rows[rows])
    columns = [np.where(frame[n].missing, "", frame[n].as_texts()) for n in names]
    places = [frame.place(row).rpartition(", ")[2] for row in range(len(frame))]
    lines = [
        [
            place,
            found.say_truth(row),
            found.say_prediction(row),
            *[column[at] for column in columns],
        ]
        for at, (place, row) in enumerate(zip(places, rows, strict=True))
    ]
    return _table(["row", "actual", "predicted", *names], lines)
