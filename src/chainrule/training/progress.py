"""The line that shows how a training goes."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from chainrule.training.callbacks import Callback, Run
from chainrule.training.history import VALIDATION

REDRAW_SECONDS = 0.1


class ProgressLine(Callback):
    """One line, redrawn in place: epoch, loss, validation, best, time left.

    Parameters
    ----------
    stream : text stream
        Standard error by default, so that results on standard output stay clean.
    """

    every_epoch = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr

    def start(self, run: Run) -> None:
        """Start the clock."""
        self.began = time.monotonic()
        self.drawn = 0.0
        self.width = 0
        self.before = run.history.epochs

    def epoch(self, run: Run) -> None:
        """Redraw, at most every tenth of a second."""
        now = time.monotonic()
        if now - self.drawn >= REDRAW_SECONDS or run.epoch + 1 == run.epochs:
            self.drawn = now
            self._draw(run)

    def end(self, run: Run) -> None:
        """Draw the last state, and leave the line."""
        if run.history.epochs:
            self._draw(run)
            self.stream.write("\n")
            self.stream.flush()

    def _draw(self, run: Run) -> None:
        text = self.text(run)
        if self.stream.isatty():  # a line that wraps could not be redrawn
            text = text[: shutil.get_terminal_size().columns - 1]
        self.stream.write("\r" + text.ljust(self.width))
        self.stream.flush()
        self.width = len(text)

    def text(self, run: Run) -> str:
        """The line itself."""
        done, history = run.history.epochs, run.history
        parts = [f"epoch {done}/{run.epochs}", f"loss {history['loss'][-1]:.4g}"]
        for name in [name for name in history if name.startswith(VALIDATION)]:
            parts.append(f"{name.replace('validation_', 'validation ')} {history[name][-1]:.4g}")
        best = history[history.monitor]
        sign = run.sign(history.monitor)
        place = int((sign * best).argmin()) if (best == best).any() else 0
        parts.append(f"best {best[place]:.4g} (epoch {place + 1})")
        passed = time.monotonic() - self.began
        left = passed / max(done - self.before, 1) * (run.epochs - done)
        return ", ".join([*parts, f"{left:.0f} s left" if done < run.epochs else f"{passed:.1f} s"])


def wanted(progress: bool | None) -> bool:
    """Whether to show the line: as asked, or else if somebody is watching a terminal."""
    return sys.stderr.isatty() if progress is None else progress
