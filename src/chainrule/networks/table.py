"""A network as a table."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.networks.architecture import Architecture, count_of, kind_of
from chainrule.nn.base import InputShape


def summary(architecture: Architecture, members: int | None) -> str:
    """One line a layer: its name, its kind, the shape of its output, its parameters."""
    rows = [("layer", "kind", "output", "parameters")]
    for layer, shape in zip(architecture.layers, architecture.shapes, strict=True):
        rows.append((str(layer.name), kind_of(layer), _extents(shape), f"{count_of(layer):,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    head, *lines = [_aligned(row, widths) for row in rows]
    rule = "-" * len(head)
    each = f" in each of {members} members" if members else ""
    total = f"{architecture.n_parameters:,} parameters, {architecture.dtype.name}{each}"
    return "\n".join([head, rule, *lines, rule, total])


def _extents(shape: InputShape) -> str:
    return "?" if shape is None else " x ".join(["rows", *map(str, shape)])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    *texts, number = row
    cells = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
    return "  ".join([*cells, number.rjust(widths[-1])])
