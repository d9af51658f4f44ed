"""Subnormal numbers become zero in a program, in all its threads, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.engines.native.parallel import Slot
from chainrule.engines.native.subnormals import definitions
from chainrule.engines.native.target import TARGETS, Target
from chainrule.engines.native.threads import team
from tests.engines.native.phases import run

TINY = float(np.finfo(np.float64).smallest_subnormal) * 2**30
CHUNKS = 64


@pytest.mark.parametrize("threads", [1, 2])
def test_programs_flush_and_restore(threads):
    with team(threads) as control:
        flushed = np.frombuffer(run(control, 5, CHUNKS, 20, TINY, flush=True))
        ieee = np.frombuffer(run(control, 5, CHUNKS, 20, TINY))
    assert not flushed.any()
    assert ieee.reshape(2, CHUNKS, -1)[:, :, 0].all()
    assert np.float64(TINY) * 0.5 > 0  # this thread is back to IEEE arithmetic


def test_helpers_take_the_programs_setting_and_give_it_up():
    """Whichever thread ran them, all chunks of a phase saw the same setting."""
    with team(2) as control:
        for _ in range(200):
            flushed = np.frombuffer(run(control, 200, CHUNKS, 5, TINY, flush=True))
            ieee = np.frombuffer(run(control, 200, CHUNKS, 5, TINY))
            assert not flushed.any()
            assert ieee.reshape(2, CHUNKS, -1)[:, :, 0].all()
            if control.slot(1)[Slot.COMPLETED] > 2000:
                break


@pytest.mark.parametrize(
    ("name", "instruction"), [("avx2", "ldmxcsr"), ("sse2", "ldmxcsr"), ("neon", "set.fpcr")]
)
def test_each_architecture_has_its_own_register(name, instruction):
    assert instruction in definitions(TARGETS[name])


def test_an_unknown_architecture_changes_nothing():
    unknown = Target("riscv", "riscv64-unknown-linux-gnu", "generic", "", 0, 32, True)
    assert "declare" not in definitions(unknown)
