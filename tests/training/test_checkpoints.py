"""A training that is killed and resumed ends with the same bits as one that is not."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import persist
from chainrule.data import spool
from chainrule.engines.base import Outcome, Program
from chainrule.engines.registry import get_engine
from chainrule.errors import FileFormatError, ParameterError
from chainrule.nn import Activation, Dropout, Linear, Network
from chainrule.nn.losses import Huber
from chainrule.optim import LBFGS, SGD, Adam
from chainrule.optim.schedules import Cosine, ReduceOnPlateau
from chainrule.training import (
    Callback,
    Checkpoints,
    CheckpointWarning,
    DivergenceWarning,
    EarlyStopping,
    History,
    Run,
    TimeLimit,
    checkpoints,
    methods,
)
from chainrule.training.loop import Training
from tests.clock import Clock
from tests.training import killed

X, Y = killed.data()
ENGINES = ("reference", "native")
NAMES = [f"checkpoint-{number:08d}.chainrule" for number in range(100)]


def network(seed: int = 0) -> Network:
    layers = [Linear(4, 8), Activation("tanh"), Dropout(0.3), Linear(8, 3), Activation("softmax")]
    return Network(layers, seed=seed)


class Interrupt(Callback):
    """Ctrl-C in an epoch."""

    def __init__(self, after: int) -> None:
        self.after = after

    def epoch(self, run: Run) -> None:
        if run.history.epochs == self.after:
            raise KeyboardInterrupt


def fit(model: Network, folder: Path | None, after: int | None = None, **given: Any) -> History:
    """Train with checkpoints after every epoch, interrupted after some epochs."""
    stopping = [] if after is None else [Interrupt(after)]
    settings = {"epochs": 30, "seed": 7, **given}
    settings["callbacks"] = [*settings.get("callbacks", []), *stopping]
    kept = None if folder is None else Checkpoints(folder, seconds=0)
    return model.fit(X, Y, **settings, checkpoints=kept)


# SIGKILL


# Where a process can be copied, a server imports the package once for all trainings.
PROCESSES = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
if os.name == "posix":
    PROCESSES.set_forkserver_preload([killed.__name__])


@contextmanager
def start(*given: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A training in a process of its own, and what it says."""
    heard, said = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=killed.main, args=(said.send, *given))
    process.start()
    said.close()
    with heard:
        yield process, heard
    process.join()


def kill_at_random(folder: Path, engine: str, kills: int, seed: int, where: str = "memory") -> str:
    """What a training says that was killed so often and resumed each time."""
    draw, resume, ended = np.random.default_rng(seed), False, []
    most = (killed.EPOCHS - 1) // kills
    for _ in range(kills):
        with start(folder, engine, where, resume, most) as (process, heard):
            assert heard.recv() == killed.BEGUN
            time.sleep(draw.uniform(0, 0.008 * most))
            process.kill()
        for name in NAMES:
            if (folder / name).exists():
                persist.read_file(folder / name, kind="checkpoint")
        resume = bool(Checkpoints(folder).numbers())
        ended.append(process.exitcode)
    with start(folder, engine, where, resume, killed.EPOCHS + 1) as (process, heard):
        assert heard.recv() == killed.BEGUN
        found: str = heard.recv()
    assert ended == [-signal.SIGKILL] * kills or os.name != "posix"
    assert process.exitcode == 0 and len(Checkpoints(folder).numbers()) == 2
    assert not [each for each in os.listdir(folder) if each not in NAMES + many()]
    return found


def many() -> list[str]:
    return [f"checkpoint-{number:08d}.chainrule" for number in range(100, 20000)]


def undisturbed(engine: str, where: str = "memory") -> str:
    model = killed.network()
    with killed.given_rows(where) as rows:
        history = model.fit(**rows, **killed.settings(), engine=engine)
    return killed.digest(model, history)


@pytest.mark.parametrize("engine", ENGINES)
def test_ten_kills_change_nothing(tmp_path: Path, engine: str) -> None:
    assert kill_at_random(tmp_path / "kept", engine, 10, seed=len(engine)) == undisturbed(engine)


