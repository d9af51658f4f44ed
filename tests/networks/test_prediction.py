"""Predictions that are repeated take a short way: its numbers are those of the long one."""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest

from chainrule.engines.native import engine as native
from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.networks.prediction import KEPT
from chainrule.nn import Activation, BatchNorm, Embedding, Flatten, Linear, Network
from chainrule.shapes import Array

ROW = np.linspace(-1, 1, 5, dtype=np.float32)[None]
ENGINES = ("native", "reference")


def network() -> Network:
    return Network(
        [Linear(5, 4, name="first"), BatchNorm(4, name="norm"), Activation("tanh"),
         Linear(4, 2, name="last")], seed=0,
    )  # fmt: skip


def long_way(model: Network, X: Any, engine: str = "native") -> Array:
    """What ``predict`` gives for a list, which it never prepares for."""
    return model.predict(np.asarray(X).tolist(), engine=engine)


@pytest.fixture(params=ENGINES)
def warm(request: Any) -> tuple[Network, str]:
    """A network that has seen the row, and an engine."""
    model = network()
    model.predict(ROW, engine=request.param)
    return model, request.param


def refuse(*_: Any) -> None:
    raise AssertionError("the long way was taken")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_call_takes_the_short_way(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    wanted = model.predict(ROW, engine=engine)
    monkeypatch.setattr(model, "_evaluate", refuse)
    found = model.predict(ROW, engine=engine)
    np.testing.assert_array_equal(found, wanted, strict=True)
    assert found.flags.writeable
    assert not np.may_share_memory(found, wanted)
    with pytest.raises(AssertionError, match="the long way"):
        model.predict(np.vstack([ROW, ROW]), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_lie_apart_take_the_short_way_as_well(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = network(), np.repeat(np.vstack([ROW, 2 * ROW]), 2, axis=0)[::2]
    wanted = model.predict(rows.copy(), engine=engine)
    wrong = np.repeat(rows, 2, axis=0)[::2]
    wrong[1, 3] = np.nan
    monkeypatch.setattr(model, "_evaluate", refuse)
    np.testing.assert_array_equal(model.predict(rows, engine=engine), wanted)
    with pytest.raises(DataError, match="nan in row 1"):
        model.predict(wrong, engine=engine)


def test_one_row_wakes_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Network([Linear(500, 500), Linear(500, 500)], seed=0)
    monkeypatch.setattr(native, "team", refuse)
    for _ in range(3):
        model.predict(np.ones((1, 500), np.float32), engine="native")


CHANGES = {
    "weights": lambda model: setattr(model["first"], "W", np.ones((5, 4))),
    "biases": lambda model: setattr(model["last"], "b", [5.0, 6.0]),
    "running statistics": lambda model: setattr(model["norm"], "running_mean", np.ones(4)),
    "a whole mapping": lambda model: setattr(
        model["last"], "values", {"W": np.ones((4, 2), np.float32), "b": np.ones(2, np.float32)}
    ),
    "a snapshot": lambda model: model.publish(
        Network([Linear(5, 4, name="first"), BatchNorm(4, name="norm"), Activation("tanh"),
                 Linear(4, 2, name="last")], seed=1).snapshot()
    ),
    "training": lambda model: model.fit(np.eye(5), np.ones((5, 2)), epochs=2, seed=0),
    "a pass in training": lambda model: model.forward(np.eye(5), training=True),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_seen(warm: tuple[Network, str], change: Any) -> None:
    model, engine = warm
    before = model.predict(ROW, engine=engine)
    change(model)
    found = model.predict(ROW, engine=engine)
    assert not np.array_equal(found, before)
    np.testing.assert_array_equal(found, long_way(model, ROW, engine), strict=True)
    np.testing.assert_array_equal(model.predict(ROW, engine=engine), found)


def test_mappings_of_arrays_are_not_changed_in_place() -> None:
    model = network()
    with pytest.raises(TypeError):
        model["first"].values["W"] = np.ones((5, 4), np.float32)
    with pytest.raises(TypeError):
        model["norm"].state["running_mean"] = np.ones(4, np.float32)


def test_members_after_training(warm: tuple[Network, str]) -> None:
    model, engine = warm
    model.fit(np.eye(5), np.ones((5, 2)), epochs=1, members=3, seed=0, engine=engine)
    every = model.predict(ROW, "all", engine)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(ROW, engine=engine), every.mean(axis=0))
        np.testing.assert_array_equal(model.predict(ROW, "all", engine), every)
    model.publish(model.snapshot().member(1))
    np.testing.assert_allclose(model.predict(ROW, engine=engine), every[1], rtol=1e-6)


class Labelled(np.ndarray):
    """An array of someone's own."""


def misaligned(array: Array) -> Array:
    """The same numbers at an address that is no multiple of four."""
    space = np.zeros(array.nbytes + 1, np.uint8)[1:]
    found = space.view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def read_only(array: Array) -> Array:
    found = array.copy()
    found.flags.writeable = False
    return found


ROWS = np.vstack([ROW, 2 * ROW, 3 * ROW])
VARIANTS = {
    "contiguous": lambda rows: rows,
    "by columns": np.asfortranarray,
    "every second": lambda rows: np.repeat(rows, 2, axis=0)[::2],
    "backwards": lambda rows: rows[:, ::-1].copy()[:, ::-1],
    "read-only": read_only,
    "float64": lambda rows: rows.astype(np.float64),
    "integers": lambda rows: np.arange(rows.size).reshape(rows.shape),
    "the other byte order": lambda rows: rows.astype(rows.dtype.newbyteorder()),
    "misaligned": misaligned,
    "a subclass": lambda rows: rows.view(Labelled),
    "a list": lambda rows: rows.tolist(),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_rows(engine: str, variant: Any) -> None:
    model = network()
    model.predict(ROWS, engine=engine)
    rows = variant(ROWS)
    for _ in range(3):
        found = model.predict(rows, engine=engine)
        np.testing.assert_array_equal(found, long_way(model, rows, engine), strict=True)


def test_a_data_frame() -> None:
    frames = pytest.importorskip("pandas")
    model = network()
    model.predict(ROWS)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(frames.DataFrame(ROWS)), model.predict(ROWS))


def test_what_is_refused_is_refused_again(warm: tuple[Network, str]) -> None:
    model, engine = warm
    for _ in range(2):
        for value in (np.nan, np.inf, -np.inf):
            wrong = ROW.copy()
            wrong[0, 3] = value
            with pytest.raises(DataError, match=f"has {value} in row 0, column 3"):
                model.predict(wrong, engine=engine)
        with pytest.raises(ShapeError):
            model.predict(ROW[0], engine=engine)
        with pytest.raises(ShapeError):
            model.predict(ROW[:, :3], engine=engine)
        with pytest.raises(ParameterError):
            model.predict(ROW, "some", engine)
        with pytest.raises(ParameterError):
            model.predict(ROW, ["all"], engine)  # type: ignore[arg-type]


def test_large_numbers_are_finite(warm: tuple[Network, str]) -> None:
    model, engine = warm
    large = np.full((1, 5), 1e30, np.float32)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for _ in range(2):
            found = model.predict(large, engine=engine)
    np.testing.assert_array_equal(found, long_way(model, large, engine))


def test_categories_are_checked_each_time() -> None:
    model = Network([Embedding(3, 2), Flatten(), Linear(2, 1)], seed=0)
    good, bad = np.ones((1, 1), np.float32), np.full((1, 1), 7, np.float32)
    model.predict(good)
    model.predict(good)
    with pytest.raises(DataError):
        model.predict(bad)


def test_many_numbers_of_rows_are_not_all_kept() -> None:
    model = network()
    for count in range(1, KEPT + 5):
        X = np.repeat(ROW, count, axis=0)
        for _ in range(2):
            np.testing.assert_allclose(model.predict(X)[-1], model.predict(ROW)[0], rtol=1e-6)
    assert len(model._predictions) <= KEPT


def test_old_arrays_are_let_go() -> None:
    model = network()
    model.predict(ROW)
    old = model["first"].W
    count = sys.getrefcount(old)
    model.publish(model.snapshot()._replace(parameters=network().parameters))
    assert sys.getrefcount(old) < count


def test_other_threads_see_one_set_of_arrays_or_the_other() -> None:
    model = Network([Linear(5, 64), Linear(64, 64), Linear(64, 1)], seed=0)
    sets, outputs = [], []
    for seed in (1, 2):
        other = Network([Linear(5, 64), Linear(64, 64), Linear(64, 1)], seed=seed)
        other_parameters = other.snapshot().parameters.values()
        names = model.snapshot().parameters
        sets.append(model.snapshot()._replace(
            parameters=dict(zip(names, other_parameters, strict=True))))  # fmt: skip
        outputs.append(other.predict(ROW).item())
    model.publish(sets[0])
    ended, wrong = threading.Event(), []

    def predict() -> None:
        while not ended.is_set():
            found = model.predict(ROW).item()
            if found not in outputs:
                wrong.append(found)

    switch = sys.getswitchinterval()
    threads = [threading.Thread(target=predict) for _ in range(3)]
    try:
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for turn in range(400):
            model.publish(sets[turn % 2])
    finally:
        sys.setswitchinterval(switch)
        ended.set()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("members", [1, 3])
def test_no_rows_have_predictions_of_the_same_shape(engine: str, members: int) -> None:
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(20, 3)).astype(np.float32), np.arange(20) % 4
    model = Network([Linear(3, 5), BatchNorm(5), Linear(5, 4), Activation("softmax")], seed=0)
    model.fit(X, y, members=members, epochs=1, engine=engine)
    for rows in (X[:0], X, X[:0], X[:0], X[:0].astype(np.float64)):  # known kinds, too
        for kept in (None, "all"):
            found = model.predict(rows, kept, engine=engine)
            shape = (members, len(rows), 4) if kept and members > 1 else (len(rows), 4)
            assert (found.shape, found.dtype) == (shape, np.float32)
    with pytest.raises(ShapeError, match="rows of 3 features"):
        model.predict(np.zeros((0, 2)))
    with pytest.raises(DataError, match="X has no rows"):
        model.fit(X[:0], y[:0])


def test_arrays_that_predictions_read_cannot_be_resized() -> None:
    network = Network([Linear(2, 2, name="a")], seed=0)
    for assigned in (None, np.ones((2, 2))):
        if assigned is not None:
            network["a"].W = assigned
        with pytest.raises(ValueError, match="does not own its data"):
            network["a"].W.resize((1, 2), refcheck=False)
