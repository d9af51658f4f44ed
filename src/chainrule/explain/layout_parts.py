"""The parts of a layered layout, as plain data: what is placed, and where it went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A box of at least ``width`` x ``height``, with room for captions above and below it.

    ``floating`` sources stand directly before their first reader instead of at the far left, and
    so do those whose first reader is too far away to follow the wire with the eye.
    """

    id: str
    width: float
    height: float
    caption_width: float = 0.0
    caption_height: float = 0.0
    floating: bool = False


@dataclass(frozen=True)
class Edge:
    """A wire from ``source`` into port ``operand`` (0 on top) of ``target``, with its labels."""

    source: str
    target: str
    operand: int
    above: str = ""
    below: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle by its left upper corner; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle point."""
        return self.x + self.width / 2, self.y + self.height / 2

    def meets(self, other: Box) -> bool:
        """Whether the interiors of the two boxes intersect.

        >>> Box(0, 0, 2, 2).meets(Box(1, 1, 2, 2)), Box(0, 0, 2, 2).meets(Box(2, 0, 2, 2))
        (True, False)
        """
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(frozen=True)
class Wire:
    """The course of an edge and the boxes of its labels; an empty label has no width.

    ``knots`` alternate: a level stretch from each even one to the next, a bend from each odd one.
    """

    edge: Edge
    knots: tuple[tuple[float, float], ...]
    above: Box
    below: Box


@dataclass(frozen=True)
class Layout:
    """The rectangle of every node and the course of every wire, inside ``width`` x ``height``."""

    width: float
    height: float
    boxes: dict[str, Box]
    wires: tuple[Wire, ...]
