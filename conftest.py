"""What pytest collects: the modules of an engine only where what it runs on is installed."""

from __future__ import annotations

from importlib.util import find_spec

XLA = ["src/chainrule/engines/xla/*", "tests/engines/xla/worker.py"]
collect_ignore_glob = [] if find_spec("jax") else XLA
