"""Warnings of estimators."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_BETWEEN = ("chainrule", "sklearn")  # packages whose lines nobody can correct


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called an estimator, whatever wraps its methods."""
    level, frame = 1, sys._getframe()
    while (caller := frame.f_back) is not None and _is_between(frame):
        level, frame = level + 1, caller
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
