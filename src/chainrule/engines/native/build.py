"""From a graph or a program to machine code, through the object cache.

The cache is asked before anything is lowered: the key is the printed graph, and what else the code
depends on. An entry is object code and the layout of its table.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.engines.base import BoundedCache, Program
from chainrule.engines.native.cache import cached_object
from chainrule.engines.native.jit import Code, to_objects
from chainrule.engines.native.layout import Layout, object_codes, packed, unpacked
from chainrule.engines.native.runtime import THREADS, prepare
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target
from chainrule.graph.graph import Graph
from chainrule.graph.text import print_graph

if TYPE_CHECKING:
    from chainrule.engines.native.writing import Written

DUMP = "CHAINRULE_DUMP"  # of the environment: a folder for what each pass gives
MOST_BYTES = 2**47  # what x86 and Arm processors address
KEPT = 128  # programs whose code stays in memory, for graphs that are built anew but are the same

_loaded: BoundedCache[tuple[str, Target], tuple[bytes, Code]] = BoundedCache(KEPT)


def program_kind(program: Program) -> tuple[int, int, bool, bool]:
    """All that a program's code depends on, beside its step."""
    return program.carried, program.batch, program.shuffled, program.replacement


def build(graph: Graph, target: Target, program: Program | None = None) -> tuple[Layout, Code]:
    """Machine code and its layout, from the cache where they are there.

    Parameters
    ----------
    graph : Graph
    target : Target
    program : Program, optional
        What iterates the graph, its step.
    """
    _check_sizes(graph)
    kind = "function" if program is None else program_kind(program)
    printed = f"{kind}\n{print_graph(graph).text}"

    def make() -> bytes:
        written = _write(graph, target, program)
        if written.lowered.shared_from is not None:
            prepare(THREADS)
        return packed(written.layout, graph, to_objects(written.texts, target))

    folder = os.environ.get(DUMP)
    if folder:
        from chainrule.engines.native.stages import dump

        dump(Path(folder), graph, kind, _write(graph, target, program), target)
    content, code = _loaded.get(
        (printed, target), lambda: _load(cached_object(printed, target, make), target)
    )
    return unpacked(content, graph), code


def _load(content: bytes, target: Target) -> tuple[bytes, Code]:
    """An entry of the cache, and its code in memory."""
    return content, Code(object_codes(content), target)


def _write(graph: Graph, target: Target, program: Program | None) -> Written:
    """The module, by parts of the engine that are imported where there is something to compile."""
    from chainrule.engines.native.writing import write_graph, write_training

    return write_graph(graph, target) if program is None else write_training(program, target)


def _check_sizes(graph: Graph) -> None:
    """Refuse arrays that no address reaches the end of.

    Raises
    ------
    MemoryError
        Naming the node.
    """
    for node in graph.nodes:
        size = shape_size(node.shape).number * node.dtype.itemsize
        if size > MOST_BYTES:
            raise MemoryError(
                f"{node.op.name} built at {node.site} is {node.type}, more than any memory holds"
            )