def test_kills_of_a_training_whose_rows_are_on_disk_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed within epochs too: there are two portions of rows in each."""
    monkeypatch.setattr(spool, "window_rows", spool.window_rows)  # put back afterwards
    found = kill_at_random(tmp_path / "kept", "native", 3, seed=3, where="disk")
    assert found == undisturbed("native", "disk")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_kills_change_nothing(tmp_path: Path, engine: str, seed: int) -> None:
    assert kill_at_random(tmp_path / "kept", engine, 10, seed) == undisturbed(engine)


# Every kind of training, interrupted in every epoch

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "validation": {"validation": 0.25},
    "early stopping": {"validation": 0.25, "early_stopping": 3, "optimizer": Adam(0.1)},
    "plateau": {"callbacks": [ReduceOnPlateau(patience=0, factor=0.5)], "optimizer": Adam(0.1)},
    "members": {"members": 3},
    "restarts": {"restarts": 3, "validation": 0.25},
    "schedule": {"optimizer": SGD(Cosine(0.1), momentum=0.9)},
    "weights": {"sample_weight": np.arange(1.0, 121.0), "class_weight": "balanced", "l2": 0.01},
    "draws": {"replacement": True, "drop_last": True, "batch_size": 32},
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_goes_on_the_same(tmp_path: Path, kind: str, engine: str) -> None:
    given = {**KINDS[kind], "epochs": 9, "engine": engine}
    whole = network()
    history = fit(whole, None, **given)
    for after in [each for each in (1, 4, 8) if each < history.epochs]:
        folder = tmp_path / str(after)
        first = fit(network(), folder, after, **given)
        assert first.interrupted and first.epochs == after
        model = network(seed=after)  # its own parameters do not matter
        again = model.fit(X, Y, **given, checkpoints=folder, resume=True)
        assert killed.digest(model, again) == killed.digest(whole, history)
        assert not again.interrupted


def test_a_finished_training_is_there_again_and_can_go_further(tmp_path: Path) -> None:
    model, again, further, whole = network(), network(), network(), network()
    history = fit(model, tmp_path, validation=0.25, epochs=6)
    given = {"validation": 0.25, "checkpoints": tmp_path, "resume": True}
    assert killed.digest(again, again.fit(X, Y, epochs=6, **given)) == killed.digest(model, history)
    found = further.fit(X, Y, epochs=11, **given)
    assert killed.digest(further, found) == killed.digest(
        whole, fit(whole, None, validation=0.25, epochs=11)
    )


def test_an_early_stop_stays_one(tmp_path: Path) -> None:
    given = {"validation": 0.25, "early_stopping": 2, "optimizer": Adam(0.2)}
    first = fit(network(), tmp_path, **given)
    assert "has not improved" in first.stopped and first.epochs < 30
    again = network().fit(X, Y, epochs=30, **given, checkpoints=tmp_path, resume=True)
    assert again.epochs == first.epochs and again.stopped == first.stopped


def test_a_time_limit_only_pauses(tmp_path: Path) -> None:
    class Pause(Callback):
        def epoch(self, run: Run) -> None:
            if run.history.epochs == 4:
                run.pause("that is enough today")

    first = fit(network(), tmp_path, callbacks=[Pause()])
    assert first.stopped == "that is enough today" and first.epochs == 4
    again = network().fit(X, Y, epochs=30, checkpoints=tmp_path, resume=True)
    assert again.epochs == 30 and again.stopped == "all epochs were done"
    limited = fit(network(), tmp_path / "limited", callbacks=[TimeLimit(1e-9)])
    assert limited.epochs == 1
    assert network().fit(X, Y, epochs=3, checkpoints=tmp_path / "limited", resume=True).epochs == 3


def test_the_seed_is_taken_from_the_checkpoint(tmp_path: Path) -> None:
    first = fit(network(), tmp_path, after=2, seed=None)
    model = network()
    again = model.fit(X, Y, epochs=30, checkpoints=tmp_path, resume=True)
    whole = network()
    history = fit(whole, None, seed=first.seed)
    assert again.seed == first.seed
    assert killed.digest(model, again) == killed.digest(whole, history)


def test_what_a_callback_remembers_is_kept(tmp_path: Path) -> None:
    class Sum(Callback):
        def start(self, run: Run) -> None:
            self.total, self.last = 0.0, np.zeros(2)

        def epoch(self, run: Run) -> None:
            self.total += float(run.history["loss"][-1])
            self.last = run.history.step_losses[-1, :2]

        def state(self) -> dict[str, Any]:
            return {"total": self.total, "last": self.last}

        def restore(self, state: Any) -> None:
            self.total, self.last = float(state["total"]), state["last"]

    whole, second = Sum(), Sum()
    fit(network(), None, callbacks=[whole])
    fit(network(), tmp_path, 5, callbacks=[Sum()])
    network().fit(X, Y, epochs=30, callbacks=[second], checkpoints=tmp_path, resume=True)
    assert second.total == whole.total
    np.testing.assert_array_equal(second.last, whole.last)


def test_a_callback_that_forgets_is_noticed(tmp_path: Path) -> None:
    """A planted defect: early stopping that counts anew after each interruption."""

    class Forgetful(EarlyStopping):
        def restore(self, state: Any) -> None:
            pass

    given = {"validation": 0.25, "optimizer": Adam(0.2)}
    whole = fit(network(), None, **given, callbacks=[Forgetful(3)])
    fit(network(), tmp_path, whole.epochs - 1, **given, callbacks=[Forgetful(3)])
    again = network().fit(
        X, Y, epochs=30, **given, callbacks=[Forgetful(3)], checkpoints=tmp_path, resume=True
    )
    assert again.epochs > whole.epochs


# Places in an epoch


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_epoch_is_left_and_entered_in_the_middle(
    tmp_path: Path, kind: str, engine: str, monkeypatch: Any
) -> None:
    given = {"batch_size": 8, **KINDS[kind], "epochs": 3, "engine": engine}
    whole = network()
    history = fit(whole, None, **given)
    monkeypatch.setattr(methods, "PART_SECONDS", 1e-9)  # one step a call
    monkeypatch.setattr(checkpoints, "LEAST_PAUSE", 0)
    alone = network()
    assert killed.digest(alone, fit(alone, None, **given)) == killed.digest(whole, history)
    take = Training.take_part
    for left in (1, 4):
        calls: list[int] = []

        def interrupted(
            self: Training, *arguments: Any, calls: Any = calls, left: int = left
        ) -> None:
            take(self, *arguments)
            calls.append(self.step)
            if len(calls) == left:
                raise KeyboardInterrupt

        monkeypatch.setattr(Training, "take_part", interrupted)
        folder = tmp_path / str(left)
        assert fit(network(), folder, **given).interrupted
        monkeypatch.setattr(Training, "take_part", take)
        found = Checkpoints(folder).newest()
        assert found is not None and found.step == calls[-1] > 0
        model = network(seed=left)
        again = model.fit(X, Y, **given, seed=7, checkpoints=folder, resume=True)
        assert killed.digest(model, again) == killed.digest(whole, history)


def test_a_part_is_the_same_program_in_each_epoch(monkeypatch: Any) -> None:
    """An engine keeps memory for a program, and puts donated values in its place."""
    monkeypatch.setattr(methods, "PART_SECONDS", 1e-9)  # one step a call
    engine, programs = get_engine("native"), []

    class Noting:
        name, splits_epochs, speed = engine.name, True, 1e-9

        def run(self, program: Program, *arguments: Any, **others: Any) -> Outcome:
            programs.append(program)
            return engine.run(program, *arguments, **others)

    network().fit(X[:32], Y[:32], epochs=3, batch_size=8, seed=0, engine=Noting())
    assert len(programs) == 3 * 4
    assert programs[:4] == programs[4:8] == programs[8:]
    assert len({id(program) for program in programs}) == 4


def test_parts_grow_until_they_take_long_enough(monkeypatch: Any) -> None:
    monkeypatch.setattr(methods, "PART_SECONDS", 5e-4)
    monkeypatch.setattr(methods, "time", Clock())  # every part seems to take no time at all
    parts: list[int] = []
    take = Training.take_part

    def counted(self: Training, *arguments: Any) -> None:
        parts.append(self.method.part)
        take(self, *arguments)

    monkeypatch.setattr(Training, "take_part", counted)
    rows = np.tile(X, (40, 1))
    network().fit(rows, np.tile(Y, 40), epochs=2, batch_size=2, seed=0, engine="native")
    assert len(parts) > 1
    assert parts == [parts[0] * methods.GROWTH**power for power in range(len(parts))]


def test_an_epoch_that_diverges_in_its_middle(monkeypatch: Any) -> None:
    def diverged() -> History:
        model = Network([Linear(4, 3)], seed=0)
        with pytest.warns(DivergenceWarning):
            return model.fit(X, np.eye(3)[Y], optimizer=SGD(1e7), epochs=3, batch_size=8, seed=0)

    whole = diverged()
    monkeypatch.setattr(methods, "PART_SECONDS", 1e-9)
    assert diverged().stopped == whole.stopped and "step" in whole.stopped


# Files


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    fit(network(), tmp_path / "a" / "b", epochs=5, batch_size=None)
    names = sorted(os.listdir(tmp_path / "a" / "b"))
    assert len(names) == 2 and names[0] < names[1] and set(names) < set(NAMES)


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "empty", "pickle"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    fit(network(), tmp_path, 5)
    old, new = [tmp_path / name for name in sorted(os.listdir(tmp_path))]
    whole = new.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :]
    new.write_bytes(
        {"flipped bit": flipped, "cut short": whole[:-3], "empty": b"", "pickle": b"\x80\x04"}[
            damage
        ]
    )
    model, undamaged = network(), network()
    with pytest.warns(CheckpointWarning, match="passed over a checkpoint") as caught:
        history = model.fit(X, Y, epochs=30, checkpoints=tmp_path, resume=True)
    assert len(caught) == 1 and new.name in str(caught[0].message)
    assert killed.digest(model, history) == killed.digest(undamaged, fit(undamaged, None))
    assert not new.exists() or new.read_bytes() != flipped
    for name in os.listdir(tmp_path):
        persist.read_file(tmp_path / name, kind="checkpoint")
    old.unlink(missing_ok=True)


def test_if_all_are_damaged_nothing_begins(tmp_path: Path) -> None:
    fit(network(), tmp_path, 5)
    before = {name: (tmp_path / name).read_bytes()[:-1] for name in os.listdir(tmp_path)}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(FileFormatError, match=r"no checkpoint in .* can be read; to train from"),
    ):
        network().fit(X, Y, checkpoints=tmp_path, resume=True)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_file_that_is_whole_and_makes_no_sense(tmp_path: Path) -> None:
    fit(network(), tmp_path, 5)
    path = tmp_path / sorted(os.listdir(tmp_path))[-1]
    arrays, structure = persist.read_file(path)
    for change in (
        {"step": -1}, {"step": True}, {"step": 2}, {"training": []}, {"stopped": 3},
        {"callbacks": [1]}, {"callbacks": "x"}, {"history": {}}, {"history": 5},
    ):  # fmt: skip
        persist.write_file(path, arrays, {**structure, **change}, kind="checkpoint")
        with pytest.warns(CheckpointWarning):
            assert Checkpoints(tmp_path).newest() is not None
    last = [f"{series}.{sum(each.startswith(series) for each in arrays) - 1}"
            for series in ("carried", "best.leaf")]  # fmt: skip
    for name in arrays:
        rest = {key: array for key, array in arrays.items() if key != name}
        persist.write_file(path, rest, structure, kind="checkpoint")
        if name in last:  # only the training knows how many there are
            with pytest.raises(FileFormatError, match="not those of this training"):
                network().fit(X, Y, epochs=30, checkpoints=tmp_path, resume=True)
        else:
            with pytest.warns(CheckpointWarning):
                assert Checkpoints(tmp_path).newest() is not None
    strange = {**arrays, "carried.99": np.zeros(2)}
    persist.write_file(path, strange, structure, kind="checkpoint")
    with pytest.warns(CheckpointWarning, match="belongs to nothing"):
        Checkpoints(tmp_path).newest()


def test_remains_of_killed_writers_go(tmp_path: Path) -> None:
    (tmp_path / f".chainrule-{'0' * 16}.tmp").write_bytes(b"half")
    (tmp_path / "notes.tmp").write_text("mine")
    fit(network(), tmp_path, epochs=1)
    assert sorted(os.listdir(tmp_path)) == [*NAMES[1:3], "notes.tmp"]


def test_a_full_disk_does_not_end_a_training(tmp_path: Path, monkeypatch: Any) -> None:
    write, calls = persist.write_file, []

    def full(*arguments: Any, **keywords: Any) -> None:
        calls.append(arguments)
        if 3 < len(calls) < 6:
            raise OSError(errno.ENOSPC, "no space left on device")
        write(*arguments, **keywords)

    monkeypatch.setattr(persist, "write_file", full)
    monkeypatch.setattr(checkpoints, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "LEAST_PAUSE", 0)
    model, undisturbed = network(), network()
    with pytest.warns(CheckpointWarning, match=r"no checkpoint was written after epoch .* stays"):
        history = fit(model, tmp_path, epochs=20, callbacks=[lambda run: None])
    assert history.epochs == 20 and len(calls) > 6
    assert killed.digest(model, history) == killed.digest(
        undisturbed, fit(undisturbed, None, epochs=20)
    )
    assert len(Checkpoints(tmp_path).numbers()) == 2


def test_a_folder_that_cannot_be_written_to_is_noticed_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = network()
    before = [leaf.tobytes() for leaf in model.snapshot().leaves]
    with pytest.raises(OSError):
        fit(model, tmp_path / "file")
    assert [leaf.tobytes() for leaf in model.snapshot().leaves] == before


# What is refused


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"seed": 8}, "seed was 7 and is 8"),
        ({"optimizer": Adam(0.5)}, r"optimizer was Adam\(\) and is Adam\(learning_rate=0.5\)"),
        ({"batch_size": 30}, "batch_size was 32 and is 30"),
        ({"loss": Huber()}, "loss was CrossEntropy"),
        ({"shuffle": False}, "shuffle was True"),
        ({"l2": 0.5}, "regularization was"),
        ({"early_stopping": 5}, r"callbacks was \[\] and is \['EarlyStopping'\]"),
        ({"validation": 0.5}, "training rows was float"),
        ({"engine": "native"}, "engine was reference and is native"),
        ({"members": 2}, "members was 1 and is 2"),
    ],
)
def test_another_training_does_not_go_on(tmp_path: Path, change: dict[str, Any], fact: str) -> None:
    fit(network(), tmp_path, 2)
    model = network()
    before = [leaf.tobytes() for leaf in model.snapshot().leaves]
    given = {"epochs": 30, "seed": 7, **change}
    y = np.eye(3)[Y] if "loss" in change else Y
    with pytest.raises(ParameterError, match=f"are of another training, whose {fact}"):
        model.fit(X, y, **given, checkpoints=tmp_path, resume=True)
    assert [leaf.tobytes() for leaf in model.snapshot().leaves] == before


@pytest.mark.parametrize(("first", "second"), [([], ["accuracy"]), (["accuracy"], [])])
def test_a_history_does_not_go_on_with_other_columns(
    tmp_path: Path, first: list[str], second: list[str]
) -> None:
    """Its new ones would be forgotten, and without an old one it could not be read."""
    fit(network(), tmp_path, 2, validation=(X, Y), metrics=first)
    with pytest.raises(ParameterError, match=r"whose metrics was \["):
        fit(network(), tmp_path, 3, validation=(X, Y), metrics=second, resume=True)
    found = fit(network(), tmp_path, 3, validation=(X, Y), metrics=first, resume=True)
    assert [len(found[name]) for name in found] == [3] * len(found)


def test_other_rows_and_layers_do_not_go_on(tmp_path: Path) -> None:
    fit(network(), tmp_path, 2)
    nearly = X.copy()
    nearly[50, 2] = np.nextafter(np.float32(nearly[50, 2]), np.float32(2))
    with pytest.raises(ParameterError, match="whose training rows was"):
        network().fit(nearly, Y, epochs=30, checkpoints=tmp_path, resume=True)
    with pytest.raises(ParameterError, match="whose training rows was"):  # not its rate's steps
        rate = Adam(Cosine(0.1))
        fit(network(), tmp_path / "annealed", 2, optimizer=rate)
        network().fit(X[:40], Y[:40], epochs=2, optimizer=rate, batch_size=32, seed=7,
                      checkpoints=tmp_path / "annealed", resume=True)  # fmt: skip
    wider = Network([Linear(4, 3), Activation("softmax")])
    with pytest.raises(ParameterError, match="whose layer 'linear1' was Linear"):
        wider.fit(X, Y, epochs=30, checkpoints=tmp_path, resume=True)


def test_checkpoints_of_an_earlier_training_are_not_replaced(tmp_path: Path) -> None:
    fit(network(), tmp_path, 2)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ParameterError, match="holds the checkpoints of an earlier training"):
        network().fit(X, Y, checkpoints=tmp_path)
    assert sorted(os.listdir(tmp_path)) == before


def test_resuming_needs_a_folder_but_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="resume=True needs checkpoints="):
        network().fit(X, Y, resume=True)
    assert network().fit(X, Y, epochs=2, checkpoints=tmp_path / "new", resume=True).epochs == 2


def test_a_search_has_no_checkpoints(tmp_path: Path) -> None:
    model = Network([Linear(4, 3), Activation("softmax")])
    with pytest.raises(ParameterError, match="LBFGS keeps its search in SciPy"):
        model.fit(X, Y, optimizer=LBFGS(), checkpoints=tmp_path)
    assert not os.listdir(tmp_path)


# Signals


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGTERM")
def test_a_termination_leaves_a_checkpoint_and_ends_the_process(tmp_path: Path) -> None:
    with start(tmp_path / "kept", "reference", "memory", False, killed.EPOCHS // 2) as (
        process,
        heard,
    ):
        assert heard.recv() == killed.BEGUN
        time.sleep(0.1)
        process.terminate()
        process.join()
    assert process.exitcode == -signal.SIGTERM
    with start(tmp_path / "kept", "reference", "memory", True, killed.EPOCHS + 1) as (
        process,
        heard,
    ):
        assert [heard.recv(), heard.recv()] == [killed.BEGUN, undisturbed("reference")]


def test_who_has_a_use_for_the_signal_keeps_it(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(run: Run) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))

    def mine(*_: Any) -> None:
        raise AssertionError("nobody sends it")

    fit(network(), tmp_path / "a", callbacks=[look], epochs=1)
    assert callable(seen[-1]) and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, mine)
    try:
        fit(network(), tmp_path / "b", callbacks=[look], epochs=1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert seen[-1] is mine
    thread = threading.Thread(
        target=fit, args=(network(), tmp_path / "c"), kwargs={"callbacks": [look], "epochs": 1}
    )
    thread.start()
    thread.join()
    assert seen[-1] is signal.SIG_DFL and len(seen) == 3


def test_checkpoints_cost_little(tmp_path: Path, monkeypatch: Any) -> None:
    """However often they are asked for, a slow disk takes a twentieth of the time."""
    clock, spent, write = Clock(), 0.0, Checkpoints.write
    seconds = 0.01  # of a write; an epoch takes a fifth of it

    def slow(self: Checkpoints, moment: Any) -> None:
        nonlocal spent
        write(self, moment)
        clock.sleep(seconds)
        spent += seconds

    monkeypatch.setattr(Checkpoints, "write", slow)
    monkeypatch.setattr(checkpoints, "time", clock)
    fit(network(), tmp_path, epochs=400, callbacks=[lambda run: clock.sleep(seconds / 5)])
    first_and_last = 2 * seconds
    assert 3 * seconds <= spent <= first_and_last + clock.now / checkpoints.LEAST_PAUSE


def test_a_folder_that_cannot_be_made_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network = Network([Linear(2, 1)], seed=0)
    with pytest.raises(OSError, match="choose a folder that can be made") as caught:
        network.fit(np.zeros((4, 2)), np.zeros((4, 1)), checkpoints=tmp_path / "file" / "run")
    assert caught.value.filename == str(tmp_path / "file" / "run")
