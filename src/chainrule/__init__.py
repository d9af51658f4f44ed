"""chainrule: dense neural networks as graphs, fast on a CPU, every number open to view.

Everything is a graph; differentiation is a function from graph to graph; engines give a graph its
meaning.

>>> import chainrule as cr
>>> x, y, z = cr.variable(-2.0, name="x"), cr.variable(5.0, name="y"), cr.variable(-4.0, name="z")
>>> f = (x + y) * z
>>> f.backward()
>>> x.grad
array(-4.)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import errors, expressions, ops, transforms
from chainrule.errors import ChainruleError
from chainrule.expressions import *
from chainrule.graph.node import Node
from chainrule.ops import *
from chainrule.shapes import ROWS

if TYPE_CHECKING:
    from chainrule.networks import Network, load

_NETWORKS = ("Network", "load")
_MODULES = (
    "data",
    "estimators",
    "explain",
    "networks",
    "nn",
    "optim",
    "persist",
    "testing",
    "training",
)


def __getattr__(name: str) -> Any:
    """Names that would make the import slow are imported when they are first used."""
    if name == "__version__":
        return import_module("importlib.metadata").version("chainrule")
    if name in _NETWORKS:
        return getattr(import_module("chainrule.networks"), name)
    if name in _MODULES:
        return import_module(f"chainrule.{name}")
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


__all__ = ["ROWS", "ChainruleError", "Network", "Node", "errors", "load", "ops", "transforms"]
__all__ += expressions.__all__
__all__ += ops.__all__
