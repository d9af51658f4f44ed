"""The best parameters come back: after validation, an early stop, Ctrl-C or divergence."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ParameterError, UnknownNameError
from chainrule.nn import Activation, Dropout, Linear, Network
from chainrule.nn.metrics import METRICS
from chainrule.optim import SGD, Adam
from chainrule.optim.schedules import ReduceOnPlateau
from chainrule.training import Callback, DivergenceWarning, EarlyStopping, Run, TimeLimit, methods
from chainrule.training.best import Best
from chainrule.training.progress import ProgressLine

RNG = np.random.default_rng(3)
X, XV = RNG.normal(size=(40, 3)), RNG.normal(size=(30, 3))
Y, YV = ((each @ [1.0, -1.0, 0.5] + RNG.normal(size=len(each))) > 0 for each in (X, XV))
OVERFITTING: dict[str, Any] = {"optimizer": Adam(0.05), "epochs": 40, "batch_size": 8, "seed": 2}


def network(**settings: Any) -> Network:
    layers = [Linear(3, 16), Activation("tanh"), Linear(16, 1), Activation("sigmoid")]
    return Network(layers, **{"seed": 1, "dtype": "float64", **settings})


def loss(model: Network, rows: Any = XV, y: Any = YV) -> float:
    """The binary cross-entropy, by its definition."""
    p = model.predict(rows)[:, 0]
    return float(-np.mean(np.where(y, np.log(p), np.log(1 - p))))


def arrays(model: Network) -> list[bytes]:
    return [each.tobytes() for each in model.snapshot().leaves]


class Recorder(Callback):
    """Keeps the parameters after every epoch, and what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.after: list[list[bytes]] = []

    def start(self, run: Run) -> None:
        self.calls.append("start")

    def epoch(self, run: Run) -> None:
        assert run.epoch == len(self.after) == run.history.epochs - 1
        self.calls.append("epoch")
        self.after.append(arrays(run.model))

    def end(self, run: Run) -> None:
        self.calls.append("end")


@pytest.mark.parametrize("early_stopping", [None, 5, EarlyStopping(5, "validation_accuracy")])
def test_the_best_epoch_of_the_validation_comes_back(early_stopping: Any) -> None:
    model, recorder = network(), Recorder()
    history = model.fit(
        X, Y, validation=(XV, YV), early_stopping=early_stopping, callbacks=[recorder],
        **OVERFITTING,
    )  # fmt: skip
    sign = -1 if history.monitor == "validation_accuracy" else 1
    column = sign * history[history.monitor]
    assert history.best_epoch == column.argmin() < history.epochs - 1
    assert arrays(model) == recorder.after[history.best_epoch]
    assert loss(model) == pytest.approx(history["validation_loss"][history.best_epoch], rel=1e-12)
    if early_stopping is not None:
        assert history.epochs == history.best_epoch + 1 + 5
        assert "has not improved for 5 epochs" in history.stopped


@pytest.mark.parametrize("metric", METRICS)
def test_early_stopping_on_any_metric(metric: str) -> None:
    """Nobody has to list the metric or say in which direction it is good."""
    model = network()
    stopper = EarlyStopping(4, f"validation_{metric}")
    history = model.fit(X, Y, validation=(XV, YV), early_stopping=stopper, **OVERFITTING)
    column = history[f"validation_{metric}"]
    extreme = column.argmax() if METRICS[metric].greater_is_better else column.argmin()
    assert history.best_epoch == extreme


def test_early_stopping_without_validation_watches_the_training_loss() -> None:
    model = network()
    history = model.fit(X, Y, early_stopping=EarlyStopping(3, minimum_change=0.1), **OVERFITTING)
    assert history.monitor == "loss"
    assert history.epochs < 40
    assert history.best_epoch == history["loss"].argmin()


