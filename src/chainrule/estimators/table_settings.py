"""How tables are learned: the settings, and the defaults that measurement chose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from chainrule.data.scaling import scaling_of
from chainrule.errors import ParameterError
from chainrule.optim.settings import (
    BELOW_ONE,
    COUNT,
    FLAG,
    FRACTION,
    FROM_ZERO,
    POSITIVE,
    Choice,
    Optional,
    Range,
    Settings,
    setting,
)

REGRESSION, CLASSIFICATION = "regression", "classification"
LOG_TARGET: Final = ("auto", "yes", "no")
SMALL_ROWS = 3_000  # below this a bin needs enough rows, and rows enough steps
BINS: Final = Range(0, 2**16, whole=True)  # the sample of a stream has no more quantiles
MANY_ROWS = 20_000  # below this numbers are learned with dropout, in return for finer bins


@dataclass(frozen=True)
class TableSettings(Settings):
    """How a table is learned.

    Parameters
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    members : int >= 1
        Networks in the ensemble; they train at once.
    epochs : int >= 1, optional
        Passes over the rows, at most; by default what makes about ``steps`` steps.
    steps : int >= 1
    batch_size : int >= 1
    learning_rate : float > 0
        At the start; it falls to 0 along half a cosine.
    weight_decay : float >= 0
        Of AdamW.
    dropout : float in [0, 1)
    bins : int from 0 to 65,536
        Intervals that numbers are encoded by, at most.
    masking : float in [0, 1)
        Share of category numbers that training steps take for unknown.
    patience : int >= 1
        Epochs without improvement on the held-out rows after which training ends.
    validation : float in (0, 1)
        Share of the rows that are held out.
    refit : bool
        Whether a second training, on all rows, follows for as long as the first one was best.
    scaling : str
        Of the numbers: one of :data:`chainrule.data.scaling.SCALINGS`.
    log_target : {"auto", "yes", "no"}
        Whether a positive target is learned on a log scale; "auto" asks held-out rows.
    calibrate : bool
        Whether probabilities are corrected by a temperature found on held-out rows.

    Raises
    ------
    ParameterError, UnknownNameError
        If one is out of its range.
    """

    hidden: tuple[int, ...] = (256, 256)
    members: int = setting(COUNT, 4)
    epochs: int | None = setting(Optional(COUNT), None)
    steps: int = setting(COUNT, 2_500)
    batch_size: int = setting(COUNT, 256)
    learning_rate: float = setting(POSITIVE, 2e-3)
    weight_decay: float = setting(FROM_ZERO, 0.1)
    dropout: float = setting(BELOW_ONE, 0.0)
    bins: int = setting(BINS, 48)
    masking: float = setting(BELOW_ONE, 0.01)
    patience: int = setting(COUNT, 16)
    validation: float = setting(FRACTION, 0.2)
    refit: bool = setting(FLAG, False)
    scaling: str = "robust"
    log_target: str = setting(Choice(LOG_TARGET), "auto")
    calibrate: bool = setting(FLAG, True)

    def __post_init__(self) -> None:
        super().__post_init__()
        scaling_of(self.scaling)
        units = tuple(self.hidden) if isinstance(self.hidden, (list, tuple)) else (self.hidden,)
        if not all(type(each) is int and each > 0 for each in units):
            raise ParameterError(f"hidden must be a tuple of ints >= 1, got {self.hidden!r}")
        object.__setattr__(self, "hidden", units)

    def epochs_for(self, rows: int) -> int:
        """How many passes over so many training rows."""
        if self.epochs is not None:
            return self.epochs
        steps_per_epoch = max(1, -(-rows // self.batch_size))
        return max(FEWEST_EPOCHS, min(MOST_EPOCHS, -(-self.steps // steps_per_epoch)))


FEWEST_EPOCHS, MOST_EPOCHS = 16, 400

_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    REGRESSION: {},
    CLASSIFICATION: {"learning_rate": 5e-4, "dropout": 0.3, "bins": 24, "steps": 2_000},
}


def settings_for(task: str, rows: int, **chosen: Any) -> TableSettings:
    """The defaults for a task and so many rows, and what was chosen instead; None is no choice.

    Raises
    ------
    ParameterError, UnknownNameError
        If a choice is out of its range.

    Examples
    --------
    >>> settings_for("classification", 30_000, members=2).members
    2
    """
    found = TableSettings(**_DEFAULTS[task])
    if rows < SMALL_ROWS:
        found = replace(found, batch_size=max(16, min(64, rows // 16)), bins=min(found.bins, 16))
    elif task == REGRESSION and rows < MANY_ROWS:
        found = replace(found, dropout=0.1, bins=64)
    return replace(found, **{name: value for name, value in chosen.items() if value is not None})


STREAMED_SAMPLES, FEWEST_STREAMED = 3_000_000, 2  # rows of all epochs together, and epochs
MOST_AS_IN_MEMORY: Final = STREAMED_SAMPLES // FEWEST_EPOCHS  # rows: an epoch of more costs much
_STREAMED: Final[dict[str, Any]] = {"members": 1, "batch_size": 1024, "bins": 16, "patience": 4}


def streamed_settings(task: str, rows: int, **chosen: Any) -> TableSettings:
    """The defaults for a table in blocks: as in memory, unless one pass says much and costs much.

    Raises
    ------
    ParameterError, UnknownNameError
        If a choice is out of its range.

    Examples
    --------
    >>> found = streamed_settings("regression", 1_000_000)
    >>> found.epochs, found.members
    (3, 1)
    >>> streamed_settings("regression", 1_000) == settings_for("regression", 1_000)
    True
    """
    if rows <= MOST_AS_IN_MEMORY:
        return settings_for(task, rows, **chosen)
    epochs = max(FEWEST_STREAMED, -(-STREAMED_SAMPLES // rows))
    given = {name: value for name, value in chosen.items() if value is not None}
    return settings_for(task, rows, **{**_STREAMED, "epochs": epochs, **given})
