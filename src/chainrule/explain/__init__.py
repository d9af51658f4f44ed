"""Pictures and numbers that show what a network did."""

from chainrule.explain.bias_variance import BiasVariance, bootstrap, decomposed
from chainrule.explain.blocks import boundary_blocks, digit_blocks
from chainrule.explain.boundary import boundary_svg
from chainrule.explain.boundary_picture import BoundaryPicture
from chainrule.explain.chart import Chart
from chainrule.explain.circuit import circuit
from chainrule.explain.comparison import relative_error, standard_errors
from chainrule.explain.convexity import Convexity, convex_set, convexity
from chainrule.explain.critical_points import (
    CriticalPoint,
    hessian_spectrum,
    rises_and_falls,
    second_derivative_test,
)
from chainrule.explain.curve_fits import CurveFits, fit_curves
from chainrule.explain.descent import TERRAINS, Terrain, optimizer_paths, path_panel, trajectory
from chainrule.explain.dropout_masks import dropout_masks, dropout_members
from chainrule.explain.evaluations import evaluations
from chainrule.explain.figure import Figure
from chainrule.explain.function_fit import function_fit, function_panel
from chainrule.explain.graph_drawing import EdgeMark, NodeMark, draw_graph
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.hidden_space import hidden_outputs, hidden_space, plane_panel
from chainrule.explain.landscape import (
    filter_normalised,
    flat_parameters,
    loss_graph,
    loss_landscape,
    loss_of_parameters,
)
from chainrule.explain.leaves import elementwise_derivative, leaves, slopes
from chainrule.explain.ledger import Ledger, ledger
from chainrule.explain.loss_curves import loss_curves, loss_panel
from chainrule.explain.marks import (
    Band,
    Bars,
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
from chainrule.explain.page import Page
from chainrule.explain.panels import (
    agreement_panel,
    class_bars,
    class_panel,
    derivative_panel,
    ensemble_panel,
    line_panel,
    warped_grid,
)
from chainrule.explain.preprocessing_picture import preprocessing_picture, preprocessing_stages
from chainrule.explain.separability import Plane, separating_plane
from chainrule.explain.shown import Shown, agrees
from chainrule.explain.signals import Signals, signals
from chainrule.explain.smoothness import Smoothness, smoothness
from chainrule.explain.svg import format_number
from chainrule.explain.symbols import symbols
from chainrule.explain.system import System
from chainrule.explain.temperature import entropy, softmax_temperatures
from chainrule.explain.uncertainty import Uncertainty, logits, uncertainty, unit_maps
from chainrule.explain.unit_sums import fit_units, symmetric_copies, unit_network, unit_sum
from chainrule.explain.worksheet import Worksheet, worksheet

__all__ = [
    "TERRAINS",
    "Band",
    "Bars",
    "BiasVariance",
    "BoundaryPicture",
    "Chart",
    "Convexity",
    "CriticalPoint",
    "CurveFits",
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
    "Signals",
    "Smoothness",
    "Surface",
    "System",
    "Terrain",
    "Threads",
    "Uncertainty",
    "Worksheet",
    "agreement_panel",
    "agrees",
    "bootstrap",
    "boundary_blocks",
    "boundary_svg",
    "circuit",
    "class_bars",
    "class_panel",
    "class_points",
    "convex_set",
    "convexity",
    "decomposed",
    "derivative_panel",
    "digit_blocks",
    "draw_graph",
    "dropout_masks",
    "dropout_members",
    "elementwise_derivative",
    "ensemble_panel",
    "entropy",
    "evaluations",
    "filter_normalised",
    "fit_curves",
    "fit_units",
    "flat_parameters",
    "format_number",
    "function_fit",
    "function_panel",
    "hessian_spectrum",
    "hidden_outputs",
    "hidden_space",
    "leaves",
    "ledger",
    "line_panel",
    "logits",
    "loss_curves",
    "loss_graph",
    "loss_landscape",
    "loss_of_parameters",
    "loss_panel",
    "optimizer_paths",
    "path_panel",
    "plane_panel",
    "preprocessing_picture",
    "preprocessing_stages",
    "relative_error",
    "rises_and_falls",
    "second_derivative_test",
    "separating_plane",
    "signals",
    "slopes",
    "smoothness",
    "softmax_temperatures",
    "standard_errors",
    "symbols",
    "symmetric_copies",
    "trajectory",
    "uncertainty",
    "unit_maps",
    "unit_network",
    "unit_sum",
    "warped_grid",
    "worksheet",
]
