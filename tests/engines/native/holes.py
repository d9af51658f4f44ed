"""Load a program where memory is full of holes; the argument says whether in one block."""

import ctypes
import sys

import numpy as np

import chainrule as cr
from chainrule.engines.native import jit

PAGE = 4096
GIB = 2**30
FAILED = 2**64 - 1  # what mmap returns then
UNFILLED = 77  # the status where the system does not give so many addresses
PRIVATE, RESERVED = 0x22, 0x4000  # MAP_PRIVATE | MAP_ANONYMOUS, MAP_NORESERVE

system = ctypes.CDLL(None)
system.mmap.restype = ctypes.c_void_p
system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def reserved(size):
    """Addresses that nobody else gets."""
    place = system.mmap(None, size, 0, PRIVATE | RESERVED, -1, 0)
    if place == FAILED:
        sys.exit(UNFILLED)
    return place


def fill():
    """Close the holes that are there, and leave others, of a page each and 3 GiB apart.

    Each has room for the code of a small program, or for its constants.
    """
    lowest = reserved(64 * GIB)  # below all that is there
    for size in (GIB, GIB // 4, 2**26, 2**24, 2**20, 2**16, 4 * PAGE, PAGE):
        while (place := reserved(size)) > lowest:  # in a hole
            pass
        lowest = place
    holes = []
    for _ in range(20):
        holes.append(reserved(PAGE))
        reserved(3 * GIB + PAGE)  # whole huge pages would be aligned, and leave holes
    for place in holes:
        system.munmap(place, PAGE)


if __name__ == "__main__":
    jit.ONE_BLOCK = sys.argv[1] == "1"
    compute = cr.compile(lambda x: cr.tanh(x @ x) + cr.exp(x), engine="native")
    compute(np.eye(3, dtype="f4"))
    fill()
    for size in range(4, 12):
        compute(np.eye(size, dtype="f4"))
    print("loaded")
