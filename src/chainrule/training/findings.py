"""What the doctor has to say: what is wrong, where, why, and the one thing to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chainrule.records import dataclass

CONSTANT_TARGET: Final = "constant target"
LEAKING_TARGET: Final = "leaking target"
UNSCALED: Final = "unscaled columns"
DEAD: Final = "dead units"
VANISHING: Final = "vanishing gradients"
EXPLODING: Final = "exploding gradients"
DIVERGENCE: Final = "divergence"
KINDS: Final = (
    CONSTANT_TARGET, LEAKING_TARGET, UNSCALED, DEAD, VANISHING, EXPLODING, DIVERGENCE,
)  # fmt: skip

SHOWN = 5  # rows, columns or units that are written out


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a network from learning.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    what : str
        What was seen, with its numbers.
    cause : str
        The likely cause.
    change : str
        What to try.
    layer : str or None
        The name of the layer where it was seen.
    operation : str or None
        The operation, as records call it.
    rows, columns, units : tuple of int
        The rows and columns of the features, and the layer's units, as far as they are known.

    Examples
    --------
    >>> print(Finding("dead units", "3 of 4 units of 'relu' give 0", "a large step", "a small one"))
    dead units: 3 of 4 units of 'relu' give 0; likely cause: a large step; try a small one
    """

    kind: str
    what: str
    cause: str
    change: str
    layer: str | None = None
    operation: str | None = None
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    units: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}; likely cause: {self.cause}; try {self.change}"


def listed(noun: str, items: Sequence[object]) -> str:
    """A noun and what it counts, the first few of them.

    >>> listed("row", [3]), listed("row", range(9))
    ('row 3', 'rows 0, 1, 2, 3, 4 and 4 more')
    """
    shown = ", ".join(map(str, items[:SHOWN]))
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return f"{noun}{'s' if len(items) != 1 else ''} {shown}{more}"
