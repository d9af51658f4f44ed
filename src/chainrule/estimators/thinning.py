"""How far a network with dropout disagrees with itself: Monte Carlo dropout.

Y. Gal and Z. Ghahramani 2016, Dropout as a Bayesian approximation: representing model uncertainty
in deep learning, section 4.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from chainrule.networks import Network
from chainrule.networks.contents import built, described
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Linear
from chainrule.shapes import Array
from chainrule.training.snapshot import Snapshot, Tree

PASSES: Final = 32


def thinned(network: Network) -> Network | None:
    """PASSES members, each the network with other units dropped; None where it drops none.

    A member drops the same units for every row, so that what it says of a row depends on no other.
    """
    followed = [
        (layer, after)
        for layer, after in pairwise(network.layers)
        if isinstance(layer, Dropout) and isinstance(after, Linear) and layer.rate
    ]
    if network.members is not None or not followed:
        return None
    whole = network.snapshot()
    draw = np.random.Generator(np.random.Philox(network.seed))
    members = []
    for _ in range(PASSES):
        parameters: Tree = {name: dict(own) for name, own in whole.parameters.items()}
        for dropout, linear in followed:
            own = parameters[str(linear.name)]
            own["W"] = _without_units(own["W"], dropout.keep, draw)
        members.append(Snapshot(parameters, whole.states))
    found = Network(
        built([described(layer) for layer in network.layers]),
        seed=network.seed,
        dtype=network.dtype,
    )
    found.publish(Snapshot.of_members(members))
    return found


def _without_units(weights: Array, keep: float, draw: np.random.Generator) -> Array:
    """Weights (inputs, outputs) of inputs of which a share ``keep`` is left."""
    kept = draw.random(len(weights)) < keep
    found: Array = weights * (kept / keep)[:, None].astype(weights.dtype)
    return found


def variances(outputs: Array, X: Array, passes: Network | None) -> Array:
    """How far numbers (members, n, 1) of one table vary: over members, else over ``passes``; (n,).

    Parameters
    ----------
    outputs : (members, n, 1) array
    X : (n, features) array
        What the members were given.
    passes : Network or None
        As :func:`thinned` gives it.
    """
    if passes is not None and len(X):
        outputs = np.asarray(passes.predict(X, members="all"), np.float64)
    found: Array = outputs[:, :, 0].var(axis=0)
    return found
