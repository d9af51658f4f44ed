"""Many rows in blocks: a thread computes one on its own, and takes another.

What a block needs stays in the caches of one processor, and nobody waits for others. A row's
values depend on no other row, and so on no division; that one comes from shapes alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate

import numpy as np

from chainrule.engines.native.blocking import Context
from chainrule.engines.native.calling import ALIGNMENT, ROW_STEP
from chainrule.engines.native.heap import Heap
from chainrule.engines.native.jit import Code
from chainrule.engines.native.layout import FUNCTION, Layout
from chainrule.engines.native.parallel import MAXIMUM_CHUNKS, Header
from chainrule.engines.native.runtime import BLOCKS, THREADS, runtime
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.threads import alone, team
from chainrule.graph.cost import operations
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.ops.build import ROW_COUNT
from chainrule.shapes import ROWS, Array, TensorType

MOST_ROWS = 768  # of a block: more leave the caches, fewer do not pay for laying weights out
EVENLY = 4  # what the number of blocks is a multiple of
PATIENCE = 10**10  # operations of a thread until signals are looked at: a tenth of a second


def goes_by_blocks(graph: Graph) -> bool:
    """Whether rows are the first axis of all outputs, and none has a part in another's values.

    >>> from chainrule import ops
    >>> from chainrule.graph.graph import close
    >>> x = ops.input((ROWS, 3))
    >>> goes_by_blocks(close([ops.softmax(x, axis=1)])), goes_by_blocks(close([ops.softmax(x, 0)]))
    (True, False)
    """
    own = all(node.shape[:1] == (ROWS,) for node in graph.outputs)
    return own and all(map(_keeps_rows_apart, graph.nodes))


def _keeps_rows_apart(node: Node) -> bool:
    """Whether a node computes each row from the same row of its operands, wherever they have rows.

    Random bits depend on the place in the array.
    """
    given = [x for x in node.operands if ROWS in x.shape]
    if not given:
        return node.op is not ROW_COUNT and (node.op.kind is Kind.LEAF or ROWS not in node.shape)
    if any(x.shape.index(ROWS) for x in given) or node.shape[:1] != (ROWS,):
        return False
    rule = _APART.get(node.op.name, _passes_rows_by)
    return rule(node)


def _passes_rows_by(node: Node) -> bool:
    """Whether an operation along axes leaves the first one alone."""
    found = node.attributes
    return 0 not in (*found.get("axes", ()), found.get("axis"))


# what the general rule does not say
_APART: dict[str, Callable[[Node], bool]] = {
    "permute_dims": lambda node: True,  # rows are the first axis before and after it
    "take": lambda node: ROWS not in node.operands[0].shape or _passes_rows_by(node),
    "scatter_add": lambda node: False,
}


def rows_of_a_block(rows: int) -> int:
    """How many rows each block but the last has: about the same, for a count that threads divide.

    >>> rows_of_a_block(100_000), rows_of_a_block(2049)
    (768, 576)
    """
    count = -(-rows // (EVENLY * MOST_ROWS)) * EVENLY
    return -(-rows // (count * ROW_STEP)) * ROW_STEP


class RowBlocks:
    """A compiled graph for many rows at once.

    Parameters
    ----------
    graph : Graph
        One that `goes_by_blocks`.
    layout, code
        What it was compiled to.
    constants : sequence of arrays
        Those of the layout, where compiled code can read them.
    target : Target
    heap : Heap
    """

    def __init__(
        self,
        graph: Graph,
        layout: Layout,
        code: Code,
        constants: Sequence[Array],
        target: Target,
        heap: Heap,
    ) -> None:
        self.layout, self.target, self.heap = layout, target, heap
        self._code, self._constants = code, constants
        self._types = [node.type for node in graph.inputs]
        self._results = [node.type for node in graph.outputs]
        self._operations = operations(graph, MOST_ROWS)

    def __call__(self, rows: int, arrays: Sequence[Array], finite: bool) -> list[Array] | None:
        """The values of the outputs; None if something is wrong with the rows.

        Parameters
        ----------
        rows : int
        arrays : sequence of arrays
            The inputs, of the graph's types.
        finite : bool
            Whether inputs with NaN or infinity are refused.
        """
        block, results = rows_of_a_block(rows), [self.heap.array(x, rows) for x in self._results]
        pairs = zip(arrays, self._types, strict=True)
        given = [self.heap.given(array, type_.dtype) for array, type_ in pairs]
        with team() as control:
            sizes = self._spaces(block)
            space = self.heap.empty(sum(sizes) * control.slots)
            entries = [
                *(_entry(*pair, finite) for pair in zip(given, self._types, strict=True)),
                *((array.ctypes.data, 0, 0, 0) for array in self._constants),
                *(_entry(*pair, False) for pair in zip(results, self._results, strict=True)),
                *self._own(space.ctypes.data, sizes),
            ]
            header = self._code.address(FUNCTION), len(entries), rows, block, 0, 0
            context = np.array([*header, *np.ravel(entries)], np.int64)
            _run(context, control.address, self._chunks(control[Header.THREADS]))
        self.heap.check()
        return None if context[Context.FOUND] else results

    def _spaces(self, rows: int) -> list[int]:
        """Bytes of a thread's work space, part by part."""
        layout, target = self.layout, self.target
        parts = *layout.arena(rows), layout.scratch(target, rows), layout.common(target, rows)
        return [-(-size // ALIGNMENT) * ALIGNMENT for size in parts]

    def _own(self, address: int, sizes: Sequence[int]) -> list[tuple[int, int, int, int]]:
        """The entries of a thread's work space: each as if it were alone."""
        starts = [address, *(address + end for end in accumulate(sizes))]
        arena, more, scratch, common = ((start, 0, sum(sizes), 0) for start in starts[:-1])
        return [arena, more, scratch, (0, 0, 0, 0), (alone().address, 0, 0, 0), common]

    def _chunks(self, threads: int) -> int:
        """How many blocks are one phase."""
        each = max(1, PATIENCE // max(1, self._operations))
        count: int = min(threads * each, MAXIMUM_CHUNKS)
        return count


def _entry(array: Array, type_: TensorType, finite: bool) -> tuple[int, int, int, int]:
    """An entry of an array: where it begins, how far its rows are apart, what is looked at."""
    size, item = shape_size(type_.shape), type_.dtype.itemsize
    looked_at = finite and size.of_rows and type_.dtype.kind == "f"
    return array.ctypes.data, size.number * item * size.of_rows, 0, item * looked_at


def _run(context: Array, control: int, chunks: int) -> None:
    """All blocks, phase by phase: between them Python sees what was signalled."""
    run, block = _phase()
    count = -(-int(context[Context.ROWS]) // int(context[Context.BLOCK]))
    for first in range(0, count, chunks):
        context[Context.FIRST] = first
        run(control, min(chunks, count - first), block, context.ctypes.data)


@cache
def _phase() -> tuple[Callable[..., None], int]:
    """The compiled ``@run``, and where ``@block`` is."""
    run = runtime(THREADS).function(
        "run", None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
    )
    return run, runtime(BLOCKS).address("block")
