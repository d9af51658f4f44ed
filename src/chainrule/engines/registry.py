"""Engines by name; each is imported, and made, on first use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from chainrule.engines.base import Engine, EngineChoice
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import unknown_name

VARIABLE = "CHAINRULE_ENGINE"  # of the environment: the engine where none is named


class EngineFallbackWarning(UserWarning):
    """The engine that was asked for is not available, and the reference engine takes over."""


def _native() -> Engine:
    from chainrule.engines.native.engine import NativeEngine

    return NativeEngine()


def _xla() -> Engine:
    from chainrule.engines.xla.engine import XlaEngine

    return XlaEngine()


class _Entry(NamedTuple):
    """How an engine is made, and the package it needs."""

    make: Callable[[], Engine]
    needs: str | None
    remedy: str


ENGINES = {
    "reference": _Entry(ReferenceEngine, None, ""),
    "native": _Entry(_native, "llvmlite", "install it with: pip install llvmlite"),
    "xla": _Entry(_xla, "jax", 'install it with: pip install "chainrule[xla]"'),
}


def get_engine(name: EngineChoice = None) -> Engine:
    """The engine called ``name``; if None, that of CHAINRULE_ENGINE, or the native one.

    An engine with settings of its own stands for itself.

    Where an engine cannot be had, the reference engine takes over, with one warning that says
    what to install.

    Raises
    ------
    UnknownNameError
        If there is no engine of that name.
    """
    if name is not None and not isinstance(name, str):
        return name
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
    needs = ENGINES[name].needs
    return needs is None or find_spec(needs) is not None


@cache
def _make(name: str) -> Engine:
    return ENGINES[name].make()


@cache
def _warn_once(name: str) -> None:
    warnings.warn(
        f"the engine {name!r} is not available, and the reference engine takes over;"
        f" {ENGINES[name].remedy}",
        EngineFallbackWarning,
        stacklevel=4,
    )
