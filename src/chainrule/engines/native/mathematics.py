"""The table of the functions that take more than an instruction, by the operations' names.

Each takes an emitter, the type of operands and result, and the names of the operands; it gives the
name of the result. The type is float32 or float64 in any number of lanes, a power of 2.

>>> from chainrule.engines.native.target import TARGETS
>>> emit = Emitter(TARGETS["avx2"])
>>> print(FUNCTIONS["sqrt"](emit, Vector("float", 8), "%x"), *emit.lines)
%v1   %v1 = call <8 x float> @llvm.sqrt.v8f32(<8 x float> %x)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chainrule.engines.native import elementary
from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.lanes import Lanes, library

Function = Callable[..., str]

# Rare ones: the C library's, lane by lane. Ours by name -> the library's.
LIBRARY: Final = {
    "sinh": "sinh", "cosh": "cosh", "asin": "asin", "acos": "acos", "atan": "atan",
    "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "atan2": "atan2", "hypot": "hypot",
    "power": "pow",
}  # fmt: skip

VECTORISED: Final = (
    elementary.exp, elementary.expm1, elementary.log, elementary.log1p, elementary.log2,
    elementary.log10, elementary.tanh, elementary.sigmoid, elementary.softplus,
    elementary.logaddexp, elementary.erf, elementary.sin, elementary.cos, elementary.tan,
)  # fmt: skip


def square_root(x: Lanes) -> Lanes:
    """The square root, correctly rounded: an instruction everywhere."""
    return x.named(x.emit.intrinsic("llvm.sqrt", x.type, x.name))


def _on_names(formula: Callable[..., Lanes]) -> Function:
    def emitted(emit: Emitter, type_: Vector, *operands: str) -> str:
        return formula(*(Lanes(emit, type_, operand) for operand in operands)).name

    return emitted


def _library(function: str) -> Function:
    return _on_names(lambda *operands: library(function, *operands))


FUNCTIONS: Final[dict[str, Function]] = {
    "sqrt": _on_names(square_root),
    **{formula.__name__: _on_names(formula) for formula in VECTORISED},
    **{name: _library(function) for name, function in LIBRARY.items()},
}
