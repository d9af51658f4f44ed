"""More weights than memory holds."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import ParameterError
from chainrule.nn import Linear, Network
from chainrule.training import memory


def test_more_members_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "physical_bytes", lambda: 3 * 2**30)
    network = Network([Linear(255, 1024)], seed=0)  # 2**18 parameters: 2 MiB of a member
    X, y = np.zeros((2, 255), np.float32), np.zeros((2, 1024), np.float32)
    with pytest.raises(ParameterError, match=r"1,537 networks of 262,144 .* at most 1,536 at once"):
        network.fit(X, y, members=1537, epochs=1)
    assert network.members is None


def test_what_fits_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (None, 2 * 4 * 3 * 5):
        monkeypatch.setattr(memory, "physical_bytes", lambda there=there: there)
        network = Network([Linear(2, 1)], seed=0)
        network.fit(np.zeros((4, 2)), np.zeros((4, 1)), members=5, epochs=1)
        assert network.members == 5


def test_the_machine_says_what_it_has_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = memory.physical_bytes()
    assert found is None or found > 2**26
    monkeypatch.delattr(memory.os, "sysconf_names", raising=False)
    assert memory.physical_bytes() is None


def test_one_network_that_is_too_large_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "physical_bytes", lambda: 10)
    with pytest.raises(ParameterError, match="train a smaller one"):
        Network([Linear(2, 1)], seed=0).fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=1)
