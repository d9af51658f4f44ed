"""Layers that prepare features, learned from the training rows before training begins.

They are part of the network: the same numbers are used wherever the model goes, and validation
rows never leak into them. What they learn is state, so that gradients pass through but nothing
trains it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import combinations, combinations_with_replacement
from typing import Any, ClassVar

import numpy as np

from chainrule import ops
from chainrule.engines.blas import one_blas_thread
from chainrule.errors import DataError, NotFittedError, ParameterError, ShapeError
from chainrule.nn.base import InputShape, Layer, Mode
from chainrule.optim.settings import COUNT, FLAG, Choice, Optional, Range, setting
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64, Array, as_array

NUMBER = Range(-math.inf)
MODERATE = 400  # binary digits before or behind the point: a sum of squares is a float64


class Preprocessing(Layer, ABC):
    """A layer whose state is learned from the training rows, in float64."""

    needs_fit: ClassVar[bool] = True

    def fit(self, X: Any) -> dict[str, Array]:
        """The state that training rows ``X`` (n, ...) lead to.

        Raises
        ------
        ShapeError, DataError
            If there are no rows or no features, or a number is not finite.
        """
        rows = as_array(X).astype(FLOAT64, copy=False)
        if rows.ndim < 2:
            raise ShapeError(f"{self.label} learns from rows (n, features), got {rows.shape}")
        if not rows.size or not np.isfinite(rows).all():
            reason = "numbers that are not finite" if rows.size else f"shape {rows.shape}"
            raise DataError(f"{self.label} cannot learn from {reason}; it needs rows of numbers")
        return self.learned(rows)

    @abstractmethod
    def learned(self, X: Array) -> dict[str, Array]:
        """The state from finite float64 rows, at least one."""

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """What :meth:`applied` gives for the state, in the element type of ``x``."""
        if not state:
            raise NotFittedError(
                f"{self.label} has not seen training rows yet; call model.fit first"
            )
        dtype = ops.dtype_of(x)
        return self.applied(x, {name: ops.astype(state[name], dtype) for name in state}), state

    @abstractmethod
    def applied(self, x: Any, state: Mapping[str, Any]) -> Any:
        """The output as graph, from state of the input's element type."""


class _Rescaling(Preprocessing):
    """(x - center) / scale, feature by feature; where features do not vary, the scale is 1."""

    def learned(self, X: Array) -> dict[str, Array]:
        least, most = X.min(axis=0), X.max(axis=0)
        _, exponent = np.frexp(np.maximum(np.abs(least), np.abs(most)))
        exponent = np.where(np.abs(exponent) > MODERATE, exponent, 0)
        rows = np.ldexp(X, -exponent) if exponent.any() else X  # in units whose squares there are
        center, scale = self.center_and_scale(rows)
        with np.errstate(over="ignore"):
            scale = np.minimum(np.ldexp(scale, exponent), np.finfo(FLOAT64).max)
        varies = (least < most) & (scale > 0)
        return self.shifted(np.ldexp(center, exponent), np.where(varies, scale, 1.0))

    @abstractmethod
    def center_and_scale(self, X: Array) -> tuple[Array, Array]:
        """What becomes 0, and the distance from it that becomes 1."""

    def shifted(self, center: Array, scale: Array) -> dict[str, Array]:
        """The state, when the scale is known to be above 0."""
        return {"center": center, "scale": scale}

    def applied(self, x: Any, state: Mapping[str, Any]) -> Any:
        return (x - state["center"]) / state["scale"]


@dataclass(eq=False, repr=False)
class Standardize(_Rescaling):
    """Mean 0 and variance 1 (divided by n) for each feature.

    Parameters
    ----------
    unit_variance : bool
        Whether to divide by the standard deviation; if not, features are only centred.
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> Standardize().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    {'center': array([2., 5.]), 'scale': array([1., 1.])}
    """

    unit_variance: bool = setting(FLAG, True)

    def center_and_scale(self, X: Array) -> tuple[Array, Array]:
        """The mean and the standard deviation of each feature, (d,) each."""
        center = X.mean(axis=0)
        return center, X.std(axis=0) if self.unit_variance else np.ones_like(center)


