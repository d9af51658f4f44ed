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

from typing import Any

from chainrule import errors, ops, transforms
from chainrule.errors import ChainruleError
from chainrule.expressions import *  # noqa: F403
from chainrule.expressions import __all__ as _expressions
from chainrule.graph.node import Node
from chainrule.ops import *  # noqa: F403
from chainrule.ops import __all__ as _operations
from chainrule.shapes import ROWS

_LAZY = {"Network": "networks", "load": "networks"}
_MODULES = ("data", "estimators", "explain", "nn", "optim", "persist", "testing", "training")


def __getattr__(name: str) -> Any:
    """Names that would make the import slow are imported when they are first used."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("chainrule")
    if name in _LAZY:
        return getattr(import_module(f"chainrule.{_LAZY[name]}"), name)
    if name in _MODULES:
        return import_module(f"chainrule.{name}")
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


__all__ = [
    "ROWS",
    "ChainruleError",
    "Network",
    "Node",
    "errors",
    "load",
    "ops",
    "transforms",
    *_expressions,
    *_operations,
]
