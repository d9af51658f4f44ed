"""Many rows in blocks: the bits of a few rows at a time, and the same refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import ops
from chainrule.engines.native import blocks
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import SIDES, GuardedHeap
from chainrule.engines.native.parallel import Header
from chainrule.engines.native.threads import team
from chainrule.errors import DataError
from chainrule.graph.graph import close
from chainrule.nn import Activation, BatchNorm, Embedding, Flatten, Function, Linear, Network
from chainrule.ops import functions
from chainrule.shapes import ROWS, Array
from chainrule.training.evaluation import BLOCK_ROWS
from tests.forking import forks, holds_in_a_child

MORE = BLOCK_ROWS + 1  # rows that are not computed at once
WHOLE = blocks.EVENLY * blocks.MOST_ROWS  # rows, in blocks that are all as large as can be
SIZES = (MORE, WHOLE - 1, WHOLE, WHOLE + 1, 2 * WHOLE + 65, 7001)
NETWORKS = {
    "narrow": lambda dtype: Network([Linear(5, 3), Activation("tanh"), Linear(3, 1)], 0, dtype),
    "normed": lambda dtype: Network([Linear(5, 70), BatchNorm(70), Activation("softmax")], 1,
                                    dtype),
    "wide": lambda dtype: Network([Linear(5, 300), Activation("relu"), Linear(300, 200),
                                   Activation("gelu"), Linear(200, 7)], 2, dtype),
}  # fmt: skip


def rows_for(model: Network, count: int) -> Array:
    row = model.architecture.input_shape or (5,)
    generator = np.random.default_rng(count)
    return generator.standard_normal((count, *row)).astype(model.dtype)


def by_few(model: Network, X: Array, rows: int = 611) -> Array:
    """Predictions of parts that are no blocks."""
    parts = [model.predict(X[low : low + rows], engine="native") for low in range(0, len(X), rows)]
    return np.concatenate(parts)


def check_same(model: Network, counts: Any = SIZES) -> None:
    for count in counts:
        X = rows_for(model, count)
        found = model.predict(X, engine="native")
        assert found.tobytes() == by_few(model, X).tobytes(), f"{count} rows"
        assert found.flags.writeable


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_the_bits_of_a_few_rows_at_a_time(
    make: Any, dtype: str, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_THREADS", threads)
    check_same(make(dtype))


def test_agrees_with_the_reference() -> None:
    for make in NETWORKS.values():
        model = make("float64")
        X = rows_for(model, MORE)
        wanted = model.predict(X, engine="reference")
        np.testing.assert_allclose(
            model.predict(X, engine="native"), wanted, rtol=1e-12, atol=1e-14
        )


def test_many_rows_go_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        blocks.RowBlocks, "__call__", lambda self, rows, arrays, finite: seen.append(rows)
    )
    model = NETWORKS["narrow"]("float32")
    for count in (1, BLOCK_ROWS, MORE):
        model.predict(rows_for(model, count), engine="native")
    assert set(seen) == {MORE}


def test_a_block_in_the_wrong_place_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = blocks._entry

    def shifted(array: Array, *others: Any) -> Any:
        start, of_row, *rest = entry(array, *others)
        return start, of_row // 2 if of_row == 20 else of_row, *rest

    monkeypatch.setattr(blocks, "_entry", shifted)
    with pytest.raises(AssertionError, match="rows"):
        check_same(NETWORKS["narrow"]("float32"))


@pytest.mark.parametrize("phase", [1, 3 * 10**6])
def test_phases_of_any_length_give_the_same(phase: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "PATIENCE", phase)
    check_same(NETWORKS["wide"]("float32"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 15, 16, 17, 33]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.data(),
)
def test_the_first_bad_number_is_named(columns: int, dtype: str, bad: float, data: Any) -> None:
    model = Network([Linear(columns, 2)], seed=0, dtype=dtype)
    X = rows_for(model, data.draw(st.sampled_from([MORE, WHOLE + 1])))
    places = st.tuples(st.integers(0, len(X) - 1), st.integers(0, columns - 1))
    last = (len(X) - 1, columns - 1)
    chosen = data.draw(st.lists(places | st.just(last) | st.just((0, 0)), min_size=1, max_size=2))
    for place in chosen:
        X[place] = bad
    row, column = min(chosen)
    with pytest.raises(DataError, match=f"X has {bad} in row {row}, column {column};"):
        model.predict(X, engine="native")


def test_large_numbers_are_no_bad_ones() -> None:
    model = Network([Linear(3, 1), Activation("tanh")], seed=0)
    X = np.full((MORE, 3), np.finfo(np.float32).max, np.float32)
    with np.errstate(all="ignore"):
        assert model.predict(X, engine="native").shape == (MORE, 1)


def test_numbers_that_nobody_looked_at_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = blocks._entry
    monkeypatch.setattr(blocks, "_entry", lambda array, type_, finite: entry(array, type_, False))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_the_first_bad_number_is_named.hypothesis.inner_test(
            3, "float32", np.nan, _Drawn([MORE, [(MORE - 1, 2)]])
        )


class _Drawn:
    """What hypothesis would have drawn."""

    def __init__(self, values: list[Any]) -> None:
        self.values = iter(values)

    def draw(self, _: Any) -> Any:
        return next(self.values)


def test_rows_of_another_type_or_layout() -> None:
    model = NETWORKS["wide"]("float32")
    X = rows_for(model, 2 * MORE)
    wanted = model.predict(X, engine="native")
    for given_rows in (X.astype(np.float64), np.asfortranarray(X), X.tolist()):
        np.testing.assert_array_equal(model.predict(given_rows, engine="native"), wanted)
    np.testing.assert_array_equal(model.predict(X[::2], engine="native"), wanted[::2])
    beside = X.astype(np.float64)
    beside[MORE, 1] = 1e300
    with pytest.raises(DataError, match=rf"1e\+300 in row {MORE}, column 1, more than float32"):
        model.predict(beside, engine="native")


def test_categories_and_images() -> None:
    words = Network([Embedding(9, 4), Flatten(), Linear(8, 2)], seed=0)
    X = np.random.default_rng(0).integers(0, 9, (MORE, 2))
    assert words.predict(X, engine="native").tobytes() == by_few(words, X).tobytes()
    X[-1, 1] = 9
    with pytest.raises(DataError, match="9"):
        words.predict(X, engine="native")
    images = Network([Flatten(), Linear(12, 2)], seed=0)
    pictures = np.random.default_rng(0).standard_normal((MORE, 3, 4), dtype=np.float32)
    found = images.predict(pictures, engine="native")
    assert found.tobytes() == by_few(images, pictures).tobytes()


def test_an_index_outside_its_axis_in_the_last_block() -> None:
    X = ops.input((ROWS,), np.int64, name="X")
    run = NativeEngine().compile(close([ops.take(ops.constant(np.arange(4.0)), X, axis=0)]))
    given_rows = np.arange(MORE) % 4
    (found,) = run.by_blocks([given_rows], False)
    np.testing.assert_array_equal(found, given_rows)
    given_rows[-1] = 4
    assert run.by_blocks([given_rows], False) is None


def test_a_graph_whose_rows_are_another_axis_has_no_blocks() -> None:
    X = ops.input((ROWS, 3), np.float32, name="X")
    for node in (ops.permute_dims(X, (1, 0)), ops.sum(X, axis=0)):
        run = NativeEngine().compile(close([node]))
        assert run.by_blocks([np.ones((MORE, 3), np.float32)], False) is None


@pytest.mark.parametrize("side", SIDES)
def test_nothing_outside_is_touched(side: str) -> None:
    for make in NETWORKS.values():
        model = make("float32")
        X = rows_for(model, MORE)
        found = model.predict(X, engine=NativeEngine(heap=GuardedHeap(side)))
        np.testing.assert_array_equal(found, by_few(model, X))


def test_an_interruption_comes_between_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NETWORKS["wide"]("float32")
    X = rows_for(model, SIZES[-1])
    wanted = model.predict(X, engine="native")
    run, block = blocks._phase()
    calls = []

    def interrupted(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        run(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(blocks, "PATIENCE", 1)
        patch.setattr(blocks, "_phase", lambda: (interrupted, block))
        with pytest.raises(KeyboardInterrupt):
            model.predict(X, engine="native")
    np.testing.assert_array_equal(model.predict(X, engine="native"), wanted)
    with team(2) as control:  # given back
        assert control[Header.THREADS] == 2


def test_while_others_have_the_threads() -> None:
    model = NETWORKS["wide"]("float32")
    X = rows_for(model, MORE)
    with team(2):
        found = model.predict(X, engine="native")
    assert found.tobytes() == by_few(model, X).tobytes()


@forks
def test_a_forked_child_predicts() -> None:
    model = NETWORKS["wide"]("float32")
    X = rows_for(model, MORE)
    wanted = model.predict(X, engine="native")
    assert holds_in_a_child(lambda: np.array_equal(model.predict(X, engine="native"), wanted))


def test_many_members() -> None:
    model = NETWORKS["narrow"]("float32")
    model.fit(rows_for(model, 40), np.linspace(0, 1, 40)[:, None], members=3, epochs=1, seed=0)
    X = rows_for(model, MORE)
    few = [model.predict(X[low : low + 700], "all", "native") for low in range(0, MORE, 700)]
    found = model.predict(X, "all", "native")
    np.testing.assert_array_equal(found, np.concatenate(few, axis=1))
    np.testing.assert_array_equal(model.predict(X, engine="native"), found.mean(axis=0))


def test_estimators_give_the_bits_of_a_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.estimators import MLPRegressor

    generator = np.random.default_rng(0)
    X = generator.standard_normal((3 * MORE, 11))
    model = MLPRegressor(hidden_layer_sizes=(20,), random_state=0).partial_fit(X[:9], X[:9, 0])
    monkeypatch.setattr(model, "_prediction_engine", "native")  # of a training that took longer
    few = [model.predict(X[low : low + 999]) for low in range(0, len(X), 999)]
    np.testing.assert_array_equal(model.predict(X), np.concatenate(few))


def test_no_rows_have_no_blocks() -> None:
    X = ops.input((ROWS, 3), "float32")
    run = NativeEngine().compile(close([ops.tanh(X)]))
    assert run.by_blocks([np.ones((0, 3), np.float32)], False) is None


MIXING = {
    "mean": lambda x: x - ops.mean(x, axis=0),
    "softmax": lambda x: ops.softmax(x, axis=0),
    "scan": lambda x: ops.cumulative_sum(x, axis=0),
    "flip": lambda x: ops.flip(x, axis=0),
    "sort": lambda x: x + ops.argsort(x, axis=0),
    "gram": lambda x: x @ (ops.matrix_transpose(x) @ x),
    "count": lambda x: x / functions.count(x, 0),
    "take": lambda x: x + ops.take(x, ops.argmax(x, axis=1), axis=0),
}


@pytest.mark.parametrize("mix", MIXING.values(), ids=MIXING)
def test_rows_that_depend_on_each_other_are_not_divided(mix: Any) -> None:
    X = ops.input((ROWS, 3))
    assert not blocks.goes_by_blocks(close([mix(X)]))
    model = Network([Linear(4, 3), Function(mix), Linear(3, 1)], seed=0, dtype="float64")
    rows = np.random.default_rng(0).random((2 * BLOCK_ROWS, 4))
    ours, theirs = (model.predict(rows, engine=name) for name in ("native", "reference"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
