"""Large graphs, folded: blocks of operations in place of nodes, each of which can be opened.

A block is a stretch of the topological order, so that blocks feed only those behind them. Where
parameters are called after their layers (``first.W``), a block ends where another layer begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from chainrule.errors import unknown_name
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.terminal import Colour

MOST_DRAWN = 300  # nodes of a drawing: they are laid out in a fraction of a second
BLOCKS = 8  # of a folded drawing, about: as many as can be read on a slide


@dataclass(frozen=True)
class FoldedPicture(GraphPicture):
    """The blocks of a large graph; ``opened("block 3")`` shows the nodes of one.

    Parameters
    ----------
    whole : GraphPicture
        What is folded.

    Examples
    --------
    >>> import chainrule as cr
    >>> f = cr.variable(0.5, name="x")
    >>> for _ in range(400):
    ...     f = cr.sin(f)
    >>> picture = cr.explain.circuit(f)
    >>> print(picture.describe())
    401 nodes, folded into 8 blocks; opened('block 1') shows the first.
    >>> len(picture.opened("block 2").records)
    52
    """

    whole: GraphPicture = field(kw_only=True)

    @cached_property
    def blocks(self) -> dict[str, tuple[Record, ...]]:
        """The nodes of each block, by its name."""
        return dict(_blocks(self.whole))

    def opened(self, name: str) -> GraphPicture:
        """The nodes of one block, and what they read as if it were given.

        Raises
        ------
        UnknownNameError
            If there is no such block.
        """
        if name not in self.blocks:
            raise unknown_name("block", name, self.blocks)
        inside = self.blocks[name]
        ids = {record.id for record in inside}
        read = {operand for record in inside for operand in record.operands} - ids
        given = [self.whole.named(r.id, operands=()) for r in self.whole.records if r.id in read]
        title = " · ".join(filter(None, (self.whole.title, name)))
        records = (*given, *(self.whole.named(record.id) for record in inside))
        return folded(GraphPicture(records, title))

    def describe(self) -> str:
        """How many nodes there are, and how to see them."""
        first = next(iter(self.blocks))
        return (
            f"{len(self.whole.records):,} nodes, folded into {len(self.blocks)} blocks;"
            f" opened({first!r}) shows the first."
        )

    def text(self, colour: Colour = "none") -> str:
        """The blocks as a table, and how to open one."""
        return f"{super().text(colour)}\n{self.describe()}"


def folded(picture: GraphPicture) -> GraphPicture:
    """The picture itself, or its blocks if it has more than MOST_DRAWN nodes."""
    if len(picture.records) <= MOST_DRAWN:
        return picture
    blocks = dict(_blocks(picture))
    block_of = {record.id: name for name, inside in blocks.items() for record in inside}
    readers = {(operand, block_of[r.id]) for r in picture.records for operand in r.operands}
    leaving = {operand for operand, reader in readers if block_of[operand] != reader}
    leaving.add(picture.records[-1].id)
    records = [_folded(name, inside, block_of, leaving) for name, inside in blocks.items()]
    title = f"{picture.title} ({len(block_of):,} nodes, folded)".strip()
    return FoldedPicture(tuple(records), title, whole=picture)


def _folded(
    name: str, inside: Sequence[Record], block_of: dict[str, str], leaving: set[str]
) -> Record:
    """A block as one node: with value and gradient where a single number leaves it."""
    operands = dict.fromkeys(block_of[operand] for record in inside for operand in record.operands)
    given = [record for record in inside if record.id in leaving]
    alone = given[0] if len(given) == 1 else Record("")
    count = sum(bool(record.operands) for record in inside)
    return Record(
        name, f"{count:,} operations", name, tuple(block for block in operands if block != name),
        alone.value, alone.gradient,
    )  # fmt: skip


def _blocks(picture: GraphPicture) -> Iterator[tuple[str, tuple[Record, ...]]]:
    """Names of blocks, and their records: by layer if there are a few, else of equal size."""
    records, layers = picture.records, list(_layers(picture.records))
    starts = [k for k, layer in enumerate(layers) if k == 0 or layer != layers[k - 1]]
    names = [layers[start] for start in starts]
    if not 1 < len(starts) <= 2 * BLOCKS or len(set(names)) < len(names):
        size = -(-len(records) // BLOCKS)
        starts = list(range(0, len(records), size))
        names = [f"block {k}" for k in range(1, len(starts) + 1)]
    for name, start, end in zip(names, starts, [*starts[1:], len(records)], strict=True):
        yield name, records[start:end]


def _layers(records: Sequence[Record]) -> Iterator[str]:
    """The layer of each record: that of the parameter read last, before any the first one's."""
    layers = [record.name.partition(".")[0] if "." in record.name else "" for record in records]
    current = next(filter(None, layers), "")
    for layer in layers:
        current = layer or current
        yield current
