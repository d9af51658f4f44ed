"""Layers, activations, initialisers, losses, regularisation: graph builders that know no engine."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule.nn import initializers
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
from chainrule.nn.normalization import BatchNorm, LayerNorm
from chainrule.nn.registry import LAYERS, layer_from_settings

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "LAYERS",
    "SELU",
    "Activation",
    "ActivationFunction",
    "BatchNorm",
    "Dropout",
    "Embedding",
    "Exp",
    "Flatten",
    "Function",
    "HardSigmoid",
    "HardTanh",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Mish",
    "Mode",
    "Named",
    "PReLU",
    "Parameter",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "initializers",
    "layer_from_settings",
]


def __getattr__(name: str) -> Any:
    # People look for Network beside its layers, but it stands far below them: it needs training,
    # engines and files. So it is found here on first use, and this layer imports nothing below.
    if name == "Network":
        return importlib.import_module("chainrule.networks").Network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
