"""A computation graph as plain data: drawn as SVG, or written as a table for the terminal.

An adapter turns nodes of the language into records; nothing here knows what a node is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

from chainrule.errors import GraphError
from chainrule.explain.figure import Figure
from chainrule.explain.graph_drawing import EdgeMark, NodeMark, draw_graph, summed
from chainrule.explain.palette import TERMINAL_INKS
from chainrule.explain.terminal import Colour, painted

OPERATOR_SIGNS = "+−-×*÷/@^"
PLACEHOLDER = re.compile(r"(?<![^\W_])x(?![^\W_])")  # the x of "1/x", not that of "exp"


@dataclass(frozen=True)
class Record:
    """One node of a graph, as text.

    Parameters
    ----------
    id : str
        Unique in its graph.
    symbol : str
        What stands in the gate: ``"+"``, ``"max"``, ``"1/x"``, ``"+1"``; empty for leaves.
    name : str
        The name a person gave; empty for plain numbers and unnamed results.
    operands : tuple of str
        Ids, in order; the same id may appear twice. Empty for leaves.
    value, gradient : str
        Finished text, for example by ``format_number``; empty where there is none.
    operand_gradients : tuple of str
        What the gradient sends back to each operand. Leave it empty where every node is read
        once: a wire then carries the gradient of its source.
    """

    id: str
    symbol: str = ""
    name: str = ""
    operands: tuple[str, ...] = ()
    value: str = ""
    gradient: str = ""
    operand_gradients: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphPicture(Figure):
    """The picture of one graph: ``svg()``, ``text()``, and what a notebook shows.

    Parameters
    ----------
    records : tuple of Record
        In topological order: operands before their readers.
    title : str
        One line, drawn above the graph.

    Raises
    ------
    GraphError
        A record reads something that does not stand before it.

    Examples
    --------
    >>> picture = GraphPicture(
    ...     (
    ...         Record("1", name="x", value="3", gradient="6"),
    ...         Record("2", "×", "y", ("1", "1"), "9", "1", operand_gradients=("3", "3")),
    ...     )
    ... )
    >>> print(picture.text())
    node  formula    value   gradient
    x                    3  3 + 3 = 6
    y     y = x × x      9          1
    """

    records: tuple[Record, ...]
    title: str = ""

    def __post_init__(self) -> None:
        known: set[str] = set()
        for record in self.records:
            for operand in record.operands:
                if operand not in known:
                    raise GraphError(
                        f"record {record.id!r} reads {operand!r}, which does not stand before it;"
                        " list operands before their readers"
                    )
            known.add(record.id)

    def svg(self) -> str:
        """The graph as an SVG document; see ``draw_graph``."""
        marks = [
            NodeMark(r.id, r.symbol, r.name, r.value, r.gradient, self.formulas.get(r.id, ""))
            for r in self.records
        ]
        edges = [edge for record in self.records for edge in self._edges(record)]
        return draw_graph(marks, edges, title=self.title, description=self.describe())

    @property
    def width(self) -> float:
        """Of the drawing, in CSS pixels."""
        return float(self.svg().partition(' width="')[2].partition('"')[0])

    @property
    def data(self) -> dict[str, Any]:
        """The records, as dicts of text."""
        return {"title": self.title, "nodes": [asdict(record) for record in self.records]}

    def describe(self) -> str:
        """One sentence in words, for those who do not see the picture."""
        gates = sum(bool(record.operands) for record in self.records)
        read = {operand for record in self.records for operand in record.operands}
        results = [
            f"{self.names[r.id]} = {r.value}" if r.value else self.names[r.id]
            for r in self.records
            if r.id not in read
        ]
        count = "1 operation" if gates == 1 else f"{gates} operations"
        return f"A computation graph of {count} with the result {', '.join(results)}."

    def text(self, colour: Colour = "none") -> str:
        """A table, one line per node in topological order; plain numbers stand in the formulas.

        Where several wires leave a node, the gradients that they bring back are added up.
        """
        rows = [("node", "formula", "value", "gradient")]
        rows += [
            (self.names[r.id], self.formulas.get(r.id, ""), r.value, self._spelled(r))
            for r in self.records
            if r.operands or r.name or len(self.records) == 1
        ]
        return _table([tuple(map(_visible, row)) for row in rows], colour)

    @cached_property
    def _by_id(self) -> dict[str, Record]:
        return {record.id: record for record in self.records}

    @cached_property
    def _uses(self) -> dict[str, int]:
        uses = dict.fromkeys(self._by_id, 0)
        for record in self.records:
            for operand in record.operands:
                uses[operand] += 1
        return uses

    @cached_property
    def names(self) -> dict[str, str]:
        """What each node is called in formulas; unnamed results are numbered t1, t2, ..."""
        taken = {record.name for record in self.records}
        fresh = (name for name in map("t{}".format, range(1, 10**9)) if name not in taken)
        return {
            r.id: r.name or (next(fresh) if r.operands else r.value or r.symbol)
            for r in self.records
        }

    @cached_property
    def formulas(self) -> dict[str, str]:
        return {
            r.id: f"{self.names[r.id]} = {formula(r.symbol, [self.names[o] for o in r.operands])}"
            for r in self.records
            if r.operands
        }

    def named(self, id: str, **changes: Any) -> Record:
        """A record with the name that it has in formulas, and other changes."""
        record = self._by_id[id]
        name = self.names[id] if record.operands else record.name
        return replace(record, name=name, **changes)

    def _spelled(self, record: Record) -> str:
        """The gradient of a record, as a sum where it is one."""
        parts = [edge.gradient for edge in self._edges_from[record.id]]
        return summed(parts, record.gradient) or record.gradient

    @cached_property
    def _edges_from(self) -> dict[str, list[EdgeMark]]:
        found: dict[str, list[EdgeMark]] = {record.id: [] for record in self.records}
        for record in self.records:
            for edge in self._edges(record):
                found[edge.source].append(edge)
        return found

    def _edges(self, record: Record) -> Iterator[EdgeMark]:
        for place, operand in enumerate(record.operands):
            source = self._by_id[operand]
            gradient = source.gradient if self._uses[operand] == 1 else ""
            if record.operand_gradients:
                gradient = record.operand_gradients[place]
            yield EdgeMark(operand, record.id, place, source.value, gradient)


def formula(symbol: str, operands: Sequence[str]) -> str:
    """How an operation on named operands is written.

    >>> [formula("+", ["x", "y"]), formula("max", ["x", "y"]), formula("exp", ["x"])]
    ['x + y', 'max(x, y)', 'exp(x)']
    >>> [formula("1/x", ["q"]), formula("+1", ["q"]), formula("−", ["q"])]
    ['1/q', 'q + 1', '−q']
    """
    first, *others = operands
    if others and all(sign in OPERATOR_SIGNS for sign in symbol):
        return f" {symbol} ".join(operands)
    if others or (symbol[:1].isalpha() and not PLACEHOLDER.search(symbol)):
        return f"{symbol}({', '.join(operands)})"
    if PLACEHOLDER.search(symbol):
        return PLACEHOLDER.sub(lambda _: first, symbol)
    if len(symbol) > 1 and symbol[0] in OPERATOR_SIGNS:
        return f"{first} {symbol[0]} {symbol[1:]}"
    return f"{symbol}{first}" if symbol in OPERATOR_SIGNS else f"{symbol}({first})"


def _visible(cell: str) -> str:
    """``cell`` without line breaks and without characters that steer a terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in cell)


def _table(rows: Sequence[tuple[str, ...]], colour: Colour) -> str:
    """Columns of equal width; the numbers of the last two are flush right, in their inks."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [f"{{:{side}{width}}}" for side, width in zip("<<>>", widths, strict=True)]
    padded = [[cell.format(text) for cell, text in zip(cells, row, strict=True)] for row in rows]
    inks = [["note"] * len(widths), *[["", "", "forward", "gradient"]] * (len(rows) - 1)]
    return "\n".join(
        "  ".join(map(partial(_inked, colour=colour), row, line)).rstrip()
        for row, line in zip(padded, inks, strict=True)
    )


def _inked(text: str, ink: str, colour: Colour) -> str:
    return painted(text, TERMINAL_INKS[ink], colour) if ink else text
