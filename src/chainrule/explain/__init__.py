"""Pictures and numbers that show what a network did."""

from chainrule.explain.bias_variance import BiasVariance, bootstrap, decomposed
from chainrule.explain.blocks import boundary_blocks, digit_blocks
from chainrule.explain.boundary import boundary_svg
from chainrule.explain.boundary_picture import BoundaryPicture
from chainrule.explain.chart import (
    Band,
    Bars,
    Chart,
    Intervals,
    Line,
    Mark,
    Note,
    Panel,
    Points,
    Rule,
    Surface,
    Threads,
    class_points,
)
from chainrule.explain.circuit import circuit
from chainrule.explain.figure import Figure
from chainrule.explain.graph_drawing import EdgeMark, NodeMark, draw_graph
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.ledger import Ledger, ledger
from chainrule.explain.page import Page
from chainrule.explain.separability import Plane, separating_plane
from chainrule.explain.shown import Shown, agrees
from chainrule.explain.svg import format_number
from chainrule.explain.symbols import symbols
from chainrule.explain.system import System
from chainrule.explain.worksheet import Worksheet, worksheet

__all__ = [
    "Band",
    "Bars",
    "BiasVariance",
    "BoundaryPicture",
    "Chart",
    "EdgeMark",
    "Figure",
    "GraphPicture",
    "Intervals",
    "Ledger",
    "Line",
    "Mark",
    "NodeMark",
    "Note",
    "Page",
    "Panel",
    "Plane",
    "Points",
    "Record",
    "Rule",
    "Shown",
    "Surface",
    "System",
    "Threads",
    "Worksheet",
    "agrees",
    "bootstrap",
    "boundary_blocks",
    "boundary_svg",
    "circuit",
    "class_points",
    "decomposed",
    "digit_blocks",
    "draw_graph",
    "format_number",
    "ledger",
    "separating_plane",
    "symbols",
    "worksheet",
]
