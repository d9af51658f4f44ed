"""Processes that are asked in turns, what they answer, and what is made of it."""

from __future__ import annotations

import sys

import pytest

from benchmarks import worker as at_work
from benchmarks.alone import SMALL, resident
from benchmarks.catalogue import FASTEST_PEER, OURS, compared, faster
from benchmarks.peers import PEERS
from benchmarks.processes import Worker, WorkError, alone, neighbours
from benchmarks.runner import Measured, Round, Rounds, Session, ratio, rotated
from benchmarks.tasks import Job, Task

TASK = Task("train", (2, 4, 1), 8, steps=5)


def measured(*seconds: float) -> Measured:
    return Measured([{"seconds": each} for each in seconds])


def test_a_worker_answers() -> None:
    worker = Worker(PEERS["numpy"], sys.executable)
    described = {**vars(TASK), "widths": list(TASK.widths)}
    assert len(worker.ask("prepare", name="a", task=described)["check"]) == 3
    assert worker.ask("measure", name="a", seconds=0.001)["seconds"] > 0
    worker.ask("forget")
    with pytest.raises(WorkError, match="KeyError: 'a'"):
        worker.ask("measure", name="a", seconds=0.001)
    worker.close()
    assert worker.ended


def test_the_seconds_are_those_of_a_unit() -> None:
    worker = at_work.Worker(PEERS["numpy"].module)
    worker.works = {TASK.kind: lambda task: Job(lambda times: 0.25 * times, units=5, check=list)}
    worker.prepare("a", {**vars(TASK), "widths": list(TASK.widths)})
    assert worker.measure("a", seconds=1.0) == {"seconds": 0.05, "times": 4}


def test_who_is_not_there_says_so(tmp_path) -> None:
    worker = Worker(PEERS["onnx"], sys.executable)
    with pytest.raises(WorkError, match="onnx"):
        worker.ask("forget")
    worker.child.kill()
    worker.child.wait()
    with pytest.raises(WorkError, match="its process ended"):
        worker.ask("forget")
    worker.close()
    with pytest.raises(WorkError, match="make bench"):
        Worker(PEERS["onnx"], str(tmp_path / "python"))


def test_entries_are_measured_in_turns_and_absence_has_a_reason() -> None:
    with Session(sys.executable) as session:
        entries = [Rounds("a", "numpy", TASK), Rounds("b", "onnx", TASK)]
        found = session.compare(entries, rounds=2, seconds=0.001)
        assert len(found["a"].rounds) == 2 and not found["a"].absent
        assert not found["b"].rounds and "onnx" in found["b"].absent
        child = session.worker("numpy").child  # asked again, a session that lost it makes another
        child.kill()
        child.wait()
        again = session.compare(entries[:1], rounds=1, seconds=0.001)
        assert len(again["a"].rounds) == 1


def test_other_work_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.runner.expected", lambda task: [1.0, 2.0, 3.0])
    with Session(sys.executable) as session:
        found = session.compare([Rounds("a", "numpy", TASK)], rounds=1, seconds=0.001)
    assert "other work" in found["a"].absent and not found["a"].rounds


def test_neighbours_end() -> None:
    with neighbours(2):
        pass
    with Session(sys.executable) as session:
        entry = Rounds("a", "numpy", TASK, neighbours=1)
        entry.prepare(session)
        assert entry.measure(session, Round(0, 0.001))["seconds"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_a_process_of_its_own_knows_its_memory() -> None:
    found = alone(PEERS["numpy"], sys.executable, "memory", SMALL, {})
    assert found["peak MiB"] > found["mebibytes"] and found["seconds"] > 0
    now = resident("VmRSS")  # first: memory may grow between the two
    assert resident("VmHWM") >= now > 0
    with pytest.raises(OSError, match="no Vm of"):
        resident("Vm of")


def test_work_that_fails_has_no_numbers() -> None:
    with pytest.raises(WorkError, match="ended with 1"):
        alone(PEERS["numpy"], sys.executable, "digits", TASK, {})


def test_the_order_changes() -> None:
    assert [rotated("abc", turn) for turn in range(4)] == [[*"abc"], [*"bca"], [*"cab"], [*"abc"]]
    assert rotated([], 3) == []


def test_a_ratio_is_that_of_rounds_not_of_medians() -> None:
    slow_machine_at_last = measured(2.0, 4.0, 20.0), measured(1.0, 2.0, 10.0)
    assert ratio(*slow_machine_at_last, "seconds") == 2.0
    assert ratio(measured(1, 9, 9), measured(9, 1, 9), "seconds") == 1.0


def test_the_fastest_peer_counts() -> None:
    case = {
        OURS: measured(1.0), f"{OURS}, 1 thread": measured(0.5), "A": measured(3.0),
        "B": measured(2.0), "C": Measured(absent="not installed"),
    }  # fmt: skip
    assert compared(case, FASTEST_PEER) == 2.0
    goal = faster("case", 2.0)
    assert goal.reached(goal.value({"case": case})) and not goal.reached(1.99)
    with pytest.raises(ValueError, match="empty"):
        compared({OURS: measured(1.0)}, FASTEST_PEER)
