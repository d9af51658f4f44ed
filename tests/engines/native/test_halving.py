"""Units in halves: the step means the same, and threads keep the weights of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from chainrule.engines.base import Program
from chainrule.engines.native import halves, halving, phases
from chainrule.engines.native.arranging import Arranger
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.native.halving import apart, halved, in_halves, joined
from chainrule.engines.native.schedule import GroupKind, legalize
from chainrule.engines.native.target import TARGETS, host
from chainrule.engines.reference import ReferenceEngine
from chainrule.nn import Activation, BatchNorm, Dropout, Linear, Network
from chainrule.optim import Adam, Momentum
from chainrule.shapes import Array
from tests.engines.native.test_interleaving import check_same, program_of, results
from tests.engines.native.test_schedule import drawn

generator = np.random.default_rng(0)
X = generator.standard_normal((70, 6))
LABELS = np.arange(70) % 3
LAYERS: dict[str, Callable[[], list[Any]]] = {
    "plain": lambda: [Linear(6, 32), Activation("tanh"), Linear(32, 3), Activation("softmax")],
    "dropout": lambda: [Linear(6, 32), Dropout(0.3), Activation("relu"), Linear(32, 3)],
    "batch norm": lambda: [Linear(6, 64), BatchNorm(64), Activation("elu"), Linear(64, 3)],
    "deep": lambda: [
        Linear(6, 32), Activation("relu"), Linear(32, 48), Activation("gelu"), Linear(48, 16),
        Activation("relu"), Linear(16, 3),
    ],
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "loss": "cross_entropy", "batch_size": 8, "epochs": 2, "seed": 3, "progress": False,
}  # fmt: skip


def training(name: str, dtype: str = "float64", **settings: Any) -> tuple[Program, Any, Any]:
    model = Network(LAYERS[name](), seed=1, dtype=dtype)
    given = {"optimizer": Adam(0.01), "max_norm": 1.0, "l2": 0.01, **SETTINGS, **settings}
    return program_of(model, X, LABELS, **given)


def wide(widths: Sequence[int], batch: int) -> Program:
    """The training of a network of this size."""
    layers = [each for pair in pairwise(widths) for each in (Linear(*pair), Activation("relu"))]
    model = Network([*layers[:-1], Activation("softmax")], seed=0)
    rows = np.zeros((batch, widths[0]), np.float32)
    labels = np.arange(batch) % widths[-1]
    return program_of(model, rows, labels, **SETTINGS | {"batch_size": batch})[0]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch, no_old_code: None) -> None:
    """Whatever units can be are in halves, and phases cost next to nothing."""
    monkeypatch.setattr(halving, "_pays", lambda program: True)
    for name in ("START", "MOVED"):
        monkeypatch.setattr(phases, name, 0)
    monkeypatch.setattr(phases, "WAIT", 1)


# The step


Given: TypeAlias = tuple[Program, list[Array], list[Array]]


def stepped(given: Given) -> tuple[list[Array], list[Array]]:
    """What a step and the same in halves give, by the reference."""
    program, carried, rows = given
    count, key = program.carried, np.array([1, 2], np.uint32)
    weights = next(x for x in program.step.inputs if x.ndim == 2)
    found, reference = in_halves(program, weights), ReferenceEngine()
    before = zip(carried, found.axes, strict=True)
    moved = [x if axis is None else apart(x, axis) for x, axis in before]
    outputs = reference.compile(found.step)([*moved, *rows, key])
    pairs = zip(outputs, found.axes, strict=False)
    back = [x if axis is None else joined(x, axis) for x, axis in pairs]
    return [*back, *outputs[count:]], reference.compile(program.step)([*carried, *rows, key])


def differing(given: Iterable[Given]) -> int:
    """How many programs mean something else in halves."""
    wrong = 0
    for each in given:
        pairs = zip(*stepped(each), strict=True)
        wrong += not all(x.shape == y.shape and np.allclose(x, y, rtol=1e-9) for x, y in pairs)
    return wrong


def test_a_step_in_halves_means_the_same() -> None:
    assert differing(map(drawn, range(120))) == 0
    assert differing(map(training, LAYERS)) == 0


@pytest.mark.parametrize("name", [*halving.RULES], ids=str)
def test_a_wrong_rule_is_seen(monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    """The planted defects: a rule gives the first half twice, or half of a sum over units."""

    def wrong(node: Any, operands: Any) -> Any:
        value = rule(node, operands)
        if value is None or value.axis is None:
            return value and value._replace(node=value.node * 0.5)
        first = value.node[:1]
        return value._replace(node=halving.ops.concat([first, first], 0))

    rule = halving.RULES[name]
    monkeypatch.setitem(halving.RULES, name, wrong)
    assert differing([*map(drawn, range(20)), training("batch norm")])


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 8), (10,)])
def test_halves_are_joined_again(shape: tuple[int, ...]) -> None:
    x = generator.standard_normal(shape)
    for axis, extent in enumerate(shape):
        if extent % 2 == 0:
            found = apart(x, axis)
            np.testing.assert_array_equal(found[0], np.split(x, 2, axis)[0])
            np.testing.assert_array_equal(joined(found, axis), x)


# Which steps


def test_all_that_belongs_to_units_is_in_halves() -> None:
    """Weights, the next layer's weights, the bias; and the two moments of each."""
    found = halved(wide((64, 256, 10), 64), TARGETS["avx512"])
    assert found is not None
    halved_shapes = [x.shape for x, axis in zip(found.step.inputs, found.axes, strict=False)
                     if axis is not None]  # fmt: skip
    for shape in (2, 64, 128), (2, 128), (2, 128, 10):
        assert halved_shapes.count(shape) == 3
    assert len(halved_shapes) == 9


