"""Layers, activations, initialisers, losses, regularisation: graph builders that know no engine."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule.nn import initializers, losses, metrics
from chainrule.nn.activations import (
    CELU,
    ELU,
    GELU,
    SELU,
    ActivationFunction,
    Exp,
    HardSigmoid,
    HardTanh,
    Identity,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    Sign,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from chainrule.nn.base import Layer, Mode, Named, Parameter
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Activation, Embedding, Flatten, Function, Linear
from chainrule.nn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Gamma,
    GaussianNLL,
    Hinge,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
)
from chainrule.nn.metrics import Metric
from chainrule.nn.normalization import BatchNorm, LayerNorm
from chainrule.nn.preprocessing import (
    PCA,
    Normalize,
    PolynomialFeatures,
    Preprocessing,
    RobustScale,
    Standardize,
    Whiten,
)
from chainrule.nn.registry import LAYERS, layer_from_settings
from chainrule.nn.regularization import L1, L2, MaxNorm, Penalty

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "L1",
    "L2",
    "LAYERS",
    "PCA",
    "SELU",
    "AbsoluteError",
    "Activation",
    "ActivationFunction",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Dropout",
    "Embedding",
    "Exp",
    "Flatten",
    "Function",
    "Gamma",
    "GaussianNLL",
    "HardSigmoid",
    "HardTanh",
    "Hinge",
    "Huber",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Loss",
    "MaxNorm",
    "Metric",
    "Mish",
    "Mode",
    "Named",
    "Network",
    "Normalize",
    "PReLU",
    "Parameter",
    "Penalty",
    "Poisson",
    "PolynomialFeatures",
    "Preprocessing",
    "Quantile",
    "ReLU",
    "RobustScale",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Softsign",
    "SquaredError",
    "Standardize",
    "Tanh",
    "Whiten",
    "initializers",
    "layer_from_settings",
    "losses",
    "metrics",
]


def __getattr__(name: str) -> Any:
    # People look for Network beside its layers, but it stands far below them: it needs training,
    # engines and files. So it is found here on first use, and this layer imports nothing below.
    if name == "Network":
        return importlib.import_module("chainrule.networks").Network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
