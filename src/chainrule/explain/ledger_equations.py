"""The sentences of the chain-rule ledger: each an equation with numbers in it.

An equation is text and quantities in turn. Where it has a *rule*, its last quantity is that of the
others: their sum, difference, product or quotient; that is how anybody can check it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.explain.graph_picture import formula
from chainrule.explain.ledger_arithmetic import Arithmetic, Contribution, local_derivative
from chainrule.explain.svg import format_number
from chainrule.explain.symbols import spelled
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import topological_order
from chainrule.ops.build import input as placeholder

RULES = {"add": "sum", "subtract": "difference", "multiply": "product", "divide": "quotient"}
SIGNS = {"sum": "+", "difference": "−", "product": "×", "quotient": "/"}
LISTED = 8  # operands of an operation without a rule that are written out
LONGEST_DERIVATIVE = 40  # characters of a local derivative's formula


@dataclass(frozen=True)
class Quantity:
    """A number in an equation.

    Parameters
    ----------
    value : float
    ink : str
        ``"forward"``, ``"gradient"``, or ``"ink"`` for a local derivative.
    of : str
        Where the scalar is found whose value or gradient it is: the id of its node, and for an
        array, after a dot, its flat index; empty for nowhere.
    """

    value: float
    ink: str
    of: str = ""

    def __str__(self) -> str:
        return format_number(self.value)


@dataclass(frozen=True)
class Equation:
    """Text and quantities in turn.

    Parameters
    ----------
    parts : tuple of (str or Quantity)
    rule : str
        ``"sum"``, ``"difference"``, ``"product"``, ``"quotient"``, or empty.
    """

    parts: tuple[str | Quantity, ...]
    rule: str = ""

    @property
    def quantities(self) -> list[Quantity]:
        """The numbers, in order."""
        return [part for part in self.parts if isinstance(part, Quantity)]

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


@dataclass(frozen=True, eq=False)
class Equations:
    """The equations of every scalar of a graph.

    Parameters
    ----------
    found : Arithmetic
    names : dict of Node to str
        What each node is called in formulas.
    ids : dict of Node to str
        How those nodes are known that have a place of their own.
    """

    found: Arithmetic
    names: Mapping[Node, str]
    ids: Mapping[Node, str]

    @property
    def output(self) -> Node:
        """What all gradients are derivatives of."""
        return self.found.output

    def label(self, node: Node, element: int) -> str:
        """``q``, or ``W[0, 1]`` for an element of an array."""
        if not node.shape:
            return self.names[node]
        shape = self.found.values[node].shape
        index = ", ".join(map(str, np.unravel_index(element, shape)))
        return f"{self.names[node]}[{index}]"

    def value(self, node: Node, element: int) -> Quantity:
        """The forward value of an element."""
        number = float(self.found.values[node].ravel()[element])
        return Quantity(number, "forward", self._place(node, element))

    def gradient(self, node: Node, element: int) -> Quantity:
        """The gradient at an element."""
        number = float(self.found.gradients[node][element])
        return Quantity(number, "gradient", self._place(node, element))

    def _place(self, node: Node, element: int) -> str:
        key = self.ids.get(node, "")
        return f"{key}.{element}" if key and node.shape else key

    # Forwards

    def forward(self, node: Node, element: int) -> Iterator[Equation]:
        """How the value of an element came about."""
        name, value = self.label(node, element), self.value(node, element)
        if node not in self.found.sources:  # a leaf, or given to a part
            yield Equation((f"{name} = ", value))
        elif node.op.kind is Kind.CONTRACTION:
            yield from self._sum_of_products(node, element)
        elif node.op.name == "sum":
            yield self._combined(node, element, "sum")
        elif node.op.name in RULES:
            yield self._combined(node, element, RULES[node.op.name])
        else:
            yield self._applied(node, element)

    def _read(self, node: Node, element: int) -> list[tuple[Node, int]]:
        """The elements that an element was computed from."""
        return [
            (operand, each)
            for operand, by_result in zip(node.operands, self.found.sources[node], strict=True)
            for each in by_result.get(element, ())
        ]

    def _combined(self, node: Node, element: int, rule: str) -> Equation:
        """A sum, difference, product or quotient of all that was read."""
        read = self._read(node, element)
        name, value = self.label(node, element), self.value(node, element)
        spelled = f" {SIGNS[rule]} ".join(self.label(*each) for each in read)
        quantities = [self.value(*each) for each in read]
        return Equation((f"{name} = {spelled} = ", *_joined(quantities, rule), " = ", value), rule)

    def _sum_of_products(self, node: Node, element: int) -> Iterator[Equation]:
        first, second = (by.get(element, []) for by in self.found.sources[node])
        left, right = node.operands
        products = []
        for a, b in zip(first, second, strict=True):
            factors = [self.value(left, a), self.value(right, b)]
            products.append(Quantity(factors[0].value * factors[1].value, "forward"))
            spelled = f"{self.label(left, a)} × {self.label(right, b)} = "
            yield Equation((spelled, *_joined(factors, "product"), " = ", products[-1]), "product")
        name, value = self.label(node, element), self.value(node, element)
        yield Equation((f"{name} = ", *_joined(products, "sum"), " = ", value), "sum")

    def _applied(self, node: Node, element: int) -> Equation:
        read = self._read(node, element)
        name, value = self.label(node, element), self.value(node, element)
        if node.op.kind is Kind.MOVEMENT or not 0 < len(read) <= LISTED:
            moved = f"{self.label(*read[0])} = " if len(read) == 1 else f"{node.op.symbol} "
            return Equation((f"{name} = {moved}", value))
        spelled = formula(node.op.symbol, [self.label(*each) for each in read])
        given = [part for each in read for part in (", ", self.value(*each))][1:]
        return Equation((f"{name} = {spelled}, at ", *given, ": ", value))

    # Backwards

    def backward(self, node: Node, element: int) -> Iterator[Equation]:
        """How the gradient at an element came about: every path, and their sum."""
        if node is self.output:
            yield Equation((f"∂{self.names[node]}/∂{self.names[node]} = ", self.gradient(node, 0)))
            return
        ways, name = self.found.contributions[node][element], self._slope_name(node, element)
        for way in ways:
            yield from self._way(node, element, way)
        if len(ways) > 1:
            products = [Quantity(way.product, "gradient") for way in ways]
            total = self.gradient(node, element)
            yield Equation((f"{name} = ", *_joined(products, "sum"), " = ", total), "sum")
        if not ways:
            yield Equation((f"no path leads here: {name} = ", self.gradient(node, element)))

    def _slope_name(self, node: Node, element: int) -> str:
        return f"∂{self.names[self.output]}/∂{self.label(node, element)}"

    def _way(self, node: Node, element: int, way: Contribution) -> Iterator[Equation]:
        reader, name = self.label(way.reader, way.result), self.label(node, element)
        slope, local = Quantity(way.slope, "ink"), f"∂{reader}/∂{name}"
        spelled = self._derivative(way, element)
        yield Equation((f"{local} = {spelled} = " if spelled else f"{local} = ", slope))
        incoming = self.gradient(way.reader, way.result)
        factors = _joined([incoming, slope], "product")
        product = Quantity(way.product, "gradient")
        yield Equation(
            (f"{self._slope_name(way.reader, way.result)} × {local} = ", *factors, " = ", product),
            "product",
        )

    def _derivative(self, way: Contribution, element: int) -> str:
        """The formula of a local derivative; empty where it is a plain number or too long."""
        reader = way.reader
        if reader.op.kind is Kind.CONTRACTION:
            other = 1 - way.operand
            mine, theirs = (self.found.sources[reader][p][way.result] for p in (way.operand, other))
            return self.label(reader.operands[other], theirs[mine.index(element)])
        if reader.op.kind is not Kind.ELEMENTWISE or reader.op.vjp is not None:
            return ""
        atoms = {reader: self.label(reader, way.result)}
        for operand, by_result in zip(reader.operands, self.found.sources[reader], strict=True):
            atoms[operand] = self.label(operand, by_result[way.result][0])
        derivative = self._derivatives[reader, way.operand]
        if derivative is None or not _is_told(derivative, atoms):
            return ""
        return spelled(derivative, atoms, LONGEST_DERIVATIVE)

    @cached_property
    def _derivatives(self) -> dict[tuple[Node, int], Node | None]:
        """The local derivatives of elementwise nodes that are more than plain numbers."""
        return {
            (node, place): local_derivative(node, place, placeholder(node.shape, node.dtype))
            if callable(partial)
            else None
            for node in self.found.order
            if node.op.kind is Kind.ELEMENTWISE
            for place, partial in enumerate(node.op.partials)
        }


def _joined(quantities: Sequence[Quantity], rule: str) -> list[str | Quantity]:
    """Quantities with the sign of a rule between them; negative ones behind it in brackets."""
    parts: list[str | Quantity] = [quantities[0]] if quantities else []
    for each in quantities[1:]:
        negative = np.signbit(each.value)
        parts += [f" {SIGNS[rule]} {'(' * bool(negative)}", each, *([")"] if negative else [])]
    return parts


def _is_told(derivative: Node, atoms: Mapping[Node, str]) -> bool:
    """Whether a derivative is a formula of named nodes and plain numbers."""
    return all(
        each in atoms or each.operands or (each.payload is not None and each.payload.ndim == 0)
        for each in topological_order([derivative], atoms)
    )
