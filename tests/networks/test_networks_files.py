"""Models on disk: what comes back, and what is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import persist
from chainrule.errors import FileFormatError, ParameterError
from chainrule.networks.contents import KIND, packed
from chainrule.nn import (
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Linear,
    Network,
    PReLU,
)
from chainrule.training.history import History

RNG = np.random.default_rng(5)
X = RNG.normal(size=(30, 4))
Y = (X.sum(axis=1) > 0).astype(int)
NAN = float("nan")


def network() -> Network:
    """All kinds of layers with arrays."""
    return Network(
        [
            Linear(4, 6, name="first", weights="orthogonal"), BatchNorm(6, name="norm"),
            Activation(PReLU(6)), LayerNorm(6), Linear(6, 2, bias=False),
            Activation(LeakyReLU(0.2)), Dropout(0.0), Linear(2, 1), Activation("sigmoid"),
        ],
        seed=1,
    )  # fmt: skip


def trained(**settings: Any) -> Network:
    model = network()
    model.fit(X, Y, **{"epochs": 3, "seed": 2, "validation": 0.2, **settings})
    return model


@pytest.mark.parametrize("settings", [{}, {"members": 3}, {"restarts": 2}, {"epochs": 0}])
def test_a_model_comes_back_bit_for_bit(settings: dict[str, Any], tmp_path: Path) -> None:
    model = trained(**settings)
    path = tmp_path / "m.chainrule"
    model.save(path, extra={"columns": ["a", "b"], "note": None})
    found = cr.load(path)
    for ours, theirs in zip(model.snapshot().leaves, found.snapshot().leaves, strict=True):
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()
    assert found.predict(X, members="all").tobytes() == model.predict(X, members="all").tobytes()
    assert found.extra == {"columns": ["a", "b"], "note": None}
    assert (found.seed, found.members, found.dtype) == (model.seed, model.members, model.dtype)
    assert found.summary() == model.summary()
    ours, theirs = model.history, found.history
    assert ours is not None and theirs is not None
    assert list(ours) == list(theirs) and repr(ours) == repr(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    np.testing.assert_array_equal(ours.step_losses, theirs.step_losses)
    assert (ours.best_epoch, ours.stopped, ours.monitor, ours.seed) == (
        theirs.best_epoch, theirs.stopped, theirs.monitor, theirs.seed
    )  # fmt: skip
    assert packed(found._contents())[1] == packed(model._contents())[1]


def test_interruptions_are_kept_and_older_files_load_without() -> None:
    model = trained()
    assert model.history is not None and not model.history.interrupted
    model.history.interrupted = True
    facts, columns = model.history.packed()
    assert History.unpacked(facts, columns).interrupted
    del facts["interrupted"]
    assert not History.unpacked(facts, columns).interrupted


def test_a_loaded_model_trains_on_as_the_saved_one(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m")
    found = cr.load(tmp_path / "m")
    for each in (model, found):
        each.fit(X, Y, epochs=2, seed=7)
    assert found.predict(X).tobytes() == model.predict(X).tobytes()


def test_a_history_with_nan_comes_back(tmp_path: Path) -> None:
    model = trained()
    assert model.history is not None
    row = dict.fromkeys(model.history, NAN)
    model.history.append(row, np.full_like(model.history.step_losses[0], NAN))
    model.save(tmp_path / "m")
    found = cr.load(tmp_path / "m").history
    assert found is not None and np.isnan(found["loss"][-1])


def test_a_model_never_trained_comes_back(tmp_path: Path) -> None:
    model = Network([Embedding(5, 2), Flatten(), Linear(4, 1)], seed=0, dtype="float64")
    model.save(tmp_path / "m")
    assert cr.load(tmp_path / "m").history is None
    assert cr.load(tmp_path / "m").predict([[0, 4]]) == model.predict([[0, 4]])


def test_a_function_of_your_own_cannot_be_saved(tmp_path: Path) -> None:
    model = Network([Linear(2, 2), Activation(lambda x: x * x, name="square")])
    with pytest.raises(ParameterError, match="'square'"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_leaves_the_model_and_the_old_file(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m", extra={"a": 1})
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(ParameterError):
        model.save(tmp_path / "m", extra={"a": object()})
    assert (model.extra, (tmp_path / "m").read_bytes()) == ({"a": 1}, before)


def test_every_cut_and_flipped_bits_are_refused(tmp_path: Path) -> None:
    model = Network([Linear(2, 1)], seed=0)
    model.save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    damaged = tmp_path / "damaged"
    for length in range(len(whole)):
        damaged.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            cr.load(damaged)
    for place in range(len(whole)):
        damaged.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        )
        with pytest.raises(FileFormatError):
            cr.load(damaged)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    persist.write_file(tmp_path / "m", {}, {}, kind="table")
    with pytest.raises(FileFormatError, match="table"):
        cr.load(tmp_path / "m")
    with pytest.raises(FileNotFoundError):
        cr.load(tmp_path / "none")


# Files with a right digest and a wrong content

Arrays, Structure = dict[str, Any], dict[str, Any]
Change = Callable[[Arrays, Structure], Any]


def setting(place: int, **values: Any) -> Change:
    return lambda arrays, structure: structure["layers"][place]["settings"].update(values)


def without(name: str) -> Change:
    return lambda arrays, structure: arrays.pop(name)


def with_array(name: str, array: Any) -> Change:
    return lambda arrays, structure: arrays.update({name: array})


def fact(**values: Any) -> Change:
    return lambda arrays, structure: structure.update(values)


def history(**values: Any) -> Change:
    return lambda arrays, structure: structure["history"].update(values)


FIRST = "0.parameter.W"
HOSTILE: dict[str, Change] = {
    "unknown kind": lambda a, s: s["layers"][0].update(kind="Exploit"),
    "a kind that is no layer": lambda a, s: s["layers"][0].update(kind="Network"),
    "a kind that is no text": lambda a, s: s["layers"][0].update(kind=["Linear"]),
    "unknown setting": setting(0, path="/etc/passwd"),
    "setting of the wrong type": setting(0, n_in="4"),
    "negative size": setting(0, n_in=-4),
    "size of 10**300": setting(0, n_in=10**300),
    "huge layer": setting(0, n_out=10**12),
    "huge batch norm": setting(1, n=10**12, affine=False),
    "other sizes": setting(0, n_in=5),
    "unknown activation": setting(2, function={"kind": "Evil"}),
    "huge activation": setting(2, function={"kind": "PReLU", "n": 10**12, "initial": 0.1}),
    "unknown initializer": setting(0, weights={"kind": "Evil"}),
    "one name twice": setting(1, name="first"),
    "a name that is no text": setting(1, name=3),
    "no layers": fact(layers=[]),
    "layers that are no list": fact(layers=3),
    "a layer that is no record": fact(layers=[3]),
    "no such dtype": fact(dtype="float16"),
    "integers": fact(dtype="int32"),
    "other dtype": fact(dtype="float64"),
    "members": fact(members=2),
    "one member": fact(members=1),
    "members that are no number": fact(members="2"),
    "members that are true": fact(members=True),
    "negative seed": fact(seed=-1),
    "no seed": fact(seed=None),
    "extra": fact(extra=[1]),
    "missing array": without(FIRST),
    "missing state": without("1.state.running_mean"),
    "array too many": with_array("9.parameter.W", np.zeros(2, np.float32)),
    "state of a layer without": with_array("0.state.W", np.zeros(2, np.float32)),
    "transposed": with_array(FIRST, np.zeros((6, 4), np.float32)),
    "scalar": with_array(FIRST, np.zeros((), np.float32)),
    "wide state": with_array("1.state.running_mean", np.zeros((1, 6), np.float32)),
    "float64 among float32": with_array(FIRST, np.zeros((4, 6))),
    "integers among floats": with_array(FIRST, np.zeros((4, 6), np.int32)),
    "NaN": with_array(FIRST, np.full((4, 6), NAN, np.float32)),
    "infinity": with_array("1.state.running_var", np.full(6, np.inf, np.float32)),
    "no structure": lambda a, s: s.clear(),
    "history without steps": without("history.step_losses"),
    "column missing": without("history.epochs.loss"),
    "column too short": with_array("history.epochs.loss", np.zeros(1)),
    "column too many": with_array("history.epochs.other", np.zeros(3)),
    "best epoch": history(best_epoch=99),
    "best epoch that is text": history(best_epoch="1"),
    "best epoch that is a fraction": history(best_epoch=1.0),
    "best epoch that is true": history(best_epoch=True),
    "best epoch below zero": history(best_epoch=-1),
    "an interruption that is text": history(interrupted="no"),
    "columns": history(columns=["loss", "loss"]),
    "columns that are one text": history(columns="loss"),
    "columns that are numbers": history(columns=[1, 2]),
    "a seed that is text": history(seed="3"),
    "a seed below zero": history(seed=-1),
    "a seed that is a fraction": history(seed=3.5),
    "a monitor that is no column": history(monitor="nonsense"),
    "a monitor that is a list": history(monitor=["loss"]),
    "a reason that is a number": history(stopped=1),
    "steps without axis": with_array("history.step_losses", np.zeros(3)),
    "steps that are whole numbers": with_array("history.step_losses", np.zeros((3, 2), np.int64)),
    "history of the wrong type": fact(history=[1]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_refused_without_allocating(name: str, tmp_path: Path) -> None:
    arrays, structure = packed(trained()._contents())
    HOSTILE[name](arrays, structure)
    persist.write_file(tmp_path / "m", arrays, structure, kind=KIND)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="does not describe a network"):
            cr.load(tmp_path / "m")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6


def test_the_file_that_was_changed_is_a_good_one(tmp_path: Path) -> None:
    arrays, structure = packed(trained()._contents())
    persist.write_file(tmp_path / "m", arrays, structure, kind=KIND)
    assert cr.load(tmp_path / "m").predict(X).shape == (30, 1)


@pytest.mark.parametrize("affine", [True, False])
def test_a_huge_layer_that_stands_alone_is_refused(affine: bool, tmp_path: Path) -> None:
    arrays, structure = packed(Network([BatchNorm(2, affine=affine)], seed=0)._contents())
    structure["layers"][0]["settings"]["n"] = 10**9
    persist.write_file(tmp_path / "m", arrays, structure, kind=KIND)
    with pytest.raises(FileFormatError):
        cr.load(tmp_path / "m")
