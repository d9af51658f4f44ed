"""The passes of the native engine as text, each readable alone.

``chainrule inspect --plan`` prints them; with CHAINRULE_DUMP=FOLDER in the environment every graph
and program leaves them there, one file each, in a folder of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from chainrule.engines.native.cuts import ALONE
from chainrule.engines.native.function import Lowered
from chainrule.engines.native.jit import to_assembly
from chainrule.engines.native.layout import Layout
from chainrule.engines.native.outline import outline
from chainrule.engines.native.phases import Phase
from chainrule.engines.native.schedule import VIEWS
from chainrule.engines.native.sizes import Size, shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ProductSpec, plan
from chainrule.engines.native.writing import Written
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.text import print_graph
from chainrule.ops.build import ROW_COUNT

NAMES = ("graph", "legal", "schedule", "buffers", "loops", "llvm", "assembly")
SHORT = ("schedule", "buffers", "loops")  # what people read first


class Stage(NamedTuple):
    """What one pass gave.

    Attributes
    ----------
    name : str
        One of NAMES.
    text : str
    """

    name: str
    text: str


def stages(graph: Graph, written: Written, target: Target) -> Iterator[Stage]:
    """All passes from a graph to assembly, in order.

    Parameters
    ----------
    graph : Graph
        What the engine was given.
    written : Written
        The modules with its function.
    target : Target
    """
    lowered, text = written.lowered, "\n".join(written.texts)
    yield Stage("graph", print_graph(graph).text)
    yield Stage("legal", print_graph(lowered.graph).text)
    yield Stage("schedule", schedule_text(lowered))
    yield Stage("buffers", buffers_text(lowered.graph, written.layout, target))
    yield Stage("loops", outline(text))
    yield Stage("llvm", text)
    yield Stage("assembly", "\n".join(to_assembly(each, target) for each in written.texts))


def printed(found: Iterable[Stage]) -> str:
    """Passes under their names."""
    return "\n\n".join(f"# {stage.name}\n{stage.text}" for stage in found)


def dump(base: Path, graph: Graph, kind: object, written: Written, target: Target) -> None:
    """Leave all passes below ``base``, in a folder for each graph, kind and target."""
    digest = hashlib.sha256(f"{kind} {target} {print_graph(graph).text}".encode()).hexdigest()
    folder = base / digest[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for number, stage in enumerate(stages(graph, written, target)):
        (folder / f"{number}-{stage.name}.txt").write_text(stage.text + "\n", encoding="utf-8")


class _Names:
    """The names of nodes in the printed legal graph, and what views look at."""

    def __init__(self, graph: Graph) -> None:
        nodes = list(dict.fromkeys([*graph.inputs, *graph.nodes]))
        self.names = {node: f"%{place}" for place, node in enumerate(nodes)}
        self.inputs = dict.fromkeys(graph.inputs)

    def __call__(self, node: Node) -> str:
        return self.names[node]

    def home(self, node: Node) -> Node:
        """What a view looks at, in the end."""
        while node.op.name in VIEWS and node not in self.inputs:
            node = node.operands[0]
        return node


def schedule_text(lowered: Lowered) -> str:
    """The groups: what is computed together, what each reads and what it leaves in memory.

    Those of a phase say how threads share them.
    """
    names, lines = _Names(lowered.graph), []
    read = _read_elsewhere(lowered, names)
    ways = [way for phase in lowered.phases for way in _ways(phase)]
    for number, (group, way) in enumerate(zip(lowered.groups, ways, strict=True)):
        axes = "" if group.axes is None else f" reduced along {list(group.axes)}"
        lines.append(f"{number} {group.kind} {list(group.space)}{axes}{way}")
        lines += [f"    {_node_text(node, names)}" for node in group.nodes]
        lines.append(f"    leaves {', '.join(names(x) for x in group.nodes if x in read)}")
    return "\n".join(lines)


def _ways(phase: Phase) -> list[str]:
    """How threads share the groups of a phase."""
    if not phase.cuts:
        return ["" if phase.start is None else ", shared"]
    ways = [
        ", by one thread" if axis == ALONE else f", in parts along {axis}" for axis, _ in phase.cuts
    ]
    return [f"{ways[0]}, a phase of {len(ways)}", *ways[1:]]


def _node_text(node: Node, names: _Names) -> str:
    operands = ", ".join(_operand_text(x, names) for x in node.operands)
    attributes = "".join(f" {name}={value}" for name, value in node.attributes.items() if value)
    return f"{names(node)} = {node.op.name}({operands}){attributes} : {node.type}"


def _operand_text(node: Node, names: _Names) -> str:
    """A number as it is, a view with what it looks at."""
    home = names.home(node)
    if home.op is ROW_COUNT:
        return "rows"
    if home.payload is not None and home.payload.size == 1:
        return str(home.payload.reshape(-1)[0])
    return names(node) if home is node else f"{names(node)} of {names(home)}"


def _read_elsewhere(lowered: Lowered, names: _Names) -> dict[Node, bool]:
    """The nodes that another group, or the caller, reads."""
    found = dict.fromkeys([names.home(output) for output in lowered.graph.outputs], True)
    for group in lowered.groups:
        mine = dict.fromkeys(group.nodes)
        homes = [names.home(x) for node in group.nodes for x in node.operands]
        found |= {home: True for home in homes if home not in mine}
    return found


def buffers_text(graph: Graph, layout: Layout, target: Target) -> str:
    """The table of addresses that the function of a legal graph reads, and what lies there."""
    names = _Names(graph)
    entries = [f"input {names(x)} : {x.type}, {_bytes(x)}" for x in graph.inputs]
    entries += [f"constant : {x.dtype.name}{list(x.shape)}" for x in layout.constants]
    entries += [f"output {names(x)} : {x.type}, {_bytes(x)}" for x in graph.outputs]
    entries.append(f"arena : {_size(Size(layout.fixed_bytes))}")
    entries.append(f"arena of rows : {_size(Size(layout.row_bytes, True))}")
    entries.append(f"scratch of products : {layout.scratch(target, 1):,} bytes for one row")
    lines = [f"{number} {entry}" for number, entry in enumerate(entries)]
    return "\n".join([*lines, *(_product_text(spec, target) for spec in layout.products)])


def _bytes(node: Node) -> str:
    return _size(shape_size(node.shape).times(Size(node.dtype.itemsize)))


def _size(size: Size) -> str:
    return f"{size.number:,} bytes{' a row' if size.of_rows else ''}"


def _product_text(spec: ProductSpec, target: Target) -> str:
    """How one matrix product is cut up."""
    chosen = plan(spec, target)
    m, k = ("rows" if extent is None else extent for extent in (spec.m, spec.k))
    a, b = ("transposed" if flag else "as it is" for flag in (spec.transpose_a, spec.transpose_b))
    way = "tile by tile from memory" if chosen.small else "in blocks, from panels"
    packed = ", B packed" if chosen.pack_b else ""
    tile = f"tiles of {chosen.tile.rows} x {chosen.tile.columns}"
    return f"product {m} x {k} x {spec.n}: A {a}, B {b}, {tile}, {way}{packed}"
