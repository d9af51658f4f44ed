"""Engines by name; each is imported, and made, on first use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from chainrule.engines.base import Engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import unknown_name

VARIABLE = "CHAINRULE_ENGINE"  # of the environment: the engine where none is named


class EngineFallbackWarning(UserWarning):
    """The engine that was asked for is not available, and the reference engine takes over."""


def _native() -> Engine:
    from chainrule.engines.native.engine import NativeEngine

    return NativeEngine()


class _Entry(NamedTuple):
    """How an engine is made, and the package it needs."""

    make: Callable[[], Engine] | None
    needs: str | None
    remedy: str


ENGINES = {
    "reference": _Entry(ReferenceEngine, None, ""),
    "native": _Entry(_native, "llvmlite", "install it with: pip install llvmlite"),
    "xla": _Entry(None, None, "it is not part of this version of chainrule"),
}


def get_engine(name: str | None = None) -> Engine:
    """The engine called ``name``; if None, that of CHAINRULE_ENGINE, or the native one.

    Where an engine cannot be had, the reference engine takes over, with one warning that says
    what to install.

    Raises
    ------
    UnknownNameError
        If there is no engine of that name.
    """
    name = name or os.environ.get(VARIABLE)
    name = name or "native"
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if _is_available(name):
        return _make(name)
    _warn_once(name)
    return _make("reference")


@cache
def _is_available(name: str) -> bool:
    entry = ENGINES[name]
    return entry.make is not None and (entry.needs is None or find_spec(entry.needs) is not None)


@cache
def _make(name: str) -> Engine:
    make = ENGINES[name].make
    assert make is not None, "only engines that are available are made"
    return make()


@cache
def _warn_once(name: str) -> None:
    warnings.warn(
        f"the engine {name!r} is not available, and the reference engine takes over;"
        f" {ENGINES[name].remedy}",
        EngineFallbackWarning,
        stacklevel=4,
    )
