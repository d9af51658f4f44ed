"""Softmax at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError, ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Line, Panel, Points
from chainrule.explain.subjects import require_finite
from chainrule.explain.svg import format_number
from chainrule.ops import log_softmax

RANGE = (0.05, 20.0)  # of the temperatures on the curve, at least
SAMPLES = 200

Floats = npt.NDArray[np.float64]


def entropy(log_probabilities: npt.ArrayLike) -> Floats:
    """The entropy of rows of log-probabilities (..., classes), in nats.

    Examples
    --------
    >>> round(float(entropy(np.log([0.25, 0.25, 0.5]))), 6)
    1.039721
    """
    log_p = np.asarray(log_probabilities, dtype=np.float64)
    finite = np.where(np.isneginf(log_p), 0.0, log_p)  # 0 log 0 is 0
    result: Floats = -np.sum(np.exp(log_p) * finite, axis=-1)
    return result


def softmax_temperatures(
    scores: npt.ArrayLike, temperatures: Sequence[float], *, title: str = ""
) -> Chart:
    """Probabilities at some temperatures, and the entropy over all.

    Parameters
    ----------
    scores : (classes,) float
    temperatures : sequence of float > 0
    title : str

    Raises
    ------
    ShapeError
        If the scores are no vector.
    DataError, ParameterError
        If a score is not finite, or a temperature not above 0.

    Examples
    --------
    >>> softmax_temperatures([2.0, 1.0], [0.5, 1.0]).data["panels"][0]["marks"][0]["label"]
    'T = 0.5'
    """
    z = np.asarray(scores, dtype=np.float64)
    if z.ndim != 1 or not z.size:
        raise ShapeError(f"scores are a vector (classes,), not of shape {z.shape}")
    require_finite(z, "the scores", "a softmax needs numbers")
    if not temperatures or not all(0 < t < np.inf for t in temperatures):
        raise ParameterError(
            f"temperatures are numbers above 0, such as 0.5, and not {list(temperatures)}"
        )
    low, high = min(RANGE[0], *temperatures), max(RANGE[1], *temperatures)
    classes, range_of_t = np.arange(1, len(z) + 1), np.geomspace(low, high, SAMPLES)
    rows = {t: np.asarray(log_softmax(z / t)) for t in temperatures}
    curves = [Line(classes, np.exp(row), label=f"T = {t:g}") for t, row in rows.items()]
    dots = [Points(classes, np.exp(row), ink="ink", size=3.0) for row in rows.values()]
    shown = [entropy(row) for row in rows.values()]
    names = {k: f"z = {format_number(float(score))}" for k, score in enumerate(z, 1)}
    return Chart(
        Panel(*curves, *dots, title="Probabilities", x="class", y="p", x_names=names),
        Panel(Line(range_of_t, entropy(log_softmax(z / range_of_t[:, None])), ink="ink"),
              Points(temperatures, shown, ink="class0", label="the T on the left"),
              title="Entropy", x="temperature T", y="nats", x_scale="log"),
        title=title or "A low temperature picks one class, a high one gives all the same chance",
        size=(460.0, 320.0),
    )  # fmt: skip
