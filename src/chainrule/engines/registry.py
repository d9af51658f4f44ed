"""Engines by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

from chainrule.engines.base import Engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import unknown_name

_MAKERS: dict[str, Callable[[], Engine]] = {"reference": ReferenceEngine}
_PLANNED = {"native": "compiles whole epochs to machine code", "xla": "runs on accelerators"}


class EngineFallbackWarning(UserWarning):
    """The engine that was asked for is not available, and the reference engine takes over."""


def get_engine(name: str | None = None) -> Engine:
    """The engine called ``name``; the fastest that is installed if None.

    Raises
    ------
    UnknownNameError
        If there is no engine of that name.
    """
    if name is None:
        return _make("reference")
    if name in _MAKERS:
        return _make(name)
    if name in _PLANNED:
        _warn_once(name)
        return _make("reference")
    raise unknown_name("engine", name, [*_MAKERS, *_PLANNED])


@cache
def _make(name: str) -> Engine:
    return _MAKERS[name]()


@cache
def _warn_once(name: str) -> None:
    warnings.warn(
        f"the engine {name!r}, which {_PLANNED[name]}, is not part of this version of chainrule;"
        " the reference engine takes over",
        EngineFallbackWarning,
        stacklevel=4,
    )
