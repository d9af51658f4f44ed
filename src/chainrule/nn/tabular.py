"""The first layer for tables: numbers as places on their quantiles, categories as vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule import ops
from chainrule.errors import DataError, NotFittedError, ParameterError
from chainrule.nn.base import InputShape, Layer, Mode, Parameter, last_extent
from chainrule.nn.dropout import DRAWS
from chainrule.nn.initializers import Normal
from chainrule.optim.settings import BELOW_ONE, COUNT_FROM_ZERO, setting
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64, INT64, Array

_VECTORS = Normal(1.0)
_BEYOND = 1e30  # where no row is: the edges of bins that a feature has no need of
FARTHEST = 1e9  # limits from 0; beyond, nothing changes but that the square overflows
SMOOTH_LIMIT = 3.0  # what scaled numbers approach, however large they are


@dataclass(frozen=True)
class Counts:
    """Whole numbers in a tuple, each at least ``least``."""

    least: int

    def accept(self, value: Any) -> tuple[int, ...]:
        """``value`` as a tuple of Python ints."""
        found = tuple([int(each) for each in value])
        if any(each < self.least for each in found) or found != tuple(value):
            raise ValueError
        return found

    def __str__(self) -> str:
        return f"a tuple of ints >= {self.least}"


@dataclass(eq=False, repr=False)
class TableInput(Layer):
    """Rows of a table, as :class:`chainrule.data.TableEncoder` gives them, as features.

    A number x becomes its place on the quantiles q_0 < ... < q_t of the training rows, one feature
    for each interval: clip((x - q_i) / (q_{i+1} - q_i), 0, 1); this piecewise linear encoding
    (Gorishniy, Rubachev and Babenko 2022, equation 1) lets a network be as steep as the data where
    the data are dense. The number itself is a feature too, held smoothly to +-3:
    x / sqrt(1 + (x/3)^2) (Holzmueller, Grinsztajn and Steinwart 2024, section 3).

    A category number c becomes row c of a matrix that is trained if there are more than
    ``one_hot`` of them, else c of as many indicators. In training, a share ``masking`` of the
    category numbers is replaced by 0, so that the meaning of an unknown category is learned.

    Parameters
    ----------
    numbers : int >= 0
        How many columns are numbers: the first ones.
    plain : int >= 0
        How many columns follow that are features as they are.
    levels : tuple of int
        How many category numbers each of the last columns has.
    bins : int >= 0
        Intervals of a number, at most: equal quantiles are one. 0 leaves only the number itself.
    one_hot : int >= 0
        The most levels of a category that becomes indicators.
    masking : float in [0, 1)
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> layer = TableInput(1, levels=(3,), bins=2)
    >>> state = layer.fit(np.array([[0.0, 1], [1.0, 2], [3.0, 1]]))
    >>> layer.forward(np.array([[2.0, 1.0]]), {}, state, Mode(False))[0].round(3).tolist()
    [[1.664, 1.0, 0.5, 0.0, 1.0, 0.0]]
    """

    numbers: int = setting(COUNT_FROM_ZERO)
    plain: int = setting(COUNT_FROM_ZERO, 0)
    levels: tuple[int, ...] = setting(Counts(1), ())
    bins: int = setting(COUNT_FROM_ZERO, 32)
    one_hot: int = setting(COUNT_FROM_ZERO, 64)
    masking: float = setting(BELOW_ONE, 0.01)

    needs_key: ClassVar[bool] = True
    needs_fit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.n_in:
            raise ParameterError(f"{self.label} needs at least one column")

    @property
    def n_in(self) -> int:
        """Columns that it takes."""
        return self.numbers + self.plain + len(self.levels)

    @property
    def n_out(self) -> int:
        """Features that it gives."""
        return self.numbers * (1 + self.bins) + self.plain + sum(map(self._width, self.levels))

    def _width(self, levels: int) -> int:
        return levels if levels <= self.one_hot else vector_length(levels)

    def parameters(self) -> dict[str, Parameter]:
        """``V0``, ``V1``, ... (levels, length): the vectors of large categories."""
        return {
            f"V{place}": Parameter((levels, vector_length(levels)), _VECTORS, penalized=True)
            for place, levels in enumerate(self.levels)
            if levels > self.one_hot
        }

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(n_in,) becomes (n_out,)."""
        last_extent(self, self.n_in, input_shape, source)
        return (self.n_out,)

    def check_rows(self, X: Array, what: str = "X") -> None:
        """Refuse category numbers that have no level: a :class:`DataError` with the place."""
        codes = X[:, self.numbers + self.plain :]
        wrong = (codes < 0) | (codes >= np.array(self.levels)) | (codes != np.floor(codes))
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f"{self.label} takes category numbers from 0 to {self.levels[column] - 1} in column"
                f" {self.numbers + self.plain + column}, and {what} has {codes[row, column]:g} in"
                f" row {row}"
            )

    def fit(self, X: Any) -> dict[str, Array]:
        """The edges of the bins: quantiles of the training rows, and the widths of the bins."""
        rows = np.asarray(X, FLOAT64)[:, : self.numbers]
        if not len(rows) or not np.isfinite(rows).all():
            raise DataError(f"{self.label} cannot learn from no rows, or from values not finite")
        low = np.full((self.numbers, self.bins), _BEYOND)
        width = np.ones((self.numbers, self.bins))
        for place, column in enumerate(rows.T):
            edges = _edges(column, self.bins)
            low[place, : len(edges) - 1] = edges[:-1]
            width[place, : len(edges) - 1] = np.diff(edges)
        return {"low": low, "width": width}

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """Numbers, bins, plain columns and categories, side by side: (ROWS, n_out)."""
        if not state:
            raise NotFittedError(f"{self.label} has not seen training rows yet; call model.fit")
        parts = [*self._positions(x, state)]
        if self.plain:
            parts.append(_columns(x, self.numbers, self.numbers + self.plain))
        if self.levels:
            dtype, vectors = ops.dtype_of(x), self._vectors(self._codes(x, mode), parameters)
            parts += [ops.astype(each, dtype) for each in vectors]
        return (ops.concat(parts, axis=1) if len(parts) > 1 else parts[0]), state

    def _positions(self, x: Any, state: Mapping[str, Any]) -> list[Any]:
        """The numbers held to a limit, and their places on the quantiles."""
        if not self.numbers:
            return []
        rows = ops.shape_of(x)[0]
        numbers = _columns(x, 0, self.numbers)
        ratio = ops.clip(numbers / SMOOTH_LIMIT, -FARTHEST, FARTHEST)
        held = SMOOTH_LIMIT * (ratio / ops.sqrt(1.0 + ratio * ratio))
        if not self.bins:
            return [held]
        dtype = ops.dtype_of(x)
        low, width = (ops.astype(state[name], dtype) for name in ("low", "width"))
        beyond = ops.reshape(numbers, (rows, self.numbers, 1)) - low
        inside = ops.clip(beyond, 0.0, width) / width  # in this order nothing overflows
        return [held, ops.reshape(inside, (rows, self.numbers * self.bins))]

    def _codes(self, x: Any, mode: Mode) -> Any:
        """The category numbers, some of them masked in training."""
        codes = _columns(x, self.numbers + self.plain, self.n_in)
        if mode.training and self.masking:
            if mode.key is None:
                raise ParameterError(f"{self.label} needs Mode(training=True, key=...) to draw")
            keep = max(1, round((1 - self.masking) * DRAWS)) / DRAWS
            kept = ops.random.bernoulli(mode.key, keep, ops.shape_of(codes))
            codes = ops.where(kept, codes, 0.0)
        return ops.astype(codes, INT64)

    def _vectors(self, codes: Any, parameters: Mapping[str, Any]) -> list[Any]:
        """Each category's vector: a row of its matrix, or indicators."""
        rows, found = ops.shape_of(codes)[0], []
        for place, levels in enumerate(self.levels):
            column = _columns(codes, place, place + 1)
            if levels > self.one_hot:
                matrix = parameters[f"V{place}"]
                found.append(ops.take(matrix, ops.reshape(column, (rows,))))
            else:
                found.append(ops.equal(column, np.arange(levels)))
        return found


def vector_length(levels: int) -> int:
    """The length of a trained vector for a category: it grows slowly with the number of levels.

    >>> [vector_length(levels) for levels in (10, 100, 10_000)]
    [5, 16, 50]
    """
    return min(round(1.6 * math.sqrt(levels)), 50)


def _edges(column: Array, bins: int) -> Array:
    """The quantiles between which a feature's bins lie, at most ``bins + 1`` different ones."""
    if not bins:
        return np.zeros(1)
    found: Array = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)))
    return found


def _columns(x: Any, first: int, end: int) -> Any:
    return ops.getitem(x, (slice(None), slice(first, end)))
