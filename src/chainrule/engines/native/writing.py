"""Graphs and programs as LLVM IR: the modules that are compiled.

Nothing here is imported by a process that finds its object code in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.engines.base import Program
from chainrule.engines.native.dividing import modules
from chainrule.engines.native.function import Lowered, lower
from chainrule.engines.native.layout import FUNCTION, Layout
from chainrule.engines.native.program import FIELDS, write_program
from chainrule.engines.native.subnormals import definitions
from chainrule.engines.native.target import Target
from chainrule.graph.graph import Graph


class Written(NamedTuple):
    """A graph or a program as LLVM IR.

    Attributes
    ----------
    lowered : Lowered
        The function of the graph, or of the program's step.
    texts : list of str
        The modules.
    fields : tuple of str
        What ``run`` reads at its start, in order; empty for a graph.
    """

    lowered: Lowered
    texts: list[str]
    fields: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        """What a process that does not lower must know."""
        found = self.lowered
        sizes = found.fixed_bytes, found.row_bytes
        return Layout(found.constants, *sizes, found.products, found.shared_from, list(self.fields))


def write_graph(graph: Graph, target: Target) -> Written:
    """The modules with the function ``compute``."""
    lowered = lower(graph, target, FUNCTION)
    return Written(lowered, modules(target, lowered.functions, lowered.declarations))


def write_training(program: Program, target: Target) -> Written:
    """The modules with the functions ``step`` and ``run``."""
    lowered = lower(program.step, target, "step", program.carried, program.batch)
    shares = lowered.shared_from is not None
    written, declarations = write_program(program, target, threads=shares)
    functions = [definitions(target), *lowered.functions, *written]
    texts = modules(target, functions, {**lowered.declarations, **declarations})
    return Written(lowered, texts, FIELDS)
