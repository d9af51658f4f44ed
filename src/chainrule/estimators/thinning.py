"""How far a network with dropout disagrees with itself: Monte Carlo dropout."""

from __future__ import annotations

from typing import Final

import numpy as np

from chainrule.networks import Network
from chainrule.networks.thinning import thinned
from chainrule.shapes import Array

PASSES: Final = 32


def passes_of(network: Network) -> Network | None:
    """PASSES members, each the network with other units dropped; None where there is no need.

    Several members disagree by themselves; a network without dropout never does.
    """
    return thinned(network, PASSES, network.seed) if network.members is None else None


def variances(outputs: Array, X: Array, passes: Network | None) -> Array:
    """How far numbers (members, n, 1) of one table vary: over members, else over ``passes``; (n,).

    Parameters
    ----------
    outputs : (members, n, 1) array
    X : (n, features) array
        What the members were given.
    passes : Network or None
        As :func:`passes_of` gives it.
    """
    if passes is not None:
        outputs = np.asarray(passes.predict(X, members="all"), np.float64)
    found: Array = outputs[:, :, 0].var(axis=0)
    return found
