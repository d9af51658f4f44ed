"""Random bits in JAX: the cipher of ``chainrule.ops.random``, to the bit.

JAX has a Threefry of its own, whose counters are laid out in another way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.engines.xla.library import jnp, lax
from chainrule.ops.random import PARITY, ROTATIONS


def threefry(key: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """The Threefry-2x32-20 block cipher of a key, (..., 2) uint32, and the words of a counter.

    On the CPU each four rounds are a loop of their own: all together take XLA seconds to compile.
    """
    words = (key[..., 0], key[..., 1], key[..., 0] ^ key[..., 1] ^ PARITY)
    x, y = jnp.broadcast_arrays(first + words[0], second + words[1])
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            x = x + y
            y = ((y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))) ^ x
        x, y = x + words[(group + 1) % 3], y + words[(group + 2) % 3] + np.uint32(group + 1)
        x, y = lax.platform_dependent((x, y), cpu=lax.optimization_barrier, default=tuple)
    return x, y


def _words(numbers: Any) -> tuple[Any, Any]:
    """The low and the high word of 64-bit numbers."""
    low = (numbers & np.uint64(0xFFFFFFFF)).astype(jnp.uint32)
    return low, (numbers >> np.uint64(32)).astype(jnp.uint32)


def fold_in(key: Any, number: Any) -> Any:
    """A new key from a key and a number."""
    low, high = _words(number.astype(jnp.uint64))
    return jnp.stack(jnp.broadcast_arrays(*threefry(key, low, ~high)), axis=-1)


def random_bits(key: Any, shape: tuple[int, ...], width: int) -> Any:
    """Uniform unsigned integers: the words of the stream, low ones first, cut into ``width``."""
    count = math.prod(shape)
    low, high = _words(jnp.arange(-(-count * width // 64), dtype=jnp.uint64))
    first, second = threefry(key[..., None, :], low, high)
    if width == 64:
        parts = [first.astype(jnp.uint64) | second.astype(jnp.uint64) << np.uint64(32)]
    else:
        shifts = [np.uint32(shift) for shift in range(0, 32, width)]
        parts = [word >> shift for word in (first, second) for shift in shifts]
    stream = jnp.stack(parts, axis=-1).astype(f"uint{width}").reshape(*key.shape[:-1], -1)
    return stream[..., :count].reshape(*key.shape[:-1], *shape)