def test_a_fraction_is_held_out_and_never_trained_on() -> None:
    model, other = network(), network()
    history = model.fit(X, Y, validation=0.25, **OVERFITTING)
    again = other.fit(X, Y, validation=0.25, **OVERFITTING)
    np.testing.assert_array_equal(history["validation_loss"], again["validation_loss"])
    different = network().fit(X, Y, validation=0.25, **{**OVERFITTING, "seed": 3})
    assert (different["validation_loss"] != history["validation_loss"]).any()


def test_row_numbers_and_arrays_hold_out_alike() -> None:
    held_out = np.array([3, 4, 20, 39])
    rest = np.setdiff1d(np.arange(40), held_out)
    numbers, flags, given = network(), network(), network()
    numbers.fit(X, Y, validation=held_out, **OVERFITTING)
    flags.fit(X, Y, validation=np.isin(np.arange(40), held_out), **OVERFITTING)
    given.fit(X[rest], Y[rest], validation=(X[held_out], Y[held_out]), **OVERFITTING)
    assert arrays(numbers) == arrays(flags) == arrays(given)


def test_validation_rows_may_have_weights() -> None:
    weights = np.r_[np.ones(10), np.zeros(20)]
    history = network().fit(X, Y, validation=(XV, YV, weights), **OVERFITTING)
    plain = network().fit(X, Y, validation=(XV[:10], YV[:10]), **OVERFITTING)
    np.testing.assert_allclose(history["validation_loss"], plain["validation_loss"], rtol=1e-12)
    np.testing.assert_allclose(history["validation_accuracy"], plain["validation_accuracy"])


def test_callbacks_are_called_in_order_and_may_end_the_training() -> None:
    recorder = Recorder()

    def after_third(run: Run) -> None:
        if run.epoch == 2:
            run.stop("three are enough")

    history = network().fit(X, Y, callbacks=[recorder, after_third], **OVERFITTING)
    assert recorder.calls == ["start", "epoch", "epoch", "epoch", "end"]
    assert history.stopped == "three are enough" and not history.interrupted


def test_ctrl_c_keeps_the_best_so_far() -> None:
    model, recorder = network(), Recorder()

    def interrupt(run: Run) -> None:
        if run.epoch == 20:
            raise KeyboardInterrupt

    history = model.fit(X, Y, validation=(XV, YV), callbacks=[recorder, interrupt], **OVERFITTING)
    assert history.stopped == "it was interrupted" and history.interrupted
    assert recorder.calls[-1] == "end"
    assert history.best_epoch == history["validation_loss"].argmin() < 20
    assert arrays(model) == recorder.after[history.best_epoch]


def test_a_callback_that_fails_leaves_everything_as_it_was() -> None:
    model = network()
    model.fit(X, Y, **OVERFITTING)
    before, history = arrays(model), model.history

    def fail(run: Run) -> None:
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        model.fit(X, Y, callbacks=[fail], restarts=3, **OVERFITTING)
    assert arrays(model) == before
    assert (model.members, model.history) == (None, history)
    model.fit(X, Y, **OVERFITTING)  # and it can be trained again


def test_the_rate_falls_on_a_plateau_of_a_metric_that_should_rise() -> None:
    rule = ReduceOnPlateau(factor=0.5, patience=2)
    stopper = EarlyStopping(39, "validation_accuracy")
    history = network().fit(
        X, Y, validation=(XV, YV), callbacks=[rule], early_stopping=stopper, **OVERFITTING
    )
    state, scales = ReduceOnPlateau(factor=0.5, patience=2, mode="max").start(), [1.0]
    for value in history["validation_accuracy"]:
        state, scale = ReduceOnPlateau(factor=0.5, patience=2, mode="max").observe(state, value)
        scales.append(scale)
    np.testing.assert_allclose(history["learning_rate"], 0.05 * np.array(scales[:-1]))
    assert len(set(scales)) > 2


def test_a_time_limit_ends_a_training() -> None:
    history = network().fit(X, Y, callbacks=[TimeLimit(1e-9)], **OVERFITTING)
    assert history.epochs == 1
    assert history.stopped == "the time limit of 1e-09 s has passed"


