"""Training: programs from networks, the loop around them, and what it leaves behind."""

from chainrule.training.callbacks import Callback, EarlyStopping, Run, TimeLimit
from chainrule.training.checkpoints import Checkpoints, CheckpointWarning
from chainrule.training.doctor import Doctor, examine
from chainrule.training.findings import Finding
from chainrule.training.history import History
from chainrule.training.loop import DivergenceWarning
from chainrule.training.symptoms import TargetWarning

__all__ = [
    "Callback",
    "CheckpointWarning",
    "Checkpoints",
    "DivergenceWarning",
    "Doctor",
    "EarlyStopping",
    "Finding",
    "History",
    "Run",
    "TargetWarning",
    "TimeLimit",
    "examine",
]
