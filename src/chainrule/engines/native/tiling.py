"""Plans of matrix products, from shapes and target alone: tiles, blocks, what is packed."""

from __future__ import annotations

from functools import lru_cache

from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.kernels import Tile, accumulator_budget
from chainrule.engines.native.packing import panel_elements
from chainrule.engines.native.target import Target
from chainrule.records import dataclass
from chainrule.shapes import Dtype

SMALL_BYTES = 64 * 1024  # of B: its panels stay near, laying them out costs more than it saves
SMALL_ELEMENTS = 16384  # of C, where the inner size is known at run time
TALLEST_TILE = 16
USUAL_ROWS = (
    8  # height of tiles for a number of rows known at run time: what batches are multiples of
)
TYPICAL_ROWS = 64  # taken for the number of rows when tiles are chosen, if it is not known
ALIGNMENT = 64  # bytes
BLOCK_BYTES = 264 * 512 * 4  # of A in a block: half a MiB of cache; twice that where not packed
BLOCK_INNER = 512
GROUP_BYTES = 128 * 4  # of a line of B that is packed with others, and handed over in one run
WAYS = 8  # lines of the nearest cache that a power of two apart can be: so many rows are read
FEW_PANELS = 2  # of B: so few do not pay for laying out an A that lies transposed
FEW_ROWS = 8  # of A: so few do not pay for laying B out
WIDEST_STREAM = 8  # vectors of a tile, where B is read as it lies
STREAMED_STEPS = 16  # of the inner axis at a time: as many streams as processors foresee


@dataclass(frozen=True)
class ProductSpec:
    """C = op(A) op(B), for matrices that lie row by row.

    Attributes
    ----------
    dtype : dtype
        float32 or float64.
    m : int or None
        Rows of C; None if known at run time.
    n : int
        Columns of C.
    k : int or None
        Length of the inner axis; None if known at run time. At most one of m and k is None.
    transpose_a : bool
        Whether A lies as (k, m) instead of (m, k).
    transpose_b : bool
        Whether B lies as (n, k) instead of (k, n).
    lda, ldb : int or None
        Elements from one stored row to the next; None if the rows follow each other.
    few : int >= 0
        The usual number of rows of A, if it is known at run time and small; else 0.
    common : bool
        Whether several threads share it by rows: then B is laid out once, by all of them.
    """

    dtype: Dtype
    m: int | None
    n: int
    k: int | None
    transpose_a: bool = False
    transpose_b: bool = False
    lda: int | None = None
    ldb: int | None = None
    few: int = 0
    common: bool = False


@dataclass(frozen=True)
class Narrow:
    """The last columns of a product, where they are few: `narrow` says how they are computed.

    Attributes
    ----------
    columns : int
        How many; less than a vector has lanes.
    """

    columns: int

    def vectors(self, tile: Tile) -> int:
        """How many vectors the rows of a tile take."""
        return ceil_div(tile.rows, tile.type.lanes)

    def reach(self, tile: Tile) -> int:
        """The rows of a tile in whole vectors, in elements."""
        return self.vectors(tile) * tile.type.lanes

    def elements(self, tile: Tile, rows: int) -> int:
        """Room for the sums of so many rows."""
        return ceil_div(rows, tile.rows) * self.columns * self.reach(tile)


@dataclass(frozen=True)
class Plan:
    """How a product is computed on a target.

    Attributes
    ----------
    tile : Tile
        What is kept in registers at once; ``tile.columns`` is the width of a panel.
    small : bool
        Whether it runs from memory as it is, tile by tile.
    pack_a, pack_b : bool
        Whether A and B are laid out in panels.
    streamed : bool
        Whether B is large and read once, as it lies, for a few rows of A.
    """

    tile: Tile
    small: bool
    pack_a: bool
    pack_b: bool
    streamed: bool = False


@lru_cache(maxsize=1024)
def plan(spec: ProductSpec, target: Target) -> Plan:
    """The plan for a product; it depends on shapes and target alone.

    >>> from chainrule.engines.native.target import TARGETS
    >>> import numpy as np
    >>> spec = ProductSpec(np.dtype("float32"), m=None, n=1024, k=1024)
    >>> chosen = plan(spec, TARGETS["avx512"])
    >>> chosen.small, chosen.tile.rows, chosen.tile.columns
    (False, 6, 64)
    """
    type_ = Vector.of(spec.dtype, target.lanes(spec.dtype))
    small = _is_small(spec)
    if not small and spec.few and _can_stream(spec, target, type_):
        return Plan(_streaming_tile(spec, target, type_), False, False, False, streamed=True)
    tile = _small_tile(spec, target, type_) if small else _block_tile(spec, target, type_)
    lacks_masks = spec.n % type_.lanes != 0 and not target.masks
    pack_a = not small and not reads_plainly(spec, tile)
    return Plan(tile, small, pack_a, not small or spec.transpose_b or lacks_masks)


