"""Planted defects: a law comes with one that it catches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.graph.op import _REGISTRY, register, registered


@contextmanager
def planted(name: str, **changes: Any) -> Iterator[str]:
    """An operation like the one called ``name``, but for a defect, registered for a while."""
    defective = f"defective_{name}"
    register(dataclasses.replace(registered()[name], name=defective, **changes))
    try:
        yield defective
    finally:
        del _REGISTRY[defective]
