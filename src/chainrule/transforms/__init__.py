"""From graph to graph: simplify, differentiate, batch. Each is a table of rules and one walk."""

from chainrule.transforms.batch import batch
from chainrule.transforms.gradient import gradient
from chainrule.transforms.simplify import simplify

__all__ = ["batch", "gradient", "simplify"]
