"""Counter-based random numbers: the same key gives the same bits, in any order, on any engine.

There is one primitive, ``random_bits``, which is Threefry-2x32 with 20 rounds (Salmon, Moraes,
Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"). A key is two unsigned 32-bit
numbers; ``fold_in`` makes a new key from a key and a number, so that every layer of every step
of every epoch has bits of its own.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError, ShapeError
from chainrule.graph.op import Kind, Op, register
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, cast
from chainrule.ops.movement import broadcast_to
from chainrule.ops.reduce import argsort
from chainrule.shapes import UINT32, Array, Dtype, Shape, TensorType, as_dtype, as_shape


class Stream(IntEnum):
    """What is drawn from a seed by a key of its own; the other keys are those of epochs, from 0."""

    SHARDS = 2**32 - 4
    PARAMETERS = 2**32 - 3
    MEMBERS = 2**32 - 2
    HELD_OUT_ROWS = 2**32 - 1


ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
_WORD: dict[int, Dtype] = {width: np.dtype(f"uint{width}") for width in (8, 16, 32, 64)}


def threefry(key: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """The Threefry-2x32-20 block cipher.

    Parameters
    ----------
    key : (..., 2) uint32
    first, second : uint32
        The two words of the counter; they broadcast with ``key[..., 0]``.

    Returns
    -------
    tuple of two uint32 arrays
    """
    words = (key[..., 0], key[..., 1], key[..., 0] ^ key[..., 1] ^ PARITY)
    x, y = np.asarray(first + words[0], np.uint32), np.asarray(second + words[1], np.uint32)
    turned = np.empty_like(y)
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:  # in place: a third of the time
            x += y
            np.left_shift(y, np.uint32(rotation), out=turned)
            y >>= np.uint32(32 - rotation)
            y |= turned
            y ^= x
        x += words[(group + 1) % 3]
        y += words[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def _words(numbers: Array) -> tuple[Array, Array]:
    """The low and the high word of 64-bit numbers."""
    low = (numbers & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return low, (numbers >> np.uint64(32)).astype(np.uint32)


def _is_key(key: TensorType) -> None:
    if key.dtype != UINT32 or not key.shape or key.shape[-1] != 2:
        raise ShapeError(
            f"a key is two numbers of type uint32, got {key}; make one with cr.random.key(seed)"
        )


def _bits_type(key: TensorType, shape: Shape, width: int) -> TensorType:
    _is_key(key)
    return TensorType(_WORD[width], (*key.shape[:-1], *shape))


def _numpy_bits(key: Array, shape: tuple[int, ...], width: int) -> Array:
    """Block ``i`` of the stream, 64 bits, is the cipher of counter ``i``, its low word first."""
    count = math.prod(shape)
    blocks = np.arange(-(-count * width // 64), dtype=np.uint64)
    low, high = _words(blocks)
    words = np.stack(threefry(key[..., None, :], low, high), axis=-1).astype("<u4")
    stream = words.reshape(*key.shape[:-1], 2 * blocks.size)
    flat: Array = stream.view(_WORD[width].newbyteorder("<"))[..., :count].astype(_WORD[width])
    return flat.reshape((*key.shape[:-1], *shape))


def _fold_type(key: TensorType, number: TensorType) -> TensorType:
    _is_key(key)
    if number.shape not in ((), key.shape[:-1]):
        raise ShapeError(f"one number for each key is needed, got numbers of shape {number.shape}")
    return key


def _numpy_fold(key: Array, number: Array) -> Array:
    low, high = _words(number.astype(np.uint64))
    return np.stack(threefry(key, low, ~high), axis=-1)


RANDOM_BITS = register(
    Op("random_bits", Kind.RANDOM, _bits_type, _numpy_bits,
       vjp=lambda g, y, key, shape, width: (None,), symbol="bits",
       summary="Uniform random bits from a key.")
)  # fmt: skip
FOLD_IN = register(
    Op("fold_in", Kind.RANDOM, _fold_type, _numpy_fold, vjp=lambda g, y, key, number: (None, None),
       symbol="fold", summary="A new key from a key and a number.")
)  # fmt: skip


def key(seed: int) -> Array:
    """The key of a seed.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.

    Returns
    -------
    (2,) uint32

    Examples
    --------
    >>> key(7)
    array([7, 0], dtype=uint32)
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ParameterError(f"a seed must be an integer from 0 to 2**64 - 1, got {seed!r}")
    return np.array([seed & 0xFFFFFFFF, int(seed) >> 32], np.uint32)


