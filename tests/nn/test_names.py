"""What `chainrule.nn` offers, and what importing it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chainrule.nn as nn


def test_every_name_is_there() -> None:
    assert [name for name in nn.__all__ if not hasattr(nn, name)] == []


def test_the_network_is_found_beside_its_layers() -> None:
    from chainrule.networks import Network

    assert nn.Network is Network
    with pytest.raises(AttributeError, match=r"module 'chainrule\.nn' has no attribute 'Netwrk'"):
        _ = nn.Netwrk


def test_layers_load_no_training() -> None:
    code = "import sys, chainrule.nn; print([m for m in sys.modules if 'training' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
