"""The doctor: forty planted faults, and nothing to say of what is healthy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from chainrule.nn import (
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    Network,
    Standardize,
)
from chainrule.optim import SGD, Adam
from chainrule.training import Doctor, TargetWarning, doctor, examine
from chainrule.training.findings import KINDS, Finding
from tests.clock import Clock
from tests.training import faults
from tests.training.faults import FAULTS, Case, Fault

SENTENCE = (
    r"^[a-z]+ [a-z]+: .*; likely cause: .*; try .*$|^divergence: .*; likely cause: .*; try .*$"
)


def diagnosed(case: Case, engine: str = "reference") -> list[Finding]:
    """What the doctor finds in a training."""
    watching = Doctor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it diverged
        case.model.fit(case.X, case.y, seed=0, **case.settings, engine=engine, callbacks=[watching])
    return watching.findings


def fits(finding: Finding, fault: Fault) -> bool:
    named = ("layer", "operation", "rows", "columns")
    return finding.kind == fault.kind and all(
        getattr(fault, name) in (None, getattr(finding, name)) for name in named
    )


def test_there_are_forty() -> None:
    assert len(FAULTS) == 40
    assert {fault.kind for fault in FAULTS.values()} == {*KINDS}


@pytest.mark.parametrize("name", FAULTS)
def test_the_right_diagnosis(name: str) -> None:
    fault = FAULTS[name]
    case = (fault.base or faults.regression)()
    fault.plant(case)
    findings = diagnosed(case)
    hits = [finding for finding in findings if fits(finding, fault)]
    assert hits, list(map(str, findings))
    for finding in findings:
        assert "\n" not in str(finding)
        assert finding.cause and finding.change and finding.kind in KINDS
    assert str(hits[0]).startswith(f"{fault.kind}: ")


@pytest.mark.parametrize("make", [faults.regression, faults.classification])
def test_without_the_fault_there_is_nothing(make: Any) -> None:
    case = make()
    assert examine(case.model, case.X, case.y) == []
    assert diagnosed(case) == []
    assert str(Doctor()) == "nothing was found that keeps it from learning"


HEALTHY: dict[str, Any] = {
    "relu": lambda: faults.stack(2),
    "tanh": lambda: faults.stack(3, "tanh"),
    "sigmoid": lambda: faults.stack(2, "sigmoid"),
    "gelu": lambda: faults.stack(3, "gelu"),
    "prelu": lambda: faults.stack(2, "prelu"),
    "deep": lambda: faults.stack(10, "leaky_relu"),
    "deep tanh": lambda: faults.stack(20, "tanh"),
    "batch norm": faults.batched,
    "linear": lambda: Network([Linear(4, 1)], seed=0),
    "float64": lambda: faults.stack(2, dtype="float64"),
    "standardized": faults.standardized,
}


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("kind", HEALTHY)
def test_healthy_networks(kind: str, engine: str) -> None:
    case = faults.regression()
    case.model, case.settings = HEALTHY[kind](), {"epochs": 30, "optimizer": Adam(3e-3)}
    assert examine(case.model, case.X, case.y) == []
    assert diagnosed(case, engine) == []


def test_what_a_standardizing_layer_mends_is_no_fault() -> None:
    case = faults.regression()
    case.X[:, 1] = 40_000 + 9_000 * case.X[:, 1]
    case.model = faults.standardized()
    assert examine(case.model, case.X, case.y) == []


def test_fit_warns_of_a_target_that_is_the_same_in_every_row() -> None:
    X, rows = np.linspace(-1, 1, 40)[:, None], np.arange(40)
    settings: dict[str, Any] = {"epochs": 1, "engine": "reference"}
    one = "column 0 of the target is 3 in every row"
    with pytest.warns(TargetWarning, match=one) as caught:
        Network([Linear(1, 1)], seed=0).fit(X, np.full(40, 3.0), **settings)
    assert len(caught) == 1 and caught[0].filename == __file__
    both = np.full((40, 2), 3.0)
    with pytest.warns(TargetWarning, match=one) as caught:
        Network([Linear(1, 2)], seed=0).fit(X, both, **settings)
    assert len(caught) == 1  # silent: a column of several, such as an autoencoder's black pixel
    Network([Linear(1, 2)], seed=0).fit(X, np.stack([rows, 0 * rows], axis=1), **settings)
    held_out = Network([Linear(1, 1)], seed=0)  # what varies among rows that are held out
    with pytest.warns(TargetWarning, match=one):
        held_out.fit(X, np.where(rows < 20, 3.0, rows), validation=rows[20:], **settings)
    late = np.where(rows < 39, 3.0, 4.0)  # and what does not vary at first: these are silent
    Network([Linear(1, 1)], seed=0).fit(X, late, **settings)
    own = lambda found, target: (found - target) ** 2  # noqa: E731
    Network([Linear(1, 1)], seed=0).fit(X, 0 * rows, loss=own, **settings)


def test_columns_have_names() -> None:
    case = faults.regression()
    case.X[:, 1] *= 1e5
    names = ["age", "income", "rooms", "floor"]
    (finding,) = examine(case.model, case.X, case.y, columns=names)
    assert "column 'income' has a root mean square of" in finding.what
    watching = Doctor(columns=names)
    case.model.fit(case.X, case.y, epochs=1, callbacks=[watching])
    assert "column 'income'" in str(watching)


def test_members_and_other_inputs() -> None:
    X = np.random.default_rng(0).integers(0, 5, (80, 3))
    model = Network([Embedding(5, 4), Flatten(), Linear(12, 2), Activation("softmax")], seed=0)
    y = (X[:, 0] + X[:, 1] > 4).astype(int)
    assert examine(model, X, y) == []
    case = faults.classification()
    case.settings |= {"members": 3, "epochs": 3}
    assert diagnosed(case) == []
    several = np.column_stack([case.X[:, 0] > 0.1, case.X[:, 1] > 0, case.X[:, 2] ** 2 > 1])
    many = faults.stack(last="sigmoid", n_out=3)
    (finding,) = examine(many, case.X, several.astype(float), loss="binary_cross_entropy")
    assert finding.kind == "leaking target" and finding.columns == (0, 1)


def test_a_loss_that_grows_while_it_is_finite() -> None:
    case = faults.regression()
    case.model = Network([Linear(4, 1, name="line")], seed=0)
    case.settings = {"optimizer": SGD(1.2), "epochs": 12, "batch_size": None}
    (finding,) = diagnosed(case)
    assert finding.kind == "divergence" and "the loss grew from" in finding.what
    assert finding.change == "a tenth of the learning rate"


def test_it_does_not_change_the_training() -> None:
    plain, watched = faults.classification(), faults.classification()
    history = plain.model.fit(plain.X, plain.y, epochs=20, seed=0)
    found = watched.model.fit(watched.X, watched.y, epochs=20, seed=0, callbacks=[Doctor()])
    np.testing.assert_array_equal(history.step_losses, found.step_losses)
    for one, other in zip(
        plain.model.snapshot().leaves, watched.model.snapshot().leaves, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_healthy_training_has_no_findings(engine: str) -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(2000, 20))
    y = (X[:, :3].sum(axis=1) + draw.normal(size=2000) > 0).astype(int)
    layers = [
        Linear(20, 64),
        Activation("relu"),
        Dropout(0.1),
        Linear(64, 2),
        Activation("softmax"),
    ]
    watching = Doctor()
    Network(layers, seed=0).fit(X, y, epochs=40, engine=engine, callbacks=[watching])
    assert watching.findings == []


def test_a_slow_look_is_taken_rarely(monkeypatch: Any) -> None:
    """All looks but the first and the last take their share of a training's time, no more."""
    clock, looks, seconds = Clock(), 0, 0.02  # of a look, and of an epoch

    def slow(*_: Any) -> list[Finding]:
        nonlocal looks
        looks += 1
        clock.sleep(seconds)
        return []

    monkeypatch.setattr(doctor, "diagnose", slow)
    monkeypatch.setattr(doctor, "time", clock)
    monkeypatch.setattr(doctor, "FIRST_SECONDS", 0.05)
    case = faults.regression()
    passing = [Doctor(), lambda run: clock.sleep(seconds)]
    case.model.fit(case.X, case.y, epochs=100, callbacks=passing)
    assert 3 <= looks <= 2 + doctor.SHARE * clock.now / seconds


def test_layers_of_every_kind_can_be_examined() -> None:
    case = faults.regression()
    layers = [Standardize(), Linear(4, 8), BatchNorm(8), Activation("softplus"), Linear(8, 1)]
    assert examine(Network(layers, seed=0), case.X, case.y) == []
