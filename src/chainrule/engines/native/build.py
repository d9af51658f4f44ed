"""From a graph or a program to machine code, through the object cache.

The cache is asked before anything is lowered: the key is the printed graph, and what else the code
depends on. An entry is object code and the layout of its table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chainrule.engines.base import Program
from chainrule.engines.native.cache import cached_object
from chainrule.engines.native.emitter import module
from chainrule.engines.native.function import Lowered, lower
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.layout import Layout, packed, unpacked
from chainrule.engines.native.program import write_program
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.stages import dump, dumping
from chainrule.engines.native.subnormals import definitions
from chainrule.engines.native.target import Target
from chainrule.graph.graph import Graph
from chainrule.graph.text import print_graph

FUNCTION, RUNNER = "compute", "run"
MOST_BYTES = 2**47  # what x86 and Arm processors address


class Written(NamedTuple):
    """A graph or a program as LLVM IR.

    Attributes
    ----------
    lowered : Lowered
        The function of the graph, or of the program's step.
    text : str
        The module.
    """

    lowered: Lowered
    text: str


def write_graph(graph: Graph, target: Target) -> Written:
    """The module with the function ``compute``."""
    lowered = lower(graph, target, FUNCTION)
    return Written(lowered, module(target, [lowered.text], lowered.declarations))


def write_training(program: Program, target: Target) -> Written:
    """The module with the functions ``step`` and ``run``."""
    lowered = lower(program.step, target, "step", program.carried, program.batch)
    text, declarations = write_program(program, target)
    functions = [definitions(target), lowered.text, text]
    return Written(lowered, module(target, functions, {**lowered.declarations, **declarations}))


def program_kind(program: Program) -> tuple[int, int, bool, bool]:
    """All that a program's code depends on, beside its step."""
    return program.carried, program.batch, program.shuffled, program.replacement


def build(
    graph: Graph, kind: object, target: Target, write: Callable[[], Written]
) -> tuple[Layout, Code]:
    """Machine code and its layout, from the cache where they are there.

    Parameters
    ----------
    graph : Graph
    kind : object
        What the code depends on beside the graph, the target and the engine; it is printed.
    target : Target
    write : callable
        Lowers the graph.
    """
    _check_sizes(graph)
    printed = f"{kind}\n{print_graph(graph).text}"

    def make() -> bytes:
        written = write()
        return packed(Layout.of(written.lowered), graph, to_object(written.text, target))

    if dumping():
        dump(graph, kind, *write(), target)
    layout, code = unpacked(cached_object(printed, target, make), graph)
    return layout, Code(code, target)


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
