"""What each operation is in JAX: one row an operation.

A row is the name of a function of ``jax.numpy`` or ``jax.lax``, or a function of the operands and
the attributes. Operands come in the element types that the operation's record converts them to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from chainrule.engines.xla.library import jax, jnp, lax
from chainrule.engines.xla.threefry import fold_in, random_bits
from chainrule.shapes import INT64, Dtype

Lowering = Callable[..., Any]
FAR_SMALLER: Final = 8  # times fewer columns


def _rounding(name: str) -> Lowering:
    """Rounding that leaves integers as they are."""
    return lambda x: getattr(jnp, name)(x) if x.dtype.kind == "f" else x


def _floor_divide(a: Any, b: Any) -> Any:
    """Of real numbers by 0 an infinity or NaN; of integers by 0, it gives 0."""
    if a.dtype.kind == "f":
        return jnp.where(b == 0, a / b, jnp.floor_divide(a, b))
    return jnp.where(b == 0, 0, jnp.floor_divide(a, jnp.where(b == 0, 1, b)))


def _remainder(a: Any, b: Any) -> Any:
    """Of integers by 0, it gives 0."""
    if a.dtype.kind == "f":
        return jnp.remainder(a, b)
    return jnp.where(b == 0, 0, jnp.remainder(a, jnp.where(b == 0, 1, b)))


def _power(a: Any, b: Any) -> Any:
    """A negative integer power of an integer truncates towards zero, and 0 gives 0."""
    if a.dtype.kind == "f":
        return jnp.power(a, b)
    raised = _whole_power(a, b if a.dtype.kind == "u" else jnp.maximum(b, 0))
    if a.dtype.kind == "u":
        return raised
    sign = jnp.where(b % 2 == 0, 1, -1).astype(a.dtype)
    inverse = jnp.where(a == 1, 1, jnp.where(a == -1, sign, 0))
    return jnp.where(b >= 0, raised, inverse)


def _whole_power(a: Any, b: Any) -> Any:
    """By squaring, for all bits of the exponent: JAX looks at the lowest six."""

    def square(_: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        result, factor, left = state
        return jnp.where(left & 1, result * factor, result), factor * factor, left >> 1

    a, b = jnp.broadcast_arrays(a, b)
    result, *_ = lax.fori_loop(0, 8 * a.dtype.itemsize, square, (jnp.ones_like(a), a, b))
    return result


def _shift(name: str) -> Lowering:
    """A shift of bits: 0, or -1 for what keeps its sign, once all of them are out."""

    def shift(a: Any, b: Any) -> Any:
        inside = (b >= 0) & (b < a.dtype.itemsize * 8)
        beyond = jnp.where((a < 0) & (name == "right_shift"), -1, 0).astype(a.dtype)
        return jnp.where(inside, getattr(jnp, name)(a, jnp.where(inside, b, 0)), beyond)

    return shift


def _astype(x: Any, dtype: Dtype) -> Any:
    """Real to integer saturates; NaN gives 0."""
    if x.dtype.kind != "f" or dtype.kind not in "iu":
        return x.astype(dtype)
    limits = jnp.iinfo(dtype)
    whole = jnp.trunc(jnp.where(jnp.isnan(x), 0, x))
    inside = (whole > float(limits.min)) & (whole < float(limits.max))
    beyond = jnp.where(whole > 0, jnp.array(limits.max, dtype), jnp.array(limits.min, dtype))
    return jnp.where(inside, jnp.where(inside, whole, 0).astype(dtype), beyond)


def _logsumexp(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """By the largest element; fmax prefers it where infinities made the total NaN."""
    top = jnp.max(x, axis=axes, keepdims=True)
    total = jnp.log(jnp.sum(jnp.exp(x - top), axis=axes, keepdims=True)) + top
    kept = jnp.fmax(total, top)
    return kept if keepdims else jnp.squeeze(kept, axis=axes)


def _softmax(x: Any, axis: int) -> Any:
    if not x.shape[axis]:
        return x
    raised = jnp.exp(x - jnp.max(x, axis=axis, keepdims=True))
    return raised / jnp.sum(raised, axis=axis, keepdims=True)


def _atanh(x: Any) -> Any:
    """By log1p of the size: XLA's own loses four digits near -1."""
    size = jnp.abs(x)
    return jnp.copysign(0.5 * jnp.log1p(2 * size / (1 - size)), x)


def _reduction(name: str) -> Lowering:
    """A reduction over several axes."""
    return lambda x, axes, keepdims: getattr(jnp, name)(x, axis=axes, keepdims=keepdims)


