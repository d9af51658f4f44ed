"""L-BFGS against scikit-learn's logistic regression and least squares in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from chainrule.errors import DivergenceError, ParameterError
from chainrule.nn import Activation, Dropout, Linear, Network
from chainrule.optim import LBFGS
from chainrule.optim.schedules import ReduceOnPlateau
from tests.training import problem

X, Y = problem.data()
EXACT = LBFGS(1000, gradient_tolerance=1e-9, value_tolerance=0.0)
SETTINGS: dict[str, Any] = {"optimizer": EXACT, "epochs": 1000}


def softmax_regression(*extra: Any) -> Network:
    layers = [Linear(3, 3, name="only"), *extra, Activation("softmax")]
    return Network(layers, seed=0, dtype="float64")


def test_logistic_regression_is_scikit_learns() -> None:
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(X, Y)
    model = softmax_regression()
    history = model.fit(X, Y, **SETTINGS)
    np.testing.assert_allclose(model.predict(X), theirs.predict_proba(X), rtol=1e-5)
    assert history.stopped.startswith("the search ended")
    assert history["loss"][-1] == history["loss"].min()
    assert "learning_rate" not in history


def test_ridge_regression_is_its_closed_form() -> None:
    y = X @ [[1.0], [2.0], [-1.0]] + 0.5 + problem.wave(22, 1, speed=2.3, size=0.1)
    model = Network([Linear(3, 1, name="only")], seed=0, dtype="float64")
    model.fit(X, y, l2=0.1, **SETTINGS)
    centred, mean = X - X.mean(axis=0), y.mean()
    slope = np.linalg.solve(centred.T @ centred + 2.2 * np.eye(3), centred.T @ (y - mean))
    np.testing.assert_allclose(model["only"].W, slope, rtol=1e-6)
    np.testing.assert_allclose(model["only"].b, mean - X.mean(axis=0) @ slope, rtol=1e-6)


def test_epochs_are_iterations_and_validation_keeps_the_best() -> None:
    history = softmax_regression().fit(X, Y, optimizer="lbfgs", epochs=3)
    assert history.epochs == 3
    assert history.stopped == "all epochs were done"
    model = softmax_regression()
    history = model.fit(X, Y, validation=0.3, early_stopping=3, seed=1, **SETTINGS)
    assert history.best_epoch == history["validation_loss"].argmin()


def test_what_a_line_search_cannot_do() -> None:
    before = softmax_regression(Dropout(0.5))
    with pytest.raises(ParameterError, match="randomness"):
        before.fit(X, Y, **SETTINGS)
    with pytest.raises(ParameterError, match="max_norm"):
        softmax_regression().fit(X, Y, max_norm=1.0, **SETTINGS)
    with pytest.raises(ParameterError, match="line search"):
        softmax_regression().fit(
            X, Y, optimizer="lbfgs", callbacks=[ReduceOnPlateau(patience=0, factor=0.5)], epochs=99
        )
    model = softmax_regression()
    model["only"].W = np.full((3, 3), 1e308)
    with pytest.raises(DivergenceError):
        model.fit(X, Y, l2=1.0, **SETTINGS)
    assert (model["only"].W == 1e308).all()
