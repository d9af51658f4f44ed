"""The networks that dropout trains: each with other units left out, for all rows the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from chainrule.errors import ParameterError
from chainrule.networks.contents import built, described
from chainrule.networks.network import Network
from chainrule.nn.base import Layer
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Linear
from chainrule.shapes import Array
from chainrule.training.snapshot import Snapshot, Tree


def thinned(network: Network, members: int, seed: int) -> Network | None:
    """Members, each the network with other units dropped; None where nothing drops any.

    A member drops the same units for every row, so that what it says of a row depends on no other.

    Parameters
    ----------
    network : Network
        A single one; behind each Dropout layer stands a Linear one.
    members : int >= 1
    seed : int

    Raises
    ------
    ParameterError
        If the network has members already, or other layers take what is left of the units.

    References
    ----------
    Y. Gal and Z. Ghahramani 2016, Dropout as a Bayesian approximation: representing model
    uncertainty in deep learning, section 4.

    Examples
    --------
    >>> model = Network([Linear(1, 8), Dropout(0.5), Linear(8, 1)], seed=0)
    >>> thinned(model, 5, seed=0).predict([[0.0], [1.0], [2.0]], members="all").shape
    (5, 3, 1)
    """
    followed = _followed(network.layers)
    if not followed:
        return None
    if network.members is not None:
        raise ParameterError(f"the network has {network.members} members; thin one of them")
    whole = network.snapshot()
    draw = np.random.Generator(np.random.Philox(seed))
    singles = []
    for _ in range(members):
        parameters: Tree = {name: dict(own) for name, own in whole.parameters.items()}
        for dropout, linear in followed:
            own = parameters[str(linear.name)]
            own["W"] = _without_units(own["W"], dropout.keep, draw)
        singles.append(Snapshot(parameters, whole.states))
    layers = built([described(layer) for layer in network.layers])
    found = Network(layers, seed=network.seed, dtype=network.dtype)
    found.publish(Snapshot.of_members(singles))
    return found


def _followed(layers: tuple[Layer, ...]) -> list[tuple[Dropout, Linear]]:
    """The layers that drop units, each with the one that takes what is left."""
    found = []
    for layer, after in pairwise((*layers, None)):
        if not isinstance(layer, Dropout) or not layer.rate:
            continue
        if not isinstance(after, Linear):
            raise ParameterError(
                f"{layer.label} drops units that no Linear layer takes; put it in front of one"
            )
        followed = layer, after
        found.append(followed)
    return found


def _without_units(weights: Array, keep: float, draw: np.random.Generator) -> Array:
    """Weights (inputs, outputs) of inputs of which a share ``keep`` is left."""
    kept = draw.random(len(weights)) < keep
    found: Array = weights * (kept / keep)[:, None].astype(weights.dtype)
    return found
