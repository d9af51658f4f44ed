"""Estimators with scikit-learn's contract: changing one import line is enough to move here.

They need the extra ``sklearn``: ``pip install "chainrule[sklearn]"``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from chainrule.errors import missing_extra, unknown_name

if TYPE_CHECKING:
    from chainrule.estimators.linear import LinearRegression
    from chainrule.estimators.logistic import LogisticRegression
    from chainrule.estimators.mlp import MLPClassifier, MLPRegressor
    from chainrule.estimators.table import TableClassifier, TableRegressor

_HOMES = {
    "LinearRegression": "linear",
    "LogisticRegression": "logistic",
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp",
    "TableClassifier": "table",
    "TableRegressor": "table",
}

__all__ = [
    "LinearRegression",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "TableClassifier",
    "TableRegressor",
]


def __getattr__(name: str) -> Any:
    """Each estimator is imported on first use: not everybody needs them all."""
    if name.startswith("_") or name not in _HOMES:
        raise AttributeError(str(unknown_name("estimator", name, _HOMES)))
    if find_spec("sklearn") is None:
        raise missing_extra("chainrule.estimators", "sklearn")
    return getattr(import_module(f"chainrule.estimators.{_HOMES[name]}"), name)