def _is_small(spec: ProductSpec) -> bool:
    if spec.k is None:
        few = spec.m is not None and spec.m * spec.n <= SMALL_ELEMENTS
        return few and not spec.transpose_b
    return spec.n * spec.k * spec.dtype.itemsize <= SMALL_BYTES


def _can_stream(spec: ProductSpec, target: Target, type_: Vector) -> bool:
    """Whether B can be read as it lies, and what does not fill a vector too."""
    if spec.k is None or (spec.transpose_a and spec.transpose_b):
        return False
    along = spec.k if spec.transpose_b else spec.n
    return along % type_.lanes == 0 or target.masks


def _streaming_tile(spec: ProductSpec, target: Target, type_: Vector) -> Tile:
    """As wide as the registers allow, so that memory is read in long runs."""
    vectors = max(1, min(accumulator_budget(target) // spec.few, WIDEST_STREAM))
    return Tile(type_, spec.few, vectors)


def _block_tile(spec: ProductSpec, target: Target, type_: Vector) -> Tile:
    """Of few rows where A can then be read as it lies; else what covers the columns best.

    The wider, the fewer loads there are for each multiply; the higher, the fewer for what is left.
    """
    budget = accumulator_budget(target)
    widest, *others = (Tile(type_, budget // vectors, vectors) for vectors in (4, 2, 3))
    fits = widest.size + widest.vectors < target.registers
    fitting = [widest, *others] if fits else others
    low = [tile for tile in fitting if reads_plainly(spec, tile)]
    if low:
        return min(low, key=lambda tile: _row_cycles(spec, tile))
    exact = [tile for tile in fitting if spec.n % tile.columns == 0]
    panels = {tile: ceil_div(spec.n, tile.columns) for tile in exact or others}
    return min(panels, key=lambda tile: (panels[tile] * tile.columns, panels[tile]))


def reads_plainly(spec: ProductSpec, tile: Tile) -> bool:
    """Whether a product of blocks takes the rows of A from where they lie.

    Where A lies transposed, the lines of memory that a tile needs are as many as the inner axis has
    steps: they are worth laying out if many panels of B come to read them.
    """
    few = not spec.transpose_a or spec.n <= FEW_PANELS * tile.columns
    return few and tile.rows <= WAYS


def _row_cycles(spec: ProductSpec, tile: Tile) -> float:
    """For one step of the inner axis, and one row of C."""
    panels, vectors = divmod(ceil_div(spec.n, tile.type.lanes), tile.vectors)
    widths = [tile.vectors] * panels + [vectors] * (vectors > 0)
    return sum(_tile_cycles(tile.rows, each) for each in widths) / tile.rows


def _tile_cycles(rows: int, vectors: int) -> float:
    """For one step of the inner axis of a tile."""
    latency, multiplies, loads = 4, rows * vectors / 2, (rows + vectors) / 2
    return max(latency, multiplies, loads)


def _small_tile(spec: ProductSpec, target: Target, type_: Vector) -> Tile:
    """The tile that needs the fewest cycles, by a model of a core with two multipliers."""
    budget = accumulator_budget(target)
    tiles = []
    for vectors in range(1, 5):
        rows = min(budget // vectors, TALLEST_TILE)
        if spec.m is None:
            rows = min(1 << rows.bit_length() - 1, USUAL_ROWS)
        else:
            rows = ceil_div(spec.m, ceil_div(spec.m, rows)) if spec.m else 1
        tiles.append(Tile(type_, rows, vectors))
    return min(tiles, key=lambda tile: _cycles(spec, tile))


def _cycles(spec: ProductSpec, tile: Tile) -> float:
    """For one step of the inner axis, over all of C."""
    m = TYPICAL_ROWS if spec.m is None else spec.m
    columns = ceil_div(spec.n, tile.columns)
    return ceil_div(m, tile.rows) * columns * _tile_cycles(tile.rows, tile.vectors)


def ceil_div(a: int, b: int) -> int:
    """The least integer that is not below a / b."""
    return -(-a // b)


def panel_count(spec: ProductSpec, target: Target) -> int:
    """How many panels the columns of C are cut into; a product can be bound to some."""
    return ceil_div(spec.n, plan(spec, target).tile.columns)


def scratch_bytes(spec: ProductSpec, target: Target, largest_size: int) -> int:
    """How much scratch memory `write_product` needs, if the run-time size is at most this."""
    chosen = plan(spec, target)
    m, k = (largest_size if extent is None else extent for extent in (spec.m, spec.k))
    if chosen.small:
        packed = panel_elements(chosen.tile.type, chosen.tile.columns, spec.n, k)
        return tile_bytes(chosen.tile) + (_aligned(chosen.tile, packed) if chosen.pack_b else 0)
    if chosen.streamed:
        return ceil_div(spec.n, chosen.tile.columns) * tile_bytes(chosen.tile)
    lines = chosen.tile.rows * group_panels(chosen.tile)
    if k > block_inner(spec):
        strips = ceil_div(spec.n, chosen.tile.columns)
        lines = strips * min(m, block_rows(spec, chosen))
    parts = [*_panels(spec, chosen, m, k), lines * chosen.tile.columns]
    narrow = narrow_bytes(spec, chosen)
    return narrow + sum(_aligned(chosen.tile, elements) for elements in parts)


def common_bytes(spec: ProductSpec, target: Target, largest_size: int) -> int:
    """How much memory `write_common` fills, if the run-time size is at most this."""
    if not spec.common:
        return 0
    tile, k = plan(spec, target).tile, largest_size if spec.k is None else spec.k
    inner = block_inner(spec)
    stretch = panel_elements(tile.type, tile.columns, spec.n, min(k, inner))
    return _aligned(tile, ceil_div(k, inner) * stretch)


def is_blocked(spec: ProductSpec, target: Target) -> bool:
    """Whether it is computed block by block."""
    chosen = plan(spec, target)
    return not (chosen.small or chosen.streamed)


def narrow_columns(spec: ProductSpec, tile: Tile) -> Narrow | None:
    """The columns that do not fill a vector, if rows in the lanes take much fewer multiplies.

    Rows lie in lanes where A is laid out.
    """
    found = Narrow(spec.n % tile.type.lanes)
    fewer = 3 * found.columns * found.vectors(tile) <= 2 * tile.rows
    pays = fewer and not reads_plainly(spec, tile)
    return found if found.columns and pays else None


def narrow_bytes(spec: ProductSpec, chosen: Plan) -> int:
    """The first part of the scratch memory of a product of blocks."""
    tile, narrow = chosen.tile, narrow_columns(spec, chosen.tile)
    return _aligned(tile, narrow.elements(tile, block_rows(spec, chosen))) if narrow else 0


def block_rows(spec: ProductSpec, chosen: Plan) -> int:
    """Rows of a block of C: as few blocks as may be, all about as high."""
    tile, room = chosen.tile, BLOCK_BYTES if chosen.pack_a else 2 * BLOCK_BYTES
    most = max(room // (block_inner(spec) * spec.dtype.itemsize), tile.rows)
    if not spec.m:
        return most - most % tile.rows
    even = ceil_div(spec.m, ceil_div(spec.m, most))
    return ceil_div(even, tile.rows) * tile.rows


def group_panels(tile: Tile) -> int:
    """How many panels of B are laid out at once."""
    return max(1, GROUP_BYTES * 8 // (tile.columns * tile.type.bits))


def block_inner(spec: ProductSpec) -> int:
    """Steps of a stretch of the inner axis: as few stretches as may be, all about as long."""
    return ceil_div(spec.k, ceil_div(spec.k, BLOCK_INNER)) if spec.k else BLOCK_INNER


def _panels(spec: ProductSpec, chosen: Plan, m: int, k: int) -> tuple[int, int]:
    """Elements of this thread's panels of B and of A in a product of blocks."""
    tile, inner = chosen.tile, min(k, block_inner(spec))
    columns = 0 if spec.common else min(spec.n, group_panels(tile) * tile.columns)
    rows = min(m, block_rows(spec, chosen)) if chosen.pack_a else 0
    return (
        panel_elements(tile.type, tile.columns, columns, inner),
        panel_elements(tile.type, tile.rows, rows, inner),
    )


def tile_bytes(tile: Tile) -> int:
    """Room for one tile: the first part of the scratch memory of a small product."""
    return tile.size * tile.type.bits * tile.type.lanes // 8


def _aligned(tile: Tile, elements: int) -> int:
    return ceil_div(elements * tile.type.bits // 8, ALIGNMENT) * ALIGNMENT
