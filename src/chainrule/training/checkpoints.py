"""Checkpoints: a killed training goes on where it was, and ends with the same bits."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from chainrule import persist
from chainrule.engines.processes import current, writes
from chainrule.errors import FileFormatError, ParameterError
from chainrule.optim.settings import FROM_ZERO, check
from chainrule.training.moment import Moment

KIND = "checkpoint"
KEPT = 2
RETRY_SECONDS = 1.0  # after a checkpoint that could not be written
LEAST_PAUSE = 20  # times what writing took: checkpoints cost at most a twentieth of the time

_NAME = re.compile(r"checkpoint-([0-9]{8})\.chainrule")


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or is damaged and was passed over."""


class Checkpoints:
    """A folder that holds the newest two checkpoints of one training.

    Each is written whole or not at all, and its digest is checked when it is read.

    Parameters
    ----------
    folder : path
        Made if it does not exist. One training uses it at a time.
    seconds : float >= 0
        The least time between two checkpoints. They are written more rarely where writing them
        would take more than a twentieth of the time.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from chainrule.nn import Linear, Network
    >>> X, y = np.arange(6.0)[:, None], np.arange(6.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = Network([Linear(1, 1)], seed=0).fit(X, y, epochs=3, checkpoints=folder)
    ...     model = Network([Linear(1, 1)], seed=0)
    ...     again = model.fit(X, y, epochs=5, checkpoints=folder, resume=True)
    >>> again.epochs, again.seed == first.seed
    (5, True)
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float = 2.0) -> None:
        self.folder = Path(folder)
        self.seconds = check("Checkpoints", "seconds", FROM_ZERO, seconds)
        self._damaged: list[int] = []

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints that are there, the newest last."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as entries:
            names = [_NAME.fullmatch(entry.name) for entry in entries if entry.is_file()]
        return sorted(int(name[1]) for name in names if name)

    def path(self, number: int) -> Path:
        """The file of a checkpoint."""
        return self.folder / f"checkpoint-{number:08d}.chainrule"

    def newest(self) -> Moment | None:
        """What the newest checkpoint holds that is not damaged; None if there are none.

        Raises
        ------
        FileFormatError
            If all of them are damaged.
        """
        reason: FileFormatError | None = None
        for number in reversed(self.numbers()):
            try:
                return Moment.unpacked(*persist.read_file(self.path(number), kind=KIND))
            except FileFormatError as error:
                reason = error
                self._damaged.append(number)
                warnings.warn(f"passed over a checkpoint: {error}", CheckpointWarning, stacklevel=4)
        if reason is not None:
            raise FileFormatError(
                f"no checkpoint in {str(self.folder)!r} can be read; to train from the start, use"
                " another folder"
            ) from reason
        return None

    def write(self, moment: Moment) -> None:
        """Write the next checkpoint, and remove those that are no longer needed.

        Of several processes of one training, the first one does.

        Raises
        ------
        OSError
            If it cannot be written; the older ones are still there.
        """
        if not writes():
            return
        self._make_folder()
        number = max(self.numbers(), default=0) + 1
        persist.write_file(self.path(number), *moment.packed(), kind=KIND)
        good = [each for each in self.numbers() if each not in self._damaged]
        for each in {*self.numbers()}.difference(good[-KEPT:]):
            self.path(each).unlink(missing_ok=True)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            why = (reason.strerror or "").lower()
            raise type(reason)(
                reason.errno,
                f"no checkpoints can be kept here ({why}); choose a folder that can be made",
                str(self.folder),
            ) from None

    def clear_remains(self) -> None:
        """Remove what was left behind by writers that were killed."""
        if writes():
            persist.remove_remains(self.folder)


def recorded_seed(folder: str | os.PathLike[str]) -> int | None:
    """The seed of the training whose checkpoints are in a folder.

    Raises
    ------
    FileFormatError
        If all of them are damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)  # the training says it
        found = Checkpoints(folder).newest()
    return None if found is None else found.history.seed


class Keeper:
    """Writes the checkpoints of one training, as often as costs little.

    Parameters
    ----------
    checkpoints : Checkpoints
    found : Moment or None
        Where the training goes on, if it does.

    Attributes
    ----------
    moment : Moment or None
        Where the training was last; Ctrl-C finds the one before or the one after a call.
    """

    def __init__(self, checkpoints: Checkpoints, found: Moment | None) -> None:
        self.checkpoints, self.found = checkpoints, found
        self.moment = self._written = found
        self._due = 0.0

    @classmethod
    def of(
        cls, checkpoints: str | os.PathLike[str] | Checkpoints | None, resume: bool
    ) -> Keeper | None:
        """What ``fit`` was asked for; None without checkpoints.

        Raises
        ------
        ParameterError
            If there is nowhere to resume from, or a folder holds another training's checkpoints.
        FileFormatError
            If every checkpoint is damaged.
        """
        if checkpoints is None:
            if resume:
                raise ParameterError("resume=True needs checkpoints=, the folder they are in")
            return None
        kept = checkpoints if isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints)
        if not resume and kept.numbers():
            raise ParameterError(
                f"{str(kept.folder)!r} holds the checkpoints of an earlier training; resume it, or"
                " use another folder"
            )
        keeper = cls(kept, kept.newest() if resume else None)
        if (cluster := current()) is not None:  # nobody writes before all have read
            cluster.agree({"list of checkpoints": str(kept.numbers())})
        return keeper

    @property
    def seed(self) -> int | None:
        """The seed of the training that is resumed."""
        return None if self.found is None else self.found.history.seed

    def start(self, moment: Moment) -> None:
        """Write the first checkpoint, with the seed, unless there is one.

        Raises
        ------
        OSError
            If the folder cannot be written to.
        """
        self.checkpoints.clear_remains()
        if self.moment is None:
            self.moment = moment
            self._write(moment)

    def take(self, moment: Moment) -> None:
        """Remember where the training is, and write it down if it is time."""
        self.moment = moment
        if time.monotonic() >= self._due:
            self._try_to_write(moment)

    def finish(self) -> None:
        """Write down where the training ended, if that is not written."""
        if self.moment is not None and self.moment is not self._written:
            self._try_to_write(self.moment)

    def _try_to_write(self, moment: Moment) -> None:
        """A full disk does not end a training: the checkpoint before stays."""
        try:
            self._write(moment)
        except OSError as error:
            self._due = time.monotonic() + max(self.checkpoints.seconds, RETRY_SECONDS)
            warnings.warn(
                f"no checkpoint was written after epoch {moment.epochs}, the one before"
                f" stays: {error}",
                CheckpointWarning,
                stacklevel=2,
            )

    def _write(self, moment: Moment) -> None:
        began = time.monotonic()
        self.checkpoints.write(moment)
        self._written = moment
        now = time.monotonic()
        self._due = now + max(self.checkpoints.seconds, LEAST_PAUSE * (now - began))


@contextmanager
def termination_as_interruption(wanted: bool) -> Iterator[None]:
    """If wanted, SIGTERM ends this block as Ctrl-C does, and then the process: nothing is lost.

    Only in the main thread, and where nobody else has a use for the signal.
    """
    ours = wanted and threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if received:
            signal.raise_signal(signal.SIGTERM)
