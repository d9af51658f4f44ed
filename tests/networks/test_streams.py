"""What is drawn from one seed comes from streams that do not meet."""

from __future__ import annotations

import numpy as np

from chainrule.engines.reference import keys_of
from chainrule.nn import Linear, Network
from chainrule.ops import random


def test_streams_of_one_seed_are_distinct() -> None:
    seed = random.key(5)
    epochs = [random.fold_in(seed, epoch) for epoch in range(50)]
    others = [random.fold_in(seed, stream) for stream in random.Stream]
    steps = [key for keys in keys_of(5, range(5), 20) for key in keys]
    layers = [random.fold_in(others[0], place) for place in range(20)]
    found = {key.tobytes() for key in [seed, *epochs, *others, *steps, *layers]}
    assert len(found) == 1 + 50 + len(random.Stream) + 100 + 20


def test_the_parameters_of_a_network_do_not_follow_the_order_of_its_rows() -> None:
    weights = Network([Linear(20, 20)], seed=5, dtype="float64").layers[0].values["W"].reshape(-1)
    order = random.permutation(random.fold_in(random.fold_in(random.key(5), 0), 0), weights.size)
    assert not np.array_equal(np.argsort(weights), order)