@dataclass(eq=False, repr=False)
class Normalize(_Rescaling):
    """Each feature's training values stretched to lie between ``low`` and ``high``.

    Parameters
    ----------
    low, high : float
    name : str, optional

    Raises
    ------
    ParameterError
        If ``low`` is not below ``high``.
    """

    low: float = setting(NUMBER, 0.0)
    high: float = setting(NUMBER, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise ParameterError(
                f"{self.label}: low must be below high, got {self.low} and {self.high}"
            )

    def center_and_scale(self, X: Array) -> tuple[Array, Array]:
        """The least value, and the length that becomes 1, (d,) each."""
        least = X.min(axis=0)
        return least, (X.max(axis=0) - least) / (self.high - self.low)

    def shifted(self, center: Array, scale: Array) -> dict[str, Array]:
        """The state in which the least value becomes ``low``, not 0."""
        return {"center": center - self.low * scale, "scale": scale}


@dataclass(eq=False, repr=False)
class RobustScale(_Rescaling):
    """Median 0 and interquartile range 1 for each feature: outliers do not count."""

    def center_and_scale(self, X: Array) -> tuple[Array, Array]:
        """The median and the interquartile range, (d,) each."""
        lower, median, upper = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
        return median, upper - lower


class _Projection(Preprocessing):
    """(x - center) matrix, for a matrix from the principal axes of the training rows."""

    def learned(self, X: Array) -> dict[str, Array]:
        if X.ndim != 2:
            raise ShapeError(f"{self.label} learns from rows (n, features), got {X.shape}")
        return {"center": X.mean(axis=0), **self.projected(*principal_axes(X))}

    @abstractmethod
    def projected(self, variances: Array, axes: Array) -> dict[str, Array]:
        """The matrix and further state, from variances (d,) and axes (d, d) in columns."""

    def applied(self, x: Any, state: Mapping[str, Any]) -> Any:
        return ops.matmul(x - state["center"], state["matrix"])


def principal_axes(X: Array) -> tuple[Array, Array]:
    """Variances (divided by n), largest first, and their directions.

    Computed by singular values of the centred rows, whose squares the covariance would round;
    variances that are rounding alone, of the factorisation or of centring, are exactly 0.

    Parameters
    ----------
    X : (n, d) float64

    Returns
    -------
    variances : (d,) float64
    axes : (d, d) float64
        Orthonormal columns; of each, the element of greatest size is positive.
    """
    n, d = X.shape
    with one_blas_thread():
        _, singular, rows = np.linalg.svd(np.linalg.qr(X - X.mean(axis=0), mode="r"))
    singular = np.concatenate([singular, np.zeros(d - len(singular))])
    size = max(n, d) * singular[0] + 4 * math.sqrt(n) * np.abs(X).max()
    leading = rows[np.arange(d), np.abs(rows).argmax(axis=1)]
    axes = (rows * np.where(leading < 0, -1.0, 1.0)[:, None]).T
    varies = singular > np.finfo(FLOAT64).eps * size
    return np.where(varies, singular, 0.0) ** 2 / n, axes


@dataclass(eq=False, repr=False)
class PCA(_Projection):
    """The leading principal components: uncorrelated, of falling variance.

    Parameters
    ----------
    components : int >= 1, optional
        How many; all by default.
    name : str, optional

    References
    ----------
    H. Hotelling 1933, Analysis of a complex of statistical variables into principal components.

    Examples
    --------
    >>> import numpy as np
    >>> PCA(1).fit(np.array([[0.0, 0.0], [3.0, 4.0]]))["matrix"].round(3).tolist()
    [[0.6], [0.8]]
    """

    components: int | None = setting(Optional(COUNT), None)

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(d,) becomes (components,), of which there are at most d."""
        if input_shape is not None and len(input_shape) != 1:
            raise ShapeError(f"{self.label} takes features but {source} gives {input_shape}")
        if self.components is None or input_shape is None:
            return input_shape if self.components is None else (self.components,)
        if self.components > input_shape[0]:
            raise ShapeError(
                f"{self.label} keeps {self.components} components but {source} gives"
                f" {input_shape[0]} features"
            )
        return (self.components,)

    def projected(self, variances: Array, axes: Array) -> dict[str, Array]:
        """``matrix`` (d, components), the leading axes, and their ``explained_variance``."""
        kept = slice(self.components)
        return {"matrix": axes[:, kept], "explained_variance": variances[kept]}


@dataclass(eq=False, repr=False)
class Whiten(_Projection):
    """Uncorrelated features of variance 1: the covariance (divided by n) becomes the identity.

    Directions in which the training rows do not vary become 0.

    Parameters
    ----------
    method : {"pca", "zca"}
        Principal components, or turned back so that each feature stays as close to itself as it
        can (Kessy, Lewin and Strimmer 2018).
    name : str, optional
    """

    method: str = setting(Choice(("pca", "zca")), "pca")

    def projected(self, variances: Array, axes: Array) -> dict[str, Array]:
        """``matrix`` (d, d): axes divided by the standard deviation along them."""
        varies = variances > 0
        scaled = axes * np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1.0)), 0.0)
        return {"matrix": scaled if self.method == "pca" else scaled @ axes.T}


@dataclass(eq=False, repr=False)
class PolynomialFeatures(Layer):
    """All products of features up to a degree: x1, x2, x1 x1, x1 x2, x2 x2 for two and degree 2.

    Parameters
    ----------
    degree : int >= 1
    interaction_only : bool
        Whether each feature occurs at most once in a product.
    name : str, optional

    Examples
    --------
    >>> layer = PolynomialFeatures(2)
    >>> layer.forward([[2.0, 3.0]], {}, {}, Mode(False))[0]
    array([[2., 3., 4., 6., 9.]])
    """

    degree: int = setting(COUNT, 2)
    interaction_only: bool = setting(FLAG, False)

    def _products(self, n: int) -> list[Array]:
        """For each degree, (products, degree) numbers of the features that are multiplied."""
        choose = combinations if self.interaction_only else combinations_with_replacement
        listed = [list(choose(range(n), degree)) for degree in range(1, self.degree + 1)]
        return [np.array(products) for products in listed if products]

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(d,) becomes (products,)."""
        if input_shape is None:
            return None
        if len(input_shape) != 1:
            raise ShapeError(f"{self.label} takes features but {source} gives {input_shape}")
        (n,) = input_shape
        count = math.comb if self.interaction_only else lambda n, k: math.comb(n + k - 1, k)
        return (sum(count(n, degree) for degree in range(1, self.degree + 1)),)

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The products: (ROWS, d) becomes (ROWS, products)."""
        blocks = [
            ops.prod(ops.take(x, products, axis=1), axis=2)
            for products in self._products(ops.shape_of(x)[1])
        ]
        return ops.concat(blocks, axis=1), state
