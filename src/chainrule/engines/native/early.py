"""Orders of rows that are made an epoch early, by a thread that has nothing else to do.

Small networks gain, whose steps are not worth sharing: a row takes some nanoseconds to be put in
its place, and few more to be learned from. An order depends on seed and epoch alone, so that it is
the same whoever makes it.
"""

from __future__ import annotations

import ctypes

import numpy as np

from chainrule.engines.native.ahead import AHEAD, CALLED, Word
from chainrule.engines.native.runtime import THREADS, runtime
from chainrule.engines.native.threads import Control
from chainrule.shapes import INT64, Array


class EarlyOrders:
    """Orders the rows of a call's epochs, each while the one before it runs.

    Parameters
    ----------
    control : Control
        Of threads that the program itself does not share its steps with.
    ordering : int
        The address of the function that orders rows.
    seed, sorting : arrays
        What that function is given.
    rows : int
    end : int
        The first epoch behind those of the call.

    Attributes
    ----------
    address : int
        Of the function that a program calls in place of ``ordering``.
    work : (10,) int64
        What it is given in place of ``sorting``.
    """

    def __init__(
        self, control: Control, ordering: int, seed: Array, sorting: Array, rows: int, end: int
    ) -> None:
        room = np.empty(rows, np.int64)
        self._kept = control, seed, sorting, room
        self.address = runtime(THREADS).address(AHEAD)
        self.work = np.zeros(len(Word), INT64)
        for word, value in (
            (Word.CONTROL, control.address),
            (Word.ORDERING, ordering),
            (Word.SEED, seed.ctypes.data),
            (Word.ROWS, rows),
            (Word.ROOM, room.ctypes.data),
            (Word.SORTING, sorting.ctypes.data),
            (Word.END, end),
        ):
            self.work[word] = value

    def call(self, program: int, places: int, first: int, epochs: int) -> None:
        """Run a program; afterwards nobody is at work on the order of an epoch that did not come.

        Parameters
        ----------
        program : int
            Its address.
        places, first, epochs : int
            What it is given.
        """
        address, number = ctypes.c_void_p, ctypes.c_int64
        kinds = address, address, number, number, address
        call = runtime(THREADS).function(CALLED, None, *kinds)
        call(program, places, first, epochs, self.work.ctypes.data)
