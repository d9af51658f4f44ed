"""Training: programs from networks, the loop around them, and what it leaves behind."""

from chainrule.training.callbacks import Callback, EarlyStopping, TimeLimit
from chainrule.training.history import History

__all__ = ["Callback", "EarlyStopping", "History", "TimeLimit"]
