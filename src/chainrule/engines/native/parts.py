"""Parts of a matrix product, for threads that share it: where it is cut, and what comes before.

A product of fewer rows than columns is cut by columns: every part lays out its own panels of B, and
reads the smaller A as it lies. One of more rows is cut by rows; a large B is then laid out first,
by all threads together. So no work is done twice, and parts can be several for each thread: who is
faster takes more of them. A small B is laid out by every thread for itself, in a part for each.
"""

from __future__ import annotations

from dataclasses import replace

from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.interleaving import PRODUCT
from chainrule.engines.native.parallel import MAXIMUM_CHUNKS
from chainrule.engines.native.products import Bounds
from chainrule.engines.native.schedule import Group, GroupKind, row_sums
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.sizes import Size, extent_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import (
    FEW_ROWS,
    ProductSpec,
    is_blocked,
    panel_count,
    plan,
)
from chainrule.records import dataclass

CHUNKS = 4  # for each thread
CHUNK_WORTH = 500_000  # operations of a chunk, at least, beyond one for each thread
COMMON_BYTES = 400_000  # of B, from which laying it out twice costs more than a phase of its own
FEW_TILES = 8  # of rows: so few are not cut
FEWEST_PANELS = 4  # to be cut instead


@dataclass(frozen=True)
class Parts:
    """How a product is cut.

    Attributes
    ----------
    spec : ProductSpec
    rows : Size
        Of the product.
    panels : int
        Of its second operand.
    by_panels : bool
        Whether it is cut by columns, and not by rows.
    unit : int
        What is not cut: so many rows, or panels.
    each : int
        How many parts there may be for a thread.
    """

    spec: ProductSpec
    rows: Size
    panels: int
    by_panels: bool
    unit: int
    each: int

    def alike(self, target: Target) -> bool:
        """Whether groups of a phase would be cut like this: by rows, each part for itself."""
        return not is_blocked(self.spec, target) or (not self.by_panels and self.each == 1)

    def bounds(self, emit: Emitter, share: Share) -> tuple[Bounds, Bounds]:
        """The rows and panels of one part."""
        part = share.part(emit, self._extent(emit), self.unit)
        return (None, part) if self.by_panels else (part, None)

    def count(self, emit: Emitter, threads: str) -> str:
        """How many parts there are, for so many threads: i64."""
        units = emit.integer("add", self._extent(emit), str(self.unit - 1))
        units = emit.integer("sdiv", units, str(self.unit))
        k = "%rows" if self.spec.k is None else str(self.spec.k)
        work = emit.integer(
            "mul", emit.integer("mul", self.rows.emit(emit), k), str(2 * self.spec.n)
        )
        worth = emit.integer("smax", emit.integer("sdiv", work, str(CHUNK_WORTH)), threads)
        most = emit.integer("mul", threads, str(self.each))
        for limit in (units, worth, str(MAXIMUM_CHUNKS)):
            most = emit.integer("smin", most, limit)
        return emit.integer("smax", most, "1")

    def common_count(self, emit: Emitter, threads: str) -> str:
        """Into how many parts the laying out of B is cut: i64."""
        most = emit.integer("mul", threads, str(CHUNKS))
        return emit.integer("smin", most, str(min(self.panels, MAXIMUM_CHUNKS)))

    def _extent(self, emit: Emitter) -> str:
        return str(self.panels) if self.by_panels else self.rows.emit(emit)


def parts_of(group: Group, target: Target, batch: int | None, rows: int) -> Parts | None:
    """How a group is cut, if it is one matrix product.

    Parameters
    ----------
    group : Group
    target : Target
    batch : int or None
        Rows of a batch; None if not known.
    rows : int
        Of a usual batch.
    """
    if group.kind is not GroupKind.PRODUCT or len(group.space) > 2 or group.nodes[0].op is PRODUCT:
        return None
    spec, height = product_spec(group, batch), extent_size(group.space[-2])
    known = rows if height.of_rows else height.number
    panels, blocked = panel_count(spec, target), is_blocked(spec, target)
    by_panels = not row_sums(group) and _by_panels(spec, known, target)
    large = (spec.k or rows) * spec.n * spec.dtype.itemsize > COMMON_BYTES
    common = blocked and large and not by_panels
    unit = 1 if by_panels else plan(spec, target).tile.rows
    each = CHUNKS if by_panels or common or not blocked else 1
    return Parts(replace(spec, common=common), height, panels, by_panels, unit, each)


def _by_panels(spec: ProductSpec, rows: int, target: Target) -> bool:
    chosen = plan(spec, target)
    if rows < FEW_TILES * chosen.tile.rows:
        return True
    plain = is_blocked(spec, target) and not chosen.pack_a
    return plain and rows <= spec.n and panel_count(spec, target) >= FEWEST_PANELS


def product_spec(group: Group, batch: int | None) -> ProductSpec:
    """The matrix product of a group."""
    product, (rows, columns) = group.nodes[0], (extent_size(x) for x in group.space[-2:])
    a, flags = product.operands[0], product.attributes
    inner = extent_size(a.shape[-2] if flags["transpose_a"] else a.shape[-1])
    usual = (batch or 0) if rows.of_rows else 0
    return ProductSpec(
        product.dtype,
        None if rows.of_rows else rows.number,
        columns.number,
        None if inner.of_rows else inner.number,
        flags["transpose_a"],
        flags["transpose_b"],
        few=usual if usual <= FEW_ROWS else 0,
    )
