"""Many networks at once are the same numbers as one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.errors import ParameterError
from chainrule.nn import Activation, BatchNorm, Dropout, Linear, Network
from chainrule.optim import Adam
from chainrule.training.task import split_rows
from tests.training import problem

X, Y = problem.data()
SETTINGS: dict[str, Any] = {"optimizer": Adam(0.05), "epochs": 6, "batch_size": 8, "seed": 9}


def network(*middle: Any, **settings: Any) -> Network:
    layers = [Linear(3, 5), *middle, Activation("tanh"), Linear(5, 3), Activation("softmax")]
    return Network(layers, **{"seed": 4, "dtype": "float64", **settings})


@pytest.mark.parametrize("extra", [{}, {"l2": 0.01}, {"sample_weight": 1 + np.arange(22) % 3}])
@pytest.mark.parametrize("middle", [(), (BatchNorm,)])
def test_members_are_single_trainings_from_the_same_parameters(extra: Any, middle: Any) -> None:
    def model() -> Network:
        return network(*[kind(5) for kind in middle])

    together = model()
    together.fit(X, Y, members=3, **{**SETTINGS, "epochs": 0})
    singles = [together.member(each) for each in range(3)]
    np.testing.assert_array_equal(singles[0].predict(X), model().predict(X))
    history = together.fit(X, Y, **SETTINGS, **extra)
    alone = [single.fit(X, Y, **SETTINGS, **extra) for single in singles]
    for each, single in enumerate(singles):
        np.testing.assert_allclose(
            together.predict(X, members="all")[each], single.predict(X), rtol=1e-9
        )
        for ours, theirs in zip(
            together.member(each).snapshot().leaves, single.snapshot().leaves, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        history.step_losses, np.stack([each.step_losses for each in alone], axis=-1), rtol=1e-9
    )
    np.testing.assert_allclose(history["loss"], np.mean([each["loss"] for each in alone], axis=0))


def test_members_start_from_different_parameters() -> None:
    model = network()
    model.fit(X, Y, members=4, **SETTINGS)
    outputs = model.predict(X, members="all")
    assert outputs.shape == (4, 22, 3)
    np.testing.assert_allclose(model.predict(X), outputs.mean(axis=0))
    assert len({each.tobytes() for each in outputs}) == 4


@pytest.mark.parametrize("validation", [None, 0.3])
def test_restarts_keep_the_best(validation: Any) -> None:
    many, model = network(), network()
    history = many.fit(X, Y, members=4, validation=validation, **SETTINGS)
    model.fit(X, Y, restarts=4, validation=validation, **SETTINGS)
    assert model.members is None
    if validation:
        rows = split_rows(22, 0.3, SETTINGS["seed"])[1]
        outputs = many.predict(X[rows], members="all")
        losses = -np.log(outputs[:, np.arange(len(rows)), Y[rows]]).mean(axis=1)
    else:  # the last epoch's loss, row by row: batches of 8, 8 and 6
        losses = np.average(history.step_losses[-1], axis=0, weights=[8, 8, 6])
    best = many.member(int(np.argmin(losses)))
    np.testing.assert_array_equal(model.predict(X), best.predict(X))


def test_each_member_keeps_its_own_best_epoch() -> None:
    together = network()
    together.fit(X, Y, members=3, **{**SETTINGS, "epochs": 0})
    singles = [together.member(each) for each in range(3)]
    settings = {**SETTINGS, "epochs": 40, "optimizer": Adam(0.1), "validation": 0.4}
    together.fit(X, Y, **settings)
    epochs = [single.fit(X, Y, **settings).best_epoch for single in singles]
    assert len(set(epochs)) > 1
    for each, single in enumerate(singles):
        np.testing.assert_allclose(together.member(each).predict(X), single.predict(X), rtol=1e-6)


def test_what_members_cannot_do() -> None:
    model = network()
    with pytest.raises(ParameterError, match="not both"):
        model.fit(X, Y, members=2, restarts=2)
    model.fit(X, Y, members=2, **SETTINGS)
    with pytest.raises(ParameterError, match="has 2 members"):
        model.fit(X, Y, members=3)
    with pytest.raises(ParameterError, match="there is no member 2"):
        model.member(2)
    with pytest.raises(ParameterError, match=r"model\.member\(0\)"):
        model.forward(X)
    with pytest.raises(ParameterError, match="one network at a time"):
        model.fit(X, Y, optimizer="lbfgs")
    assert "in each of 2 members" in model.summary()


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_members_drop_units_of_their_own(engine: str) -> None:
    X = np.ones((64, 3), np.float32)
    y = np.linspace(0, 1, 64)[:, None]
    model = Network([Linear(3, 5), Dropout(0.5), Linear(5, 1)], seed=0)
    model.fit(X, y, members=4, epochs=0, seed=0)
    one = {name: dict(named) for name, named in model.parameters.items()}
    for named in one.values():
        for name, array in named.items():
            named[name] = np.repeat(array[:1], 4, axis=0)
    model.publish(model.snapshot()._replace(parameters=one))
    model.fit(X, y, optimizer="sgd", epochs=1, seed=0, engine=engine)
    trained = model.parameters["linear3"]["W"]
    assert len({trained[member].tobytes() for member in range(4)}) == 4
