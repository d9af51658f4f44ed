"""Whether a training can fit into memory, before it is tried for minutes."""

from __future__ import annotations

import os

from chainrule.errors import ParameterError

COPIES = 2  # of all weights: themselves and their gradient; most optimizers keep more


def physical_bytes() -> int | None:
    """The memory of this machine; None where the system does not tell."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= {*names}:
        return None
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return found if found > 0 else None


def require_memory(parameters: int, networks: int, itemsize: int) -> None:
    """Refuse more weights than memory holds.

    Parameters
    ----------
    parameters : int
        Of one network.
    networks : int
        That train at once.
    itemsize : int
        Bytes of a number.

    Raises
    ------
    ParameterError
        If the weights and their gradient alone are larger than all memory.
    """
    there, needed = physical_bytes(), COPIES * parameters * networks * itemsize
    if there is not None and needed > there:
        most = there * networks // needed
        raise ParameterError(
            f"{networks:,} networks of {parameters:,} parameters take {needed / 2**30:,.0f} GiB to"
            f" train, and this machine has {there / 2**30:,.0f}; train "
            + (f"at most {most:,} at once, or smaller ones" if most else "a smaller one")
        )