def fold_in(key: Any, number: Any) -> Any:
    """A new key from a key and a number (below 2**64): a stream of its own.

    Examples
    --------
    >>> bool((fold_in(key(7), 0) == fold_in(key(7), 1)).any())
    False
    """
    return apply(FOLD_IN, key, number)


def split(key: Any, count: int) -> Any:
    """As many keys as ``count``, one below the other: each a stream of its own.

    Examples
    --------
    >>> split(key(7), 3).shape
    (3, 2)
    """
    return fold_in(broadcast_to(key, (count, 2)), np.arange(count, dtype=np.uint32))


def random_bits(key: Any, shape: Any = (), width: int = 32) -> Any:
    """Uniform random unsigned integers of ``width`` bits (8, 16, 32 or 64).

    Examples
    --------
    >>> [hex(word) for word in random_bits(key(0), (2,))]
    ['0x6b200159', '0x99ba4efe']
    """
    if width not in _WORD:
        raise ParameterError(f"width must be 8, 16, 32 or 64, got {width!r}")
    return apply(RANDOM_BITS, key, shape=as_shape(shape), width=width)


def uniform(
    key: Any, shape: Any = (), low: Any = 0.0, high: Any = 1.0, dtype: npt.DTypeLike = np.float64
) -> Any:
    """Uniform random numbers, ``low`` included and ``high`` excluded (up to rounding).

    float32 takes 24 random bits a number, float64 takes 53.

    Examples
    --------
    >>> uniform(key(0), (3,)).round(4)
    array([0.6005, 0.7534, 0.9847])
    """
    found = as_dtype(dtype)
    width, kept = (32, 24) if found.itemsize == 4 else (64, 53)
    kept_bits = ew.bitwise_right_shift(random_bits(key, shape, width), width - kept)
    unit = cast(kept_bits, found) * 2.0**-kept
    return unit if (low, high) == (0.0, 1.0) else low + unit * (high - low)


def bernoulli(key: Any, probability: float, shape: Any = ()) -> Any:
    """Truth values that hold with ``probability``, to the nearest 2**-16: 16 random bits a draw.

    Raises
    ------
    ParameterError
        For a probability outside 0 to 1.

    Examples
    --------
    >>> float(bernoulli(key(0), 0.25, (1000,)).mean())
    0.255
    """
    if not 0 <= probability <= 1:
        raise ParameterError(f"a probability lies between 0 and 1, got {probability!r}")
    return ew.less(cast(random_bits(key, shape, 16), UINT32), round(probability * 65536))


def normal(key: Any, shape: Any = (), dtype: npt.DTypeLike = np.float64) -> Any:
    """Normal random numbers of mean 0 and variance 1, by Box and Muller (1958).

    Examples
    --------
    >>> normal(key(0), (3,)).round(4)
    array([-1.8181,  1.291 , -1.3117])
    """
    radius = uniform(fold_in(key, 0), shape, dtype=dtype)
    angle = uniform(fold_in(key, 1), shape, dtype=dtype)
    return ew.sqrt(-2.0 * ew.log1p(-radius)) * ew.cos((2 * math.pi) * angle)


def permutation(key: Any, count: int) -> Any:
    """The numbers below ``count`` in random order: the stable order of that many random words.

    Examples
    --------
    >>> permutation(key(0), 5)
    array([2, 4, 0, 1, 3])
    """
    return argsort(random_bits(key, (count,), 32))