def _sum(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Of several axes the first one by itself: on processors it takes 1.0 ms, all at once 2.5 ms.

    So it is for the squares of 1024 x 1024 numbers, whose rows are added as vectors; unless there
    is a barrier, XLA makes one of the two sums again, and adds number to number.
    """
    if len(axes) > 1:
        x = lax.optimization_barrier(jnp.sum(x, axis=axes[0], keepdims=True, dtype=x.dtype))
    return jnp.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype)


def _place(name: str) -> Lowering:
    """The index of the largest or smallest along one axis."""
    return lambda x, axes, **kept: getattr(jnp, name)(x, axis=axes[0], **kept).astype(INT64)


def _matmul(a: Any, b: Any, transpose_a: bool, transpose_b: bool, precision: str) -> Any:
    """The product of matrices; in bfloat16, operands are rounded and sums stay in float32.

    On processors XLA copies what is transposed: of aᵀ b = (bᵀ a)ᵀ the side is chosen where that is
    the far smaller one, as in the gradient of a wide layer with a few outputs.
    """
    if transpose_a and not transpose_b and b.shape[-1] * FAR_SMALLER <= a.shape[-1]:
        # without the barrier XLA would turn it back
        return lax.optimization_barrier(_matmul(b, a, True, False, precision)).mT
    left, right = (x.mT if turned else x for x, turned in ((a, transpose_a), (b, transpose_b)))
    if precision == "bfloat16" and a.dtype == jnp.float32:
        bits = jnp.finfo(jnp.bfloat16)  # astype alone would be left out on processors
        rounded = [lax.reduce_precision(x, bits.nexp, bits.nmant).astype(jnp.bfloat16)
                   for x in (left, right)]  # fmt: skip
        return jnp.matmul(*rounded, preferred_element_type=a.dtype)
    chosen = lax.Precision.HIGH if precision == "tf32" else lax.Precision.HIGHEST
    return jnp.matmul(left, right, precision=chosen)


def _inside(indices: Any, extent: int) -> Any:
    """Places from the front; those outside the axis are moved to its ends."""
    return jnp.clip(jnp.where(indices < 0, indices + extent, indices), 0, max(0, extent - 1))


def _take(x: Any, indices: Any, axis: int) -> Any:
    places = _inside(indices, x.shape[axis])
    return jnp.take(x, places, axis=axis, mode="fill" if not x.shape[axis] else "clip")


def _scatter_add(x: Any, indices: Any, axis: int, size: int) -> Any:
    before, after = x.shape[:axis], x.shape[axis + indices.ndim :]
    rows = jnp.moveaxis(x.reshape(*before, indices.size, *after), axis, 0)
    places = _inside(indices.reshape(-1), size)
    zeros = jnp.zeros((size, *before, *after), x.dtype)
    return jnp.moveaxis(zeros.at[places].add(rows, mode="drop"), 0, axis)


def _one_hot(labels: Any, classes: int, dtype: Dtype) -> Any:
    places = jnp.clip(labels, 0, max(0, classes - 1))
    return (places[..., None] == jnp.arange(classes, dtype=labels.dtype)).astype(dtype)


def _slice(x: Any, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int]) -> Any:
    return lax.slice(x, starts, tuple(map(max, starts, stops)), steps)


def _pad(x: Any, edges: Sequence[tuple[int, int]], interior: Sequence[int]) -> Any:
    widths = [(*edge, gap) for edge, gap in zip(edges, interior, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


NAMESAKES: Final = (
    "negative abs exp expm1 log log1p log2 log10 sqrt sin cos tan sinh cosh tanh erf "
    "logaddexp add subtract multiply divide hypot maximum minimum where equal not_equal less "
    "less_equal greater greater_equal logical_and logical_or logical_xor logical_not isnan "
    "isinf isfinite bitwise_and bitwise_or bitwise_xor reshape broadcast_to "
).split()

TABLE: Final[dict[str, str | Lowering]] = {
    **{name: name for name in NAMESAKES},
    # elementwise
    "sign": lambda x: jnp.sign(x) + jnp.zeros((), x.dtype),  # -0.0 gives +0.0
    **{f"a{name}": f"arc{name}" for name in "sin cos tan sinh cosh".split()},
    "atanh": _atanh,
    "sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
    "softplus": lambda x: jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))),
    "relu": lambda x: jnp.maximum(x, 0),
    "power": _power,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "atan2": "arctan2",
    "clip": lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high),
    **{name: _rounding(name) for name in ("floor", "ceil", "trunc")},
    "round": _rounding("rint"),
    "bitwise_invert": "invert",
    "bitwise_left_shift": _shift("left_shift"),
    "bitwise_right_shift": _shift("right_shift"),
    "stop_gradient": "positive",
    "astype": _astype,
    # movement
    "permute_dims": "transpose",
    "slice": _slice,
    "flip": lambda x, axes: lax.rev(x, dimensions=axes),
    "pad": _pad,
    "concat": lambda *arrays, axis: jnp.concatenate(arrays, axis=axis),
    # reductions and scans
    "sum": _sum,
    "prod": lambda x, axes, keepdims: jnp.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype),
    **{name: _reduction(name) for name in ("max", "min", "all", "any")},
    **{name: _place(name) for name in ("argmax", "argmin")},
    "logsumexp": _logsumexp,
    "cumulative_sum": lambda x, axis: jnp.cumsum(x, axis=axis, dtype=x.dtype),
    "softmax": _softmax,
    "argsort": lambda x, axis: jnp.argsort(x, axis=axis, stable=True).astype(INT64),
    # products, places, randomness
    "matmul": _matmul,
    "take": _take,
    "scatter_add": _scatter_add,
    "one_hot": _one_hot,
    "random_bits": random_bits,
    "fold_in": fold_in,
}


def lowering(name: str) -> Lowering:
    """What computes the operation called ``name``, under that name in traces and profiles."""
    row = TABLE[name]
    if isinstance(row, str):
        row = getattr(jnp if hasattr(jnp, row) else lax, row)
    named: Lowering = jax.named_call(row, name=name)
    return named