@pytest.mark.parametrize(
    ("widths", "batch"),
    [((64, 256, 10), 4), ((64, 128, 10), 64), ((64, 128, 10), 128), ((64, 100, 10), 64),
     ((20, 64, 64, 2), 32), ((20, 128, 128, 2), 512), ((784, 1024, 1024, 10), 256),
     ((784, 10), 64)],
)  # fmt: skip
def test_others_stay_whole(widths: Sequence[int], batch: int) -> None:
    assert halved(wide(widths, batch), TARGETS["avx512"]) is None


def test_members_stay_whole(always: None) -> None:
    assert halved(training("plain", members=3)[0], host()) is None


def test_threads_pass_no_weights() -> None:
    """Two phases: all that has units is cut into its halves."""
    program, target = wide((64, 128, 10), 64), TARGETS["avx512"]
    found = in_halves(program, next(x for x in program.step.inputs if x.shape == (64, 128)))
    legal, labels = legalize(found.step)
    plan = Arranger(legal, labels, target, program.carried, program.batch).run()
    shared = [phase for phase in plan.phases if phase.cuts]
    products = [
        (group.space[0], cut.axis)
        for phase in shared
        for group, cut in zip(phase.groups, phase.cuts, strict=True)
        if group.kind is GroupKind.PRODUCT
    ]
    assert len(shared) == 2
    assert products == [(2, 0)] * 5


# The engine


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_trainings_agree_with_the_reference(name: str, dtype: str, always: None) -> None:
    # before batch norm the slope of a bias is 0, of which Adam would make steps of either sign
    optimizer = Momentum(0.05) if name == "batch norm" else Adam(0.01)
    given = training(name, dtype, optimizer=optimizer)
    assert halved(given[0], host()) is not None
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_any_number_of_threads_gives_the_same_bits(
    name: str, always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, found = training(name, "float32", optimizer=Momentum(0.05)), []
    for threads in 1, 2, 3:
        monkeypatch.setenv("CHAINRULE_THREADS", str(threads))
        found.append(results(NativeEngine(), given))
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_calls_of_single_epochs_give_the_same_bits(always: None) -> None:
    program, carried, rows = training("plain", "float32")
    engine = NativeEngine()
    together = engine.run(program, carried, rows, seed=5, epochs=range(3)).carried
    for epoch in range(3):
        carried = engine.run(program, carried, rows, seed=5, epochs=range(epoch, epoch + 1)).carried
    for x, y in zip(together, carried, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_loss_that_is_not_finite_leaves_the_values(always: None) -> None:
    program, carried, (rows, *others) = training("plain")
    outcome = NativeEngine().run(
        program, carried, [rows * np.nan, *others], seed=5, epochs=range(2)
    )
    assert not outcome.finite
    for x, y in zip(outcome.carried, carried, strict=True):
        np.testing.assert_array_equal(x, y)


def test_nothing_lies_outside_its_arrays(always: None) -> None:
    for place in "start", "end":
        for name in LAYERS:
            results(NativeEngine(heap=GuardedHeap(place)), training(name, "float32"))


def test_halves_that_are_not_joined_are_seen(always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted defect: carried values come back as they lie."""
    monkeypatch.setattr(halves, "joined", lambda x, axis: x.reshape(joined(x, axis).shape))
    given = training("plain")
    with pytest.raises(AssertionError):
        check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), 1e-11)
