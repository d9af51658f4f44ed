"""Optimizers: pure update rules on trees of arrays or nodes, with schedules and clipping.

::

    state = optimizer.init(parameters)
    parameters, state = optimizer.update(parameters, gradients, state)
"""

from chainrule.optim import clipping, schedules
from chainrule.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from chainrule.optim.adaptive import Adadelta, Adagrad, RMSProp
from chainrule.optim.base import Optimizer
from chainrule.optim.descent import ASGD, SGD, Momentum, Nesterov, Rprop
from chainrule.optim.lbfgs import LBFGS
from chainrule.optim.registry import OPTIMIZERS, RULES, get
from chainrule.optim.schedules import ReduceOnPlateau, Schedule

__all__ = [
    "ASGD",
    "LBFGS",
    "OPTIMIZERS",
    "RULES",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "ReduceOnPlateau",
    "Rprop",
    "Schedule",
    "clipping",
    "get",
    "schedules",
]
