"""How many times faster, by width and batch: a picture, and a table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalogue import BATCHES, WIDTHS, cell_name, is_peer
from benchmarks.report import NONE, table

LEAST, MOST = 0.25, 16.0  # times, where the colours end; 1 is between them in the middle


def grid_ratios(cases: Mapping[str, Any]) -> Any:
    """(batches, widths): the fastest peer's time by ours; NaN where there is none."""
    found = np.full((len(BATCHES), len(WIDTHS)), np.nan)
    for row, batch in enumerate(BATCHES):
        for column, width in enumerate(WIDTHS):
            case = cases.get(cell_name(width, batch), {})
            times = [each.get("times ours") for label, each in case.items() if is_peer(label)]
            found[row, column] = min(filter(None, times), default=np.nan)
    return found


def grid_table(ratios: Any) -> str:
    """Widths below one another, batches side by side."""
    head = ("width", *(f"batch {batch}" for batch in BATCHES))
    rows = [
        [str(width), *(NONE if np.isnan(x) else f"{x:.3g}" for x in column)]
        for width, column in zip(WIDTHS, ratios.T, strict=True)
    ]
    return table(head, rows)


def section(work: Any, ratios: Any) -> str:
    """The picture and the table."""
    how = f"`python -m benchmarks grid`, median of {work['rounds']} rounds, {work['date']}"
    picture = "![times faster than the fastest peer, by width and batch](benchmarks.svg)"
    return "\n\n".join(
        [f"### {work['title']}", f"{how}, {work['machine']}.", picture, grid_table(ratios) + "\n"]
    )


def draw(ratios: Any, path: Path) -> None:
    """Write the picture: blue where we are faster, red where we are slower."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = path.name
    from matplotlib import pyplot
    from matplotlib.colors import TwoSlopeNorm

    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    norm = TwoSlopeNorm(0, np.log2(LEAST), np.log2(MOST))
    image = axes.imshow(
        np.ma.log2(np.ma.masked_invalid(ratios)), cmap="RdBu", norm=norm, aspect="auto"
    )
    axes.set_xticks(range(len(WIDTHS)), WIDTHS)
    axes.set_yticks(range(len(BATCHES)), BATCHES)
    axes.set(xlabel="units of each of two hidden layers", ylabel="rows a batch")
    for (row, column), ratio in np.ndenumerate(ratios):
        if np.isnan(ratio):
            continue
        dark = ratio > MOST / 2 or ratio < 2 * LEAST
        axes.text(
            column, row, f"{ratio:.2g}", ha="center", va="center",
            color="white" if dark else "black",
        )  # fmt: skip
    bar = figure.colorbar(image, label="times faster than the fastest peer")
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
    bar.set_ticks(np.log2(ticks), labels=[f"{tick:g}" for tick in ticks])
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