@pytest.mark.parametrize(
    ("stopper", "validation", "error"),
    [
        (EarlyStopping(3, "validation_loss"), None, ParameterError),
        (EarlyStopping(3, "validation_acuracy"), 0.2, UnknownNameError),
        (EarlyStopping(3, "accuracy"), 0.2, UnknownNameError),
        (EarlyStopping(3, "seconds"), 0.2, UnknownNameError),
    ],
)
def test_a_column_that_will_not_be_there_cannot_be_watched(
    stopper: EarlyStopping, validation: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        network().fit(X, Y, early_stopping=stopper, validation=validation, **OVERFITTING)


# Divergence


def linear(seed: int = 0) -> Network:
    return Network([Linear(3, 4, name="a"), Linear(4, 1, name="b")], seed=seed, dtype="float32")


@pytest.mark.parametrize("validation", [None, (XV, YV)])
def test_divergence_gives_the_best_parameters_back(validation: Any) -> None:
    """The rate is too large only after a while, so that some epoch before it was the best."""
    model, recorder = linear(), Recorder()
    settings: dict[str, Any] = {"batch_size": None, "epochs": 200, "seed": 0}
    with pytest.warns(DivergenceWarning, match="smaller learning rate"):
        history = model.fit(
            X, Y, loss="squared_error", optimizer=SGD(1.2), validation=validation,
            callbacks=[recorder], **settings,
        )  # fmt: skip
    assert history.best_epoch == history[history.monitor].argmin()
    assert arrays(model) == recorder.after[history.best_epoch]
    assert "the loss was not finite in epoch" in history.stopped


def test_divergence_in_the_first_step_gives_the_start_back_and_names_the_layer() -> None:
    model = linear()
    model["b"].W = np.full((4, 1), 3e38, np.float32)
    model["a"].W = np.full((3, 4), 3.0, np.float32)
    before = arrays(model)
    with pytest.warns(DivergenceWarning, match="those of the start"):
        history = model.fit(np.abs(X) + 1, Y, loss="squared_error", epochs=3)
    assert arrays(model) == before
    assert "epoch 1, step 1, first in the output of Linear 'b'" in history.stopped
    assert (history.epochs, history.best_epoch) == (0, None)


def test_numbers_that_break_in_the_last_step_of_all_are_noticed() -> None:
    model = linear()
    before = arrays(model)
    with pytest.warns(DivergenceWarning):
        history = model.fit(
            X * 1e10, Y, loss="squared_error", optimizer=SGD(1e30), epochs=1, batch_size=None
        )
    assert arrays(model) == before
    assert "the parameters were not finite after epoch 1" in history.stopped


def test_members_diverge_one_by_one() -> None:
    """One member starts with weights so large that it overflows; the other goes on."""
    model = linear()
    model.fit(X, Y, loss="squared_error", epochs=0, members=2, seed=1)
    wild = np.array(model["a"].W)
    wild[1] *= 1e8
    model["a"].W = wild
    with pytest.warns(DivergenceWarning, match="1 of 2 members"):
        model.fit(X, Y, loss="squared_error", optimizer=SGD(0.05), epochs=60, seed=0)
    assert np.isfinite(model.predict(X, members="all")).all()
    calm = model.predict(X, members="all")[0]
    assert np.mean((calm[:, 0] - Y) ** 2) < 0.2


# Several epochs a call


def outcome(model: Network, seconds: float, monkeypatch: Any, **settings: Any) -> Any:
    """Parameters, history and reason of a training whose calls last so long."""
    monkeypatch.setattr(methods, "CALL_SECONDS", seconds)
    history = model.fit(X, Y, **settings)
    columns = {name: history[name].tolist() for name in history if name != "seconds"}
    return arrays(model), columns, history.best_epoch, history.stopped


@pytest.mark.parametrize("count", [{}, {"members": 3}, {"restarts": 3}])
@pytest.mark.parametrize("seconds", [0.05, 1.0, 1000.0])
def test_how_many_epochs_a_call_runs_changes_nothing(
    count: dict[str, int], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def model() -> Network:
        middle = [Activation("relu"), *([] if count else [Dropout(0.2)])]
        return Network([Linear(3, 8), *middle, Linear(8, 1), Activation("sigmoid")], seed=1)

    settings = {"epochs": 13, "batch_size": 8, "seed": 4, **count}
    one_by_one = outcome(model(), 0.0, monkeypatch, **settings)
    assert outcome(model(), seconds, monkeypatch, **settings) == one_by_one


@pytest.mark.parametrize("count", [{}, {"members": 2}])
@pytest.mark.filterwarnings("ignore::chainrule.training.loop.DivergenceWarning")
def test_divergence_inside_a_call_of_many_epochs_is_the_same(
    count: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "loss": "squared_error", "optimizer": SGD(0.9), "batch_size": 20, "epochs": 300, "seed": 0,
        **count,
    }  # fmt: skip
    one_by_one = outcome(linear(), 0.0, monkeypatch, **settings)
    assert "not finite" in one_by_one[3]
    assert one_by_one[2] is not None
    for seconds in (0.02, 1000.0):
        assert outcome(linear(), seconds, monkeypatch, **settings) == one_by_one


@pytest.mark.parametrize("count", [{}, {"members": 2}])
@pytest.mark.filterwarnings("ignore::chainrule.training.loop.DivergenceWarning")
def test_parameters_that_break_inside_a_call_are_the_same(
    count: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update of the first epoch's only step overflows, while its loss is still finite."""
    settings = {
        "loss": "squared_error", "optimizer": SGD(1e39), "batch_size": None, "epochs": 5, "seed": 0,
        **count,
    }  # fmt: skip
    one_by_one = outcome(linear(), 0.0, monkeypatch, **settings)
    assert one_by_one[3].startswith("the parameters were not finite after epoch")
    assert outcome(linear(), 1000.0, monkeypatch, **settings) == one_by_one
    assert all(np.isfinite(np.frombuffer(each, np.float32)).all() for each in one_by_one[0])


def test_ctrl_c_inside_calls_of_many_epochs_keeps_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(methods, "CALL_SECONDS", 0.1)
    original, calls = methods.Steps._outcome, []

    def interrupted(self: Any, leaves: Any, epochs: range) -> Any:
        calls.append(epochs)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, leaves, epochs)

    monkeypatch.setattr(methods.Steps, "_outcome", interrupted)
    settings: dict[str, Any] = {"optimizer": Adam(0.2), "batch_size": 8, "seed": 2}
    model, reference = network(), network()
    history = model.fit(X, Y, epochs=1000, **settings)
    assert len(calls[0]) > 1 and history.epochs == len(calls[0]) + len(calls[1])
    assert history.best_epoch == history["loss"].argmin()
    monkeypatch.setattr(methods.Steps, "_outcome", original)
    reference.fit(X, Y, epochs=history.best_epoch + 1, **settings)
    assert arrays(model) == arrays(reference)


def test_a_second_ctrl_c_while_epochs_run_again_keeps_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {"optimizer": Adam(0.2), "batch_size": 8, "seed": 2}
    losses = network().fit(X, Y, epochs=80, **settings)["loss"]
    # so many epochs a call that the best one is inside a call: it has to be run again
    chunk = next(n for n in range(10, 40) if losses[: 2 * n].argmin() not in (n - 1, 2 * n - 1))
    monkeypatch.setattr(methods.Steps, "chunk", property(lambda _: chunk, lambda *_: None), False)
    original, calls = methods.Steps._outcome, []

    def interrupted(self: Any, leaves: Any, epochs: range) -> Any:
        calls.append(epochs)
        if len(calls) >= 3:
            raise KeyboardInterrupt
        return original(self, leaves, epochs)

    monkeypatch.setattr(methods.Steps, "_outcome", interrupted)
    model, reference = network(), network()
    history = model.fit(X, Y, epochs=1000, **settings)
    assert len(calls) == 4, "the second Ctrl-C came while the best epoch was run again"
    best = history["loss"].argmin()
    start = max(each.start for each in calls[:2] if each.start <= best)
    assert history.stopped == "it was interrupted" and history.interrupted
    assert history.best_epoch == (start - 1 if start else None)
    monkeypatch.setattr(methods.Steps, "_outcome", original)
    reference.fit(X, Y, epochs=start, **settings)
    assert arrays(model) == arrays(reference)


def test_metrics_need_validation_rows() -> None:
    with pytest.raises(ParameterError, match="validation_accuracy needs validation rows"):
        network().fit(X, Y, metrics=["accuracy"], **OVERFITTING)
    history = network().fit(X, Y, metrics=[], epochs=1)
    assert history.epochs == 1


def test_a_metric_watched_by_its_bare_name_is_told_its_column() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'validation_accuracy'"):
        network().fit(X, Y, early_stopping=EarlyStopping(3, "accuracy"), validation=0.2, epochs=1)


def test_ctrl_c_in_the_end_of_a_callback_keeps_the_training() -> None:
    class Interrupting(Callback):
        def end(self, run: Run) -> None:
            raise KeyboardInterrupt

    model, reference = network(), network()
    history = model.fit(X, Y, callbacks=[Interrupting()], **OVERFITTING)
    reference.fit(X, Y, **OVERFITTING)
    assert (model.history, history.stopped) == (history, "it was interrupted")
    assert history.interrupted
    assert arrays(model) == arrays(reference)


def test_parameters_that_a_callback_assigns_are_overwritten() -> None:
    def meddle(run: Run) -> None:
        if run.epoch == 3:
            run.model.layers[0].W = np.zeros((3, 16))

    model, reference = network(), network()
    for each, callbacks in ((model, [meddle]), (reference, [])):
        each.fit(X, Y, callbacks=callbacks, **OVERFITTING)
    assert arrays(model) == arrays(reference)


def test_best_of_members_from_different_calls() -> None:
    """Arrays that count epochs: running an epoch adds 1, so the best are known."""
    best = Best.at_start(3, [np.zeros(3)])
    best = best.offered(np.array([[1.0, 1.0, np.inf]]), 0, 0, [np.zeros(3)])
    call = np.array([[2.0, 0.7, np.inf], [1.0, 0.5, np.inf], [3.0, 0.5, np.inf]])
    best = best.offered(call, 3, 3, [np.full(3, 3.0)])

    def rerun(leaves: Any, epochs: range) -> Any:
        return [leaves[0] + len(epochs)]

    (found,) = best.collect(rerun)
    assert found.tolist() == [1.0, 5.0, 0.0]
    assert best.epochs.tolist() == [0, 4, -1]


# The line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_line_shows_loss_validation_best_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    network().fit(
        X, Y, validation=(XV, YV), callbacks=[ProgressLine(stream)], **{**OVERFITTING, "epochs": 3}
    )
    *_, last, end = stream.getvalue().replace("\n", "\r\n").split("\r")
    assert end == "\n"
    for part in ("epoch 3/3", "loss 0.", "validation loss 0.", "accuracy 0.", "best 0.", " s"):
        assert part in last


def test_nothing_is_written_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    network().fit(X, Y, **{**OVERFITTING, "epochs": 2})
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    network().fit(X, Y, **{**OVERFITTING, "epochs": 2})
    assert "epoch 2/2" in stream.getvalue()
    monkeypatch.setenv("COLUMNS", "20")
    network().fit(X, Y, **{**OVERFITTING, "epochs": 1})
    narrow = stream.getvalue().splitlines()[-1]
    assert max(map(len, narrow.split("\r"))) == 19
    before = stream.getvalue()
    network().fit(X, Y, progress=False, **{**OVERFITTING, "epochs": 2})
    assert stream.getvalue() == before
