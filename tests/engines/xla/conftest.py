"""Tests of the xla engine run on eight devices, made of this processor before JAX looks at it."""

from __future__ import annotations

import os

FLAG = "--xla_force_host_platform_device_count=8"

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}".strip()
