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
    helped: list[tuple[bool, bool]] = []
    with team(2) as control:
        helper = control.slot(1)
        for flush in [True, False] * 50:
            before = int(helper[Slot.COMPLETED])
            found = np.frombuffer(run(control, 1, 2, 1, TINY, flush=flush, naps=True))
            assert found.reshape(2, 2, -1)[:, :, 0].astype(bool).tolist() == _expected(flush)
            helped.append((flush, int(helper[Slot.COMPLETED]) > before))
            if {(True, True), (False, True)} <= set(helped):
                break
    assert (True, True) in helped
    assert (False, True) in helped


def _expected(flush):
    """Which numbers are left: data[0] is written last, data[1] first."""
    return [[not flush] * 2] * 2


@pytest.mark.parametrize(
    ("name", "instruction"), [("avx2", "ldmxcsr"), ("sse2", "ldmxcsr"), ("neon", "set.fpcr")]
)
def test_each_architecture_has_its_own_register(name, instruction):
    assert instruction in definitions(TARGETS[name])


def test_an_unknown_architecture_changes_nothing():
    unknown = Target("riscv", "riscv64-unknown-linux-gnu", "generic", "", 0, 32, True)
    assert "declare" not in definitions(unknown)
