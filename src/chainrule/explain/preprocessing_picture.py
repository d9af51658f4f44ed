"""The same points raw, centred, scaled, turned to their principal axes, and whitened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Line, Panel, Points, Rule
from chainrule.explain.palette import MARKERS

Floats = npt.NDArray[np.float64]


def preprocessing_stages(X: npt.ArrayLike) -> dict[str, Floats]:
    """The rows after every stage of the slide: (n, d) each.

    Normalised is centred and divided by the standard deviation; PCA turns the centred rows;
    whitened rows have the identity as covariance (1/n).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 2)) @ [[2.0, 1.0], [0.0, 0.5]] + 3
    >>> stages = preprocessing_stages(X)
    >>> np.allclose(np.cov(stages["whitened"].T, bias=True), np.eye(2))
    True
    """
    from chainrule.nn import PCA, Standardize, Whiten

    rows = np.asarray(X, np.float64)
    if rows.ndim != 2:
        raise ShapeError(f"rows have the shape (n, d), not {rows.shape}")
    layers = {
        "zero-centred": Standardize(unit_variance=False),
        "normalised": Standardize(),
        "PCA": PCA(),
        "whitened": Whiten(),
    }
    done = {name: layer.applied(rows, layer.fit(rows)) for name, layer in layers.items()}
    return {"raw": rows} | {name: np.asarray(each, np.float64) for name, each in done.items()}


def preprocessing_picture(X: npt.ArrayLike, *, title: str = "") -> Chart:
    """Two columns of rows after every stage, with the ellipse of their covariance.

    Three points are marked in all panels, so that the eye can follow them.

    Parameters
    ----------
    X : (n, 2) float
    title : str

    Raises
    ------
    ShapeError
        If there are not two columns.
    """
    stages = preprocessing_stages(X)
    if stages["raw"].shape[1] != 2:
        raise ShapeError(
            f"the picture shows two columns, not {stages['raw'].shape[1]}; choose X[:, :2]"
        )
    along, beside = stages["whitened"].T
    followed = [int(along.argmin()), int(along.argmax()), int(beside.argmax())]
    panels = [_panel(name, rows, followed) for name, rows in stages.items()]
    claim = title or "Centred, scaled, turned, whitened: the covariance becomes the identity"
    return Chart(*panels, title=claim, columns=3)


def _panel(name: str, rows: Floats, followed: Sequence[int]) -> Panel:
    centre = rows.mean(axis=0)
    turns = np.linspace(0, 2 * np.pi, 181)
    variances, axes = np.linalg.eigh(np.cov(rows.T, bias=True))
    radii = 2 * np.sqrt(np.maximum(variances, 0.0))
    ellipse = centre + (np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii) @ axes.T
    marked = [
        Points(*rows[[k]].T, ink="class1", marker=marker, size=10.0)
        for k, marker in zip(followed, MARKERS, strict=True)
    ]
    cloud = Points(*rows.T, ink="class0", marker="circle", size=4.0)
    outline = Line(*ellipse.T, ink="ink", dash="solid", width=1.5)
    return Panel(Rule(x=0.0), Rule(y=0.0), cloud, outline, *marked, title=name, equal=True)
