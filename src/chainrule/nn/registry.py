"""Layers by name: the only names that a model file may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chainrule.nn import serialization
from chainrule.nn.base import Layer
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Activation, Embedding, Flatten, Linear
from chainrule.nn.normalization import BatchNorm, LayerNorm
from chainrule.nn.preprocessing import (
    PCA,
    Normalize,
    PolynomialFeatures,
    RobustScale,
    Standardize,
    Whiten,
)
from chainrule.nn.tabular import TableInput

LAYERS: Final[dict[str, type[Layer]]] = {
    kind.__name__: kind
    for kind in (
        Linear, Activation, Dropout, BatchNorm, LayerNorm, Embedding, Flatten,
        Standardize, Normalize, RobustScale, PCA, Whiten, PolynomialFeatures, TableInput,
    )
}  # fmt: skip


def layer_from_settings(kind: str, settings: Mapping[str, Any]) -> Layer:
    """A layer from its kind and what its ``settings()`` gave.

    Raises
    ------
    UnknownNameError
        If there is no such kind of layer.
    FileFormatError, ParameterError
        If the settings are not those of the kind, or out of range.

    Examples
    --------
    >>> layer_from_settings("Linear", {"n_in": 2, "n_out": 3, "name": "first"})
    Linear(n_in=2, n_out=3, name='first')
    """
    layer: Layer = serialization.build(kind, settings, LAYERS, "layer")
    return layer
