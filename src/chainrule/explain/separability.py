"""Whether a plane separates two classes, decided by a linear programme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, missing_extra
from chainrule.explain.subjects import require_finite

INFEASIBLE = 2  # scipy.optimize.linprog's status


@dataclass(frozen=True)
class Plane:
    """The plane w'x + b = 0 with w'x + b >= 1 in class 1 and <= -1 in class 0.

    Attributes
    ----------
    w : (features,) float64
    b : float
    """

    w: npt.NDArray[np.float64]
    b: float

    def sides(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """w'x + b for rows (n, features)."""
        sides: npt.NDArray[np.float64] = np.asarray(X, dtype=np.float64) @ self.w + self.b
        return sides


def separating_plane(X: npt.ArrayLike, y: npt.ArrayLike) -> Plane | None:
    """A plane that separates the classes, or None where there is none.

    Parameters
    ----------
    X : (n, features) float
    y : (n,) of two kinds of labels

    Raises
    ------
    DataError
        If there are not two classes, or a number is not finite.
    MissingExtraError
        Without SciPy.

    Examples
    --------
    >>> corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> separating_plane(corners, [0, 1, 1, 0]) is None  # XOR
    True
    >>> bool((separating_plane(corners, [0, 0, 0, 1]).sides(corners) > 0)[3])  # AND
    True
    """
    try:
        from scipy.optimize import linprog
    except ImportError:
        raise missing_extra("the linear programme of separating_plane", "sklearn") from None
    rows, labels = np.asarray(X, dtype=np.float64), np.asarray(y)
    classes = np.unique(labels)
    if len(classes) != 2:
        raise DataError(f"a plane separates two classes, got {len(classes)}")
    require_finite(rows, "the rows of X")
    signs = np.where(labels == classes[1], 1.0, -1.0)
    scale = np.abs(rows).max(axis=0).clip(1e-300)
    bordered = np.column_stack([rows / scale, np.ones(len(rows))])
    found = linprog(
        np.zeros(bordered.shape[1]),
        -signs[:, None] * bordered,
        -np.ones(len(rows)),
        bounds=(None, None),
    )
    return None if found.status == INFEASIBLE else Plane(found.x[:-1] / scale, float(found.x[-1]))
