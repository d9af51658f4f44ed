"""Pictures and numbers that show what a network did."""

from chainrule.explain.blocks import boundary_blocks, digit_blocks
from chainrule.explain.boundary import boundary_svg
from chainrule.explain.boundary_picture import BoundaryPicture
from chainrule.explain.circuit import circuit, ledger
from chainrule.explain.graph_drawing import EdgeMark, NodeMark, draw_graph
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.svg import format_number
from chainrule.explain.system import Picture, Shown, System, agrees, system

__all__ = [
    "BoundaryPicture",
    "EdgeMark",
    "GraphPicture",
    "NodeMark",
    "Picture",
    "Record",
    "Shown",
    "System",
    "agrees",
    "boundary_blocks",
    "boundary_svg",
    "circuit",
    "digit_blocks",
    "draw_graph",
    "format_number",
    "ledger",
    "system",
]
